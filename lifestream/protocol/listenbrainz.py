"""ListenBrainz's API: what submit-listens takes and refuses, in ListenBrainz's words, and how listens are given back.

Where one of several listens in an import is bad, the good ones are taken, which ListenBrainz does not do: an import may
be a player's queue, and one bad row would hold up all that is behind it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

import orjson

from lifestream.clean.html import web_address
from lifestream.protocol.listens import MOST_SECONDS, Listen, Track, in_time, mbid, there, words
from lifestream.types import Stored

ListenType = Literal["single", "playing_now", "import"]
LISTEN_TYPES: tuple[str, ...] = get_args(ListenType)

MOST_LISTENS = 1000
LONGEST_LISTEN = 10_240
LONGEST_BODY = MOST_LISTENS * LONGEST_LISTEN
MOST_TAGS, LONGEST_TAG = 50, 64
AHEAD = timedelta(hours=1)
ONE_MBID = ("recording_mbid", "release_mbid", "release_group_mbid", "track_mbid")
MANY_MBIDS = ("artist_mbids", "work_mbids")
ADDRESSES = ("origin_url", "spotify_id", "youtube_id")
"""Where a listen says what was listened to; the ids are addresses too."""

NO_HEADER = "You need to provide an Authorization header."
NO_TOKEN = "You need to provide an Authorization token."
BAD_TOKEN = "Invalid authorization token."


@dataclass(frozen=True, slots=True)
class Playing:
    track: Track


@dataclass(frozen=True, slots=True)
class Listens:
    listens: tuple[Listen, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    reason: str


class _Bad(Exception):
    """What is wrong with a submission, or with one listen in it."""


# -- what is submitted ------------------------------------------------------------------------


def token_of(header: str) -> str:
    """`Authorization: Token …`; ListenBrainz does not look at the first word either."""
    return header.strip().partition(" ")[2].strip()


def submitted(body: bytes, now: datetime) -> Playing | Listens | Refused:
    try:
        kind, payload = _envelope(body)
        if kind == "playing_now":
            return Playing(_track(_only(payload[0], "track_metadata", when=" when submitting playing_now")))
        return Listens(_good(payload, now))
    except _Bad as bad:
        return Refused(str(bad))


def _envelope(body: bytes) -> tuple[str, list[Any]]:
    try:
        document = orjson.loads(body)
    except ValueError:
        raise _Bad("Cannot parse JSON document.") from None
    if not isinstance(document, dict):
        raise _Bad("Invalid JSON document submitted. Top level of JSON document should be a json object.")
    kind, payload = document.get("listen_type"), document.get("payload")
    if kind not in LISTEN_TYPES:
        raise _Bad("JSON document requires a valid listen_type key.")
    if not isinstance(payload, list):
        raise _Bad("The payload in the JSON document should be a list of listens.")
    if not payload:
        raise _Bad("JSON document does not contain any listens.")
    if len(payload) > MOST_LISTENS:
        raise _Bad(f"Too many listens. A JSON document can only contain {MOST_LISTENS} listens.")
    if kind != "import" and len(payload) > 1:
        raise _Bad(f"JSON document contains too many listens. A {kind} submission must contain exactly one listen.")
    return kind, payload


def _good(payload: Sequence[Any], now: datetime) -> tuple[Listen, ...]:
    """The listens that can be used. Raises _Bad for the first one where none can."""
    good: list[Listen] = []
    first: _Bad | None = None
    for item in payload:
        try:
            good.append(_listen(item, now))
        except _Bad as bad:
            first = first or bad
    if first and not good:
        raise first
    return tuple(good)


def _listen(item: Any, now: datetime) -> Listen:
    if isinstance(item, dict) and "listened_at" not in item:
        raise _Bad("JSON document must contain the key listened_at at the top level.")
    item = _only(item, "listened_at", "track_metadata")
    try:
        at = datetime.fromtimestamp(int(item["listened_at"]), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise _Bad("JSON document must contain an int value for listened_at.") from None
    match in_time(at, now, AHEAD):
        case "too old":
            raise _Bad("Value for key listened_at is too low.")
        case "too new":
            raise _Bad("Value for key listened_at is too high.")
    return Listen(_track(item), at)


def _only(item: Any, *keys: str, when: str = "") -> Mapping[str, Any]:
    """A listen that has these keys and no others."""
    if not isinstance(item, dict):
        raise _Bad("Each listen in the payload should be a json object.")
    if when and "listened_at" in item:
        raise _Bad("JSON document must not contain listened_at while submitting playing_now.")
    if item.keys() - set(keys):
        raise _Bad(f"JSON document may only contain {' and '.join(keys)} top level keys{when}.")
    try:
        size = len(orjson.dumps(item))
    except TypeError:  # nested too deep to be written
        size = LONGEST_LISTEN + 1
    if size > LONGEST_LISTEN:
        raise _Bad(f"Payload too large. A listen has to be less than {LONGEST_LISTEN} bytes.")
    return item


def _track(item: Mapping[str, Any]) -> Track:
    said = item.get("track_metadata")
    if not isinstance(said, dict):
        raise _Bad("JSON document does not contain required track_metadata.")
    info = said.get("additional_info") or {}
    if not isinstance(info, dict):
        raise _Bad("track_metadata.additional_info should be a json object.")
    one = {key: _mbids(info, key) for key in ONE_MBID}
    many = {key: _mbids(info, key, many=True) for key in MANY_MBIDS}
    return Track(
        _required(said, "artist_name"),
        _required(said, "track_name"),
        album=_text(said, "release_name"),
        seconds=_seconds(info),
        url=_address(info),
        tags=_tags(info),
        mbids=there(
            recording_mbid="".join(one["recording_mbid"]),
            release_mbid="".join(one["release_mbid"]),
            artist_mbids=many["artist_mbids"],
        ),
    )


def _required(said: Mapping[str, Any], key: str) -> str:
    if key not in said:
        raise _Bad(f"JSON document does not contain required track_metadata.{key}.")
    if not isinstance(said[key], str):
        raise _Bad(f"{key} must be a single string.")
    found = _text(said, key)
    if not found:
        raise _Bad(f"required field track_metadata.{key} is empty.")
    return found


def _text(said: Mapping[str, Any], key: str) -> str:
    text = said.get(key)
    if isinstance(text, str) and "\0" in text:
        raise _Bad(f"{key} contains a null character (\\u0000).")
    return words(text)


def _mbids(info: Mapping[str, Any], key: str, *, many: bool = False) -> list[str]:
    value = info.get(key)
    if not value:
        return []
    found = [mbid(one) for one in (value if many and isinstance(value, list) else [value])]
    if not all(found):
        raise _Bad(f"{key} MBID format invalid.")
    return found


def _seconds(info: Mapping[str, Any]) -> int:
    if "duration" in info and "duration_ms" in info:
        raise _Bad("JSON document should not contain both duration and duration_ms.")
    for key, unit in (("duration", 1), ("duration_ms", 1000)):
        if info.get(key) is None:
            continue
        try:
            value = int(info[key])
        except (TypeError, ValueError, OverflowError):
            value = 0
        if not 0 < value <= MOST_SECONDS * unit:
            raise _Bad(f"Value for {key} is invalid, should be a positive integer of at most {MOST_SECONDS * unit}.")
        return round(value / unit)
    return 0


def _tags(info: Mapping[str, Any]) -> tuple[str, ...]:
    tags = info.get("tags") or []
    where = "track_metadata.additional_info.tags"
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise _Bad(f"{where} should be a list of strings.")
    if len(tags) > MOST_TAGS:
        raise _Bad(f"JSON document may not contain more than {MOST_TAGS} items in {where}.")
    if any(len(tag) > LONGEST_TAG for tag in tags):
        raise _Bad(f"JSON document may not contain {where} longer than {LONGEST_TAG} characters.")
    return tuple(dict.fromkeys(filter(None, map(words, tags))))


def _address(info: Mapping[str, Any]) -> str:
    found = (web_address(info[key]) for key in ADDRESSES if isinstance(info.get(key), str))
    return next(filter(None, found), "")


# -- answers ----------------------------------------------------------------------------------


def ok() -> bytes:
    return orjson.dumps({"status": "ok"})


def error(status: int, sentence: str) -> bytes:
    return orjson.dumps({"code": status, "error": sentence})


def validated(user: str | None) -> bytes:
    """What validate-token says; None for a token that is none."""
    if user is None:
        return orjson.dumps({"code": 200, "message": "Token invalid.", "valid": False})
    return orjson.dumps({"code": 200, "message": "Token valid.", "valid": True, "user_name": user})


def listens(user: str, found: Sequence[Stored]) -> bytes:
    """What /1/user/{user}/listens says, newest first."""
    told = [_told(user, one) for one in found]
    times = [one["listened_at"] for one in told]
    payload = {
        "count": len(told),
        "latest_listen_ts": max(times, default=0),
        "oldest_listen_ts": min(times, default=0),
        "user_id": user,
        "listens": told,
    }
    return orjson.dumps({"payload": payload})


def playing_now(user: str, names: Mapping[str, str] | None) -> bytes:
    told = [{"playing_now": True, "track_metadata": _metadata(names)}] if names else []
    return orjson.dumps({"payload": {"count": len(told), "playing_now": True, "user_id": user, "listens": told}})


def listen_count(count: int) -> bytes:
    return orjson.dumps({"payload": {"count": count}})


def _told(user: str, stored: Stored) -> dict[str, Any]:
    return {
        "listened_at": int((stored.entry.published or stored.ordered_at).timestamp()),
        "inserted_at": int(stored.received.timestamp()),
        "recording_msid": stored.id,
        "user_name": user,
        "track_metadata": _metadata(stored.entry.data),
    }


def _metadata(data: Mapping[str, Any]) -> dict[str, Any]:
    info = {key: data[key] for key in ("recording_mbid", "release_mbid", "artist_mbids", "duration") if key in data}
    names = {"artist_name": data.get("artist", ""), "track_name": data.get("track", "")}
    album = {"release_name": data["album"]} if data.get("album") else {}
    return names | album | {"additional_info": info}
