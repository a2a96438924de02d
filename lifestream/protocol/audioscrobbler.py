"""Audioscrobbler Submissions 1.2 and 1.2.1, as mpdscribble, qtscrob and DeaDBeeF speak it: forms in, lines of text out.

Whoever is told FAILED sends the same again, for ever: so a row that cannot be used is left out, and the answer is OK.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

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

OK = "OK\n"
BADAUTH = "BADAUTH\n"
BADTIME = "BADTIME\n"
BADSESSION = "BADSESSION\n"
CLOCKS_DIFFER = timedelta(minutes=5)
SKIPPED = "S"


@dataclass(frozen=True, slots=True)
class Handshake:
    """`proof` is md5(md5(password) + time); `session` is a key of Last.fm's API, which 1.2.1 may send beside it."""

    version: str
    time: str
    proof: str
    session: str

    @property
    def is_spoken(self) -> bool:
        return self.version.startswith("1.2")


def handshake(query: Mapping[str, str]) -> Handshake:
    return Handshake(query.get("p", "1.2"), query.get("t", ""), query.get("a", ""), query.get("sk", ""))


def proves(asked: Handshake, password_md5: str) -> bool:
    """Whether whoever asks knows the password with this MD5."""
    return same_secret(md5hex(password_md5 + asked.time), asked.proof.lower())


def clock_is_right(asked: Handshake, now: datetime) -> bool:
    at = moment(asked.time)
    return at is not None and abs(at - now) <= CLOCKS_DIFFER


def welcome(session: str, base_url: str) -> str:
    """The addresses are absolute: clients use them as they are."""
    return f"{OK}{session}\n{base_url}/nowplaying/1.2/\n{base_url}/submissions/1.2/\n"


def failed(reason: str) -> str:
    return f"FAILED {words(reason)}\n"


def playing(form: Pairs) -> Track | None:
    """None for what does not say what plays."""
    return _track({name: value for name, value in form})


def submitted(form: Pairs, now: datetime) -> list[Listen]:
    """The listens that can be used. A track that was skipped was not heard."""
    found = []
    for row in rows(form):
        track, at = _track(row), moment(row.get("i", ""))
        if track and at and in_time(at, now) == "yes" and row.get("r") != SKIPPED:
            found.append(Listen(track, at))
    return found


def _track(row: Mapping[str, str]) -> Track | None:
    artist, title = words(row.get("a")), words(row.get("t"))
    if not artist or not title:
        return None
    return Track(
        artist,
        title,
        album=words(row.get("b")),
        seconds=seconds(row.get("l", "")),
        mbids=there(recording_mbid=mbid(row.get("m"))),
    )
