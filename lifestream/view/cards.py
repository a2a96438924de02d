"""What the card of an entry shows, by its kind. `data` is what a publisher or a webhook made of it: nothing in it is
taken on trust.
"""

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log
from typing import Any, Literal

from lifestream.clean.html import beginning_of_clean, quoted, summary_of, text_of_clean
from lifestream.protocol.pictures import Picture
from lifestream.types import Entry, Media

Layout = Literal["line", "listen", "push", "release", "place", "words"]
PictureOf = Callable[[str, int | None], Picture | None]

GLYPHS: Mapping[str, str] = {"article": "post", "checkin": "place"}
"""The symbol of static/icons.svg that stands for a kind, where it is not called as the kind is."""
COMPACT = frozenset({"like", "follow", "listen"})
NOTE_CHARS = 500
"""What says more is shown by its beginning, and as a whole on its own page."""
WORDS_A_MINUTE = 230
LEAST_READ = 100
"""Fewer words than this are no reading."""
COMMITS_SHOWN = 5
PICTURES_SHOWN = 5
NOTES_SHOWN = 4
RATIOS: Mapping[str, float] = {
    "a34": 3 / 4, "a45": 4 / 5, "a11": 1, "a54": 5 / 4, "a43": 4 / 3, "a32": 3 / 2, "a169": 16 / 9, "a21": 2,
}  # fmt: skip
"""The shapes a picture of several may take, by the class of style.css."""

_SAMPLE = 20_000
_TAG = re.compile(r"<[^<>]*>")
_LINK = re.compile(r'<a href="([^"]*)"[^<>]*>([^<]*)</a>')
_EMPTY = re.compile(r"<(p|figure|div|figcaption|li|ul)>\s*</\1>")
_ITEM = re.compile(r"<(li|p|h[3-6])>(.*?)</\1>", re.S)
_TOLD = re.compile(
    r"(?:liked|favou?rited|starred|loved|followed|started following|now follows|reposted|shared|boosted|forked)\b", re.I
)


def layout_of(entry: Entry) -> Layout:
    match entry.kind:
        case "like" | "repost" | "follow":
            return "line"
        case "listen" | "watch":
            return "listen"
        case "code" if commits_of(entry):
            return "push"
        case "release":
            return "release"
        case "checkin":
            return "place"
        case _:
            return "words"


# -- words ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Words:
    """`html` is clean markup; `text` stands for what is too long to be shown whole."""

    html: str = ""
    text: str = ""
    cut: bool = False


def words_of(entry: Entry, *, whole: bool, show: Callable[[Media], str]) -> Words:
    """What is read. The links that stand for pictures become what `show` makes of them."""
    if entry.kind == "article" and not whole and (entry.title or len(entry.content_html) > NOTE_CHARS):
        return Words(text=_excerpt(entry), cut=True)
    content = with_pictures(entry.content_html, entry.media, show)
    if not content:
        return Words(text=entry.summary if not entry.content_html else "")
    if whole or len(content) <= NOTE_CHARS:
        return Words(html=content)
    text = beginning_of_clean(content)
    if len(text) <= NOTE_CHARS:
        return Words(html=content)
    return Words(text=summary_of(text, NOTE_CHARS), cut=True)


def _excerpt(entry: Entry) -> str:
    """A summary that was made of the words themselves names pictures too; those are not read."""
    content = entry.content_html[:_SAMPLE]
    unnamed = with_pictures(content, entry.media, lambda _: "")
    derived = unnamed != content and text_of_clean(content).startswith(entry.summary.removesuffix("…"))
    return summary_of(text_of_clean(unnamed)) if derived else entry.summary


def with_pictures(content: str, media: Sequence[Media], show: Callable[[Media], str]) -> str:
    """The content, in which clean/html.py put links for pictures, with what `show` says in their places."""
    named = {quoted(one.url): one for one in media if one.type.startswith("image")}
    if not named or "<a " not in content:
        return content

    def shown(link: re.Match[str]) -> str:
        one = named.get(link[1])
        return show(one) if one and html.unescape(link[2]) in ("Picture", one.alt) else link[0]

    changed = _LINK.sub(shown, content)
    return changed if changed == content else _EMPTY.sub("", _EMPTY.sub("", changed)).strip()


def minutes_of(entry: Entry) -> int:
    """How long a post takes to read; 0 for what is no reading. Of a long one, its beginning speaks for all."""
    content = entry.content_html
    sample = content[:_SAMPLE]
    words = len(_TAG.sub(" ", sample).split()) * max(1.0, len(content) / _SAMPLE)
    return max(1, round(words / WORDS_A_MINUTE)) if words >= LEAST_READ else 0


# -- pictures, films, sounds ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture as a card shows it; `whole`: nothing of it is cut off."""

    media: Media
    picture: Picture
    href: str
    alt: str
    whole: bool = False

    @property
    def ratio(self) -> str:
        """The nearest of the shapes a picture of several may take."""
        width, height = self.media.width, self.media.height
        if not width or not height:
            return "a32"
        return min(RATIOS, key=lambda name: abs(log(RATIOS[name] * height / width)))

    @property
    def shape(self) -> str:
        """How a picture by itself is held in bounds; nothing for one that keeps its own shape."""
        width, height = self.media.width, self.media.height
        if not width or not height:
            return "unsized"
        if self.whole:
            return ""
        return "tall" if width / height < 0.75 else "broad" if width / height > 2 else ""


@dataclass(frozen=True, slots=True)
class Film:
    """`plays` here, or is a link to where it does."""

    media: Media
    poster: Picture | None
    plays: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """`rows` of pictures, and how many more there are. `files` are for whoever wants to open them."""

    rows: Sequence[Sequence[Shot]] = ()
    more: int = 0
    films: Sequence[Film] = ()
    sounds: Sequence[Media] = ()
    files: Sequence[Media] = ()

    def __bool__(self) -> bool:
        return bool(self.rows or self.films or self.sounds or self.files)


def figures_of(entry: Entry, picture: PictureOf, href: str, *, whole: bool, inline: frozenset[str]) -> Figures:
    """What an entry carries; `inline` are the addresses that its words show already, `href` is where its pictures
    lead. A post's own pictures are on its page."""
    brief = entry.kind == "article" and not whole
    shots: list[Shot] = []
    films: list[Film] = []
    sounds: list[Media] = []
    files: list[Media] = []
    for one in entry.media:
        kind = one.type.partition("/")[0]
        if not web(one.url) or one.url in inline or kind == "image" and brief:
            continue
        plays = "/" in one.type and one.url.startswith("https:")
        if kind == "image" and (kept := picture(one.url, one.width)):
            shots.append(Shot(one, kept, href, one.alt or entry.title or "Picture", whole))
        elif kind == "video":
            films.append(Film(one, picture(one.thumbnail, None) if one.thumbnail else None, plays))
        elif kind == "audio" and plays:
            sounds.append(one)
        else:
            files.append(one)
    shown = shots if whole else shots[:PICTURES_SHOWN]
    return Figures(rows_of(shown), len(shots) - len(shown), films, sounds, files)


def rows_of(shots: Sequence[Shot]) -> Sequence[Sequence[Shot]]:
    """Up to three pictures are one row; more fill rows of two and of three."""
    if len(shots) <= 3:
        return [shots] if shots else []
    pairs = 2 * (-len(shots) % 3)
    return [
        *(shots[at : at + 2] for at in range(0, pairs, 2)),
        *(shots[at : at + 3] for at in range(pairs, len(shots), 3)),
    ]


def lasts(entry: Entry) -> str:
    """How long it plays: "0:48", "1:02:03"."""
    seconds = entry.data.get("duration")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 1 <= seconds < 10**6:
        return ""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def warning_of(entry: Entry) -> str:
    """What stands before something that not everybody wants to see."""
    said = text(entry.data.get("content_warning"))
    return said or ("Sensitive" if entry.data.get("sensitive") is True else "")


# -- what people do ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Track:
    name: str
    artist: str
    album: str


def track_of(entry: Entry) -> Track:
    data = entry.data
    return Track(text(data.get("track")) or entry.title or "", text(data.get("artist")), text(data.get("album")))


@dataclass(frozen=True, slots=True)
class Commit:
    id: str
    message: str
    url: str


@dataclass(frozen=True, slots=True)
class Push:
    """`green` is how much of a bar of 84 what was added takes; -1 where nobody counted."""

    repository: str
    branch: str
    url: str
    commits: Sequence[Commit]
    count: int
    added: int
    removed: int
    files: int

    @property
    def name(self) -> str:
        return self.repository.rpartition("/")[2]

    @property
    def green(self) -> int:
        changed = self.added + self.removed
        return round(84 * self.added / changed) if changed else -1


def push_of(entry: Entry, *, whole: bool) -> Push:
    data, commits = entry.data, commits_of(entry)
    return Push(
        repository=text(data.get("repository")),
        branch=text(data.get("branch")),
        url=web(data.get("compare_url")) or web(entry.url),
        commits=commits if whole else commits[:COMMITS_SHOWN],
        count=len(commits),
        added=_amount(data.get("additions")),
        removed=_amount(data.get("deletions")),
        files=_amount(data.get("files")),
    )


def commits_of(entry: Entry) -> Sequence[Commit]:
    found = entry.data.get("commits")
    commits: Iterable[Any] = found if isinstance(found, list | tuple) else ()
    return [
        Commit(
            id=text(one.get("id"))[:7],
            message=text(one.get("message")).strip().partition("\n")[0][:200],
            url=web(one.get("url")),
        )
        for one in commits
        if isinstance(one, Mapping)
    ]


@dataclass(frozen=True, slots=True)
class Release:
    name: str
    version: str
    notes: Sequence[str]


def release_of(entry: Entry) -> Release:
    """ "tidepool", "2.1.0" where that is known; else what its title says."""
    name = text(entry.data.get("repository")).rpartition("/")[2]
    version = text(entry.data.get("tag"))
    items = (text_of_clean(found[2]) for found in _ITEM.finditer(entry.content_html[:_SAMPLE]))
    notes = [summary_of(item, 160) for item in items if item][:NOTES_SHOWN]
    if not notes and entry.summary:
        notes = [entry.summary]
    return Release(name, version, notes) if name and version else Release(entry.title or version or name, "", notes)


@dataclass(frozen=True, slots=True)
class Deed:
    """One line in which `name` is a link: "Liked *this* by somebody"."""

    before: str
    name: str
    after: str
    url: str


DID: Mapping[str, str] = {"like": "Liked", "repost": "Reposted", "follow": "Now follows"}
SOMETHING: Mapping[str, str] = {
    "note": "a note", "article": "a post", "photo": "a photo", "image": "a photo", "video": "a video",
    "audio": "a recording", "comment": "a comment", "person": "somebody", "follow": "somebody",
}  # fmt: skip


def deed_of(entry: Entry) -> Deed:
    given = entry.data.get("about")
    about: Mapping[str, object] = given if isinstance(given, Mapping) else {}
    name, by, title = text(about.get("title")), text(about.get("author")), entry.title or ""
    url = web(about.get("url")) or web(entry.url)
    if entry.kind == "follow":
        name, by = name or by, ""
    if name and name in title:
        before, _, after = title.partition(name)
        return Deed(before, name, after, url)
    if not name and _TOLD.match(title):
        return Deed("", title, "", url)
    something = SOMETHING.get(text(about.get("type"))) or SOMETHING.get(entry.kind) or "a post"
    return Deed(f"{DID[entry.kind]} ", name or title or something, f" by {by}" if by else "", url)


def begins_of(entry: Entry) -> tuple[datetime | None, datetime | None]:
    """When an event begins and ends."""
    return _moment(entry.data.get("start")), _moment(entry.data.get("end"))


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text(value))
    except ValueError:
        return None


# -- what may be believed ---------------------------------------------------------------------


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def web(value: object) -> str:
    """An address that may stand in a link: http or https, else none."""
    return value if isinstance(value, str) and value.startswith(("http://", "https://")) else ""


def _amount(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else 0
