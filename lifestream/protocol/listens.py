"""What the three scrobble dialects share: tracks, listens, when two listens are one, what of a client's words counts.

The dialects themselves are in audioscrobbler.py, lastfm.py and listenbrainz.py.
"""

import re
import unicodedata
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b, md5
from hmac import compare_digest
from typing import Literal
from uuid import UUID

from lifestream.types import Entry

OLDEST = datetime.fromtimestamp(1_033_410_600, UTC)
"""When Audioscrobbler began, in 2002; ListenBrainz takes nothing older, and who says so has lost the time of day."""
AHEAD = timedelta(minutes=5)
"""How far a player's clock may be ahead, as GNU FM has it."""
SAME_WITHIN = timedelta(seconds=15)
"""Programs that report one listen differ by this much at most. It never takes two listens for one: what is scrobbled is
longer than 30 s and was heard to its half."""
LIVE_FOR = timedelta(hours=24)
"""What was heard longer ago is history, and comes in quietly."""
LONGEST = timedelta(minutes=90)
"""A duration beyond this says nothing of when a track ends: it is often in milliseconds."""
PLAYS_FOR = timedelta(minutes=10)
"""How long something counts as playing that does not say how long it is."""
CHARS = 500
MOST_SECONDS = 24 * 86_400
"""ListenBrainz believes no track to be longer."""

# What neither XML 1.0 nor a line of text can hold.
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")
_NUMBERED = re.compile(r"(\w+)\[(\d{1,4})\]", re.ASCII)
_SECONDS = re.compile(r"\d{1,11}", re.ASCII)

Pairs = Iterable[tuple[str, str]]
"""The fields of a form in their order."""
InTime = Literal["yes", "too old", "too new"]


@dataclass(frozen=True)
class Track:
    """`seconds` is how long it is, 0 where nobody says; `mbids` go into an entry's data under their names."""

    artist: str
    title: str
    album: str = ""
    seconds: int = 0
    url: str = ""
    tags: tuple[str, ...] = ()
    mbids: Mapping[str, str | list[str]] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """The same however clients spell it: case, accents and punctuation aside."""
        return _digest(_folded(self.artist), _folded(self.title))

    @property
    def names(self) -> dict[str, str]:
        return {"artist": self.artist, "track": self.title, "album": self.album}


@dataclass(frozen=True)
class Listen:
    """`at` is when it began."""

    track: Track
    at: datetime

    @cached_property
    def identity(self) -> str:
        return _digest(self.track.key, str(int(self.at.timestamp())))


@dataclass(frozen=True, slots=True)
class Heard:
    """What the store remembers of a listen."""

    identity: str
    track_key: str
    at: datetime | None


def unheard(listens: Iterable[Listen], known: Iterable[Heard]) -> list[Listen]:
    """Those that are not known yet, each once, in the order of their time."""
    identities: set[str] = set()
    times: dict[str, list[datetime]] = {}
    for one in known:
        identities.add(one.identity)
        if one.at is not None:
            insort(times.setdefault(one.track_key, []), one.at)
    found = []
    for listen in sorted(listens, key=lambda listen: listen.at):
        there = times.setdefault(listen.track.key, [])
        first = bisect_left(there, listen.at - SAME_WITHIN)
        if listen.identity in identities or any(at <= listen.at + SAME_WITHIN for at in there[first : first + 1]):
            continue
        insort(there, listen.at)
        identities.add(listen.identity)
        found.append(listen)
    return found


def is_history(listen: Listen, now: datetime) -> bool:
    return listen.at < now - LIVE_FOR


def counts(played: float, lasts: float) -> bool:
    """Whether a track of `lasts` seconds that played for `played` was listened to, as Audioscrobbler has always had it:
    it is longer than 30 seconds, and was heard to its half or for four minutes. `lasts` is 0 where nobody knows."""
    return (lasts > 30 or not lasts) and played >= (min(lasts / 2, 240) if lasts else 240)


def plays_until(track: Track, now: datetime) -> datetime:
    """When a track that began just now ends, as far as one can tell."""
    lasts = timedelta(seconds=track.seconds)
    return now + (lasts if timedelta(0) < lasts <= LONGEST else PLAYS_FOR)


def entry_of(listen: Listen) -> Entry:
    track = listen.track
    lasts = {"duration": track.seconds} if track.seconds else {}
    return Entry(
        kind="listen",
        verb="listen",
        title=f"{track.artist} – {track.title}",
        url=track.url or None,
        published=listen.at,
        tags=track.tags,
        data=track.names | lasts | dict(track.mbids),
    )


# -- what a client says -----------------------------------------------------------------------


def words(text: object) -> str:
    """One line of it, bounded, and nothing in it that is no text."""
    if not isinstance(text, str):
        return ""
    return " ".join(_NO_TEXT.sub(" ", text[: 4 * CHARS]).split())[:CHARS].strip()


def moment(text: str) -> datetime | None:
    """Seconds since 1970, written in digits."""
    found = text.strip()
    return datetime.fromtimestamp(int(found), UTC) if _SECONDS.fullmatch(found) else None


def in_time(at: datetime, now: datetime, ahead: timedelta = AHEAD) -> InTime:
    if at < OLDEST:
        return "too old"
    return "too new" if at > now + ahead else "yes"


def seconds(text: str) -> int:
    """How long a track is; 0 for what says nothing."""
    found = text.strip()
    return int(found) if _SECONDS.fullmatch(found) and int(found) <= MOST_SECONDS else 0


def mbid(text: object) -> str:
    """A MusicBrainz id as it is usually written; "" for what is none."""
    try:
        return str(UUID(text)) if isinstance(text, str) else ""
    except ValueError:
        return ""


def there(**found: str | list[str]) -> dict[str, str | list[str]]:
    """Those that say something."""
    return {name: value for name, value in found.items() if value}


def rows(pairs: Pairs) -> list[dict[str, str]]:
    """The batch in a form whose fields are called `artist[0]`, in order; where a field is there twice, the last counts.

    Whether letters are capital makes no difference. Fields without a number are one row, where there is no other.
    """
    numbered: dict[int, dict[str, str]] = {}
    plain: dict[str, str] = {}
    for name, value in pairs:
        if found := _NUMBERED.fullmatch(name):
            numbered.setdefault(int(found[2]), {})[found[1].lower()] = value
        else:
            plain[name.lower()] = value
    return [row for _, row in sorted(numbered.items())] or [plain]


def md5hex(text: str) -> str:
    """What the protocols of those years prove a password with."""
    return md5(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def same_secret(one: str, other: str) -> bool:
    """In constant time, and for whatever somebody sends."""
    return compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(sign for sign in plain if sign.isalnum()) or plain


def _digest(*parts: str) -> str:
    return blake2b("\x1f".join(parts).encode("utf-8", "replace"), digest_size=20).hexdigest()
