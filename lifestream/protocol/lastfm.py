"""Last.fm's API 2.0, as much of it as scrobblers need: calls in, answers as XML or JSON out.

`api_sig` is not looked at: it proves that a client knows a secret which it shares with Last.fm, and with nobody else.
What proves anything here is the session key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import orjson

from lifestream.protocol.listens import (
    Listen,
    Pairs,
    Track,
    in_time,
    mbid,
    md5hex,
    moment,
    rows,
    same_secret,
    seconds,
    there,
    words,
)

METHOD, AUTH, PARAMETERS, FAILED, SESSION, UNAVAILABLE, RATE = 3, 4, 6, 8, 9, 16, 29
STATUS = {METHOD: 400, AUTH: 403, PARAMETERS: 400, FAILED: 409, SESSION: 403, UNAVAILABLE: 503, RATE: 429}
"""What these errors are over HTTP: clients read the body of each but the 503, which sends them away to try again."""
SENTENCES = {
    METHOD: "Invalid Method - No method with that name in this package",
    AUTH: "Authentication Failed - You do not have permissions to access the service",
    SESSION: "Invalid session key - Please re-authenticate",
}
IGNORED = {"artist": 1, "track": 2, "too old": 3, "too new": 4}
"""Why a row was left out, in Last.fm's numbers."""


@dataclass(frozen=True, slots=True)
class Call:
    """`form` has the fields of the query and the body; `fields` the same by name, in small letters."""

    form: tuple[tuple[str, str], ...]
    fields: Mapping[str, str]

    @property
    def method(self) -> str:
        return self.fields.get("method", "").lower()

    @property
    def session(self) -> str:
        return self.fields.get("sk", "")

    @property
    def wants_json(self) -> bool:
        return self.fields.get("format", "").lower() == "json"

    @property
    def user(self) -> str:
        return words(self.fields.get("username") or self.fields.get("user"))


def call(form: Pairs) -> Call:
    pairs = tuple(form)
    return Call(pairs, {name.lower(): value for name, value in pairs})


def proves(asked: Call, password_md5: str) -> bool:
    """Whether auth.getMobileSession knows the password with this MD5: by authToken, or by sending it (mpdas: as MD5).

    Last.fm makes authToken of the user's name in small letters, pylast of the name as it is.
    """
    user, token, password = (asked.fields.get(name, "") for name in ("username", "authtoken", "password"))
    tokens = (md5hex(name + password_md5) for name in (user, user.lower()))
    if any([same_secret(one, token.lower()) for one in tokens]):
        return True
    return same_secret(md5hex(password), password_md5) or same_secret(password.lower(), password_md5)


@dataclass(frozen=True, slots=True)
class Scrobble:
    """One row of a batch, as it is answered. `listen` is None for one that cannot be used, and `ignored` says why."""

    track: Track
    timestamp: str
    listen: Listen | None
    ignored: int = 0


def scrobbles(asked: Call, now: datetime) -> list[Scrobble]:
    """One for each row that says anything, used or not."""
    return [_scrobble(row, now) for row in rows(asked.form) if row.keys() & {"artist", "track", "timestamp"}]


def playing(asked: Call) -> Track | None:
    """None for what does not say what plays."""
    track = _track(asked.fields)
    return track if track.artist and track.title else None


def _scrobble(row: Mapping[str, str], now: datetime) -> Scrobble:
    track, timestamp = _track(row), words(row.get("timestamp"))
    at = moment(timestamp)
    if not track.artist or not track.title:
        return Scrobble(track, timestamp, None, IGNORED["track" if track.artist else "artist"])
    if at is None:
        return Scrobble(track, timestamp, None, IGNORED["too old"])
    time = in_time(at, now)
    if time != "yes":
        return Scrobble(track, timestamp, None, IGNORED[time])
    return Scrobble(track, timestamp, Listen(track, at))


def _track(row: Mapping[str, str]) -> Track:
    return Track(
        words(row.get("artist")),
        words(row.get("track")),
        album=words(row.get("album")),
        seconds=seconds(row.get("duration", "")),
        mbids=there(recording_mbid=mbid(row.get("mbid"))),
    )


# -- answers ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Node:
    """An element of an answer: with a text or with children."""

    name: str
    text: str | int = ""
    children: Sequence["Node"] = ()
    attributes: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """`error` is 0 where all went well."""

    nodes: tuple[Node, ...] = ()
    error: int = 0
    sentence: str = ""

    @property
    def status(self) -> int:
        return STATUS[self.error] if self.error else 200

    def written(self, *, as_json: bool) -> bytes:
        return _json(self) if as_json else _xml(self)


def error(code: int, sentence: str = "") -> Answer:
    return Answer(error=code, sentence=words(sentence) or SENTENCES[code])


def session(user: str, key: str) -> Answer:
    return _answer(Node("session", children=(Node("name", user), Node("key", key), Node("subscriber", 0))))


def scrobbled(done: Sequence[Scrobble]) -> Answer:
    accepted = sum(one.listen is not None for one in done)
    told = [_told(one.track, "scrobble", one.ignored, Node("timestamp", one.timestamp)) for one in done]
    counts = {"accepted": accepted, "ignored": len(done) - accepted}
    return _answer(Node("scrobbles", children=told, attributes=counts))


def now_playing(track: Track) -> Answer:
    return _answer(_told(track, "nowplaying", 0))


def user(name: str, heard: int, url: str) -> Answer:
    about = (Node("name", name), Node("url", url), Node("playcount", heard), Node("subscriber", 0))
    return _answer(Node("user", children=about))


def done() -> Answer:
    return Answer()


def _answer(node: Node) -> Answer:
    return Answer((node,))


def _told(track: Track, name: str, ignored: int, *more: Node) -> Node:
    said = (("track", track.title), ("artist", track.artist), ("album", track.album), ("albumArtist", ""))
    nodes = [Node(field, text, attributes={"corrected": "0"}) for field, text in said]
    return Node(name, children=[*nodes, *more, Node("ignoredMessage", attributes={"code": str(ignored)})])


def _xml(answer: Answer) -> bytes:
    if answer.error:
        body = f'<lfm status="failed"><error code="{answer.error}">{escape(answer.sentence)}</error></lfm>'
    else:
        body = f'<lfm status="ok">{"".join(_element(node) for node in answer.nodes)}</lfm>'
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'.encode()


def _element(node: Node) -> str:
    attributes = "".join(f" {name}={quoteattr(str(value))}" for name, value in node.attributes.items())
    inside = "".join(_element(child) for child in node.children) or escape(str(node.text))
    return f"<{node.name}{attributes}>{inside}</{node.name}>"


def _json(answer: Answer) -> bytes:
    if answer.error:
        return orjson.dumps({"error": answer.error, "message": answer.sentence})
    return orjson.dumps({node.name: _value(node) for node in answer.nodes})


def _value(node: Node) -> Any:
    """As Last.fm makes JSON of its XML: one child of a name is a value, several are a list."""
    if not node.children:
        return {**node.attributes, "#text": node.text} if node.attributes else node.text
    values: dict[str, Any] = {"@attr": dict(node.attributes)} if node.attributes else {}
    for child in node.children:
        value = _value(child)
        if child.name not in values:
            values[child.name] = value
        elif isinstance(values[child.name], list):
            values[child.name].append(value)
        else:
            values[child.name] = [values[child.name], value]
    return values
