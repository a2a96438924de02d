"""Values in, HTML and JSON out. An entry's card is written once, in `templates/_entry.html`: the pages hold it, and the
`html` of the contract's Entry is the same. Reads nothing but the templates and the static files.

Each template is given `Everywhere`, and besides:

    timeline.html       page: Page
    source.html         page: Page, source: SourceFacts
    entry.html          stored: Stored
    sources.html        sources: list[SourceFacts]
    admin_sources.html  sources: list[SourceFacts], said, error: str, form: what was typed, by the field's name
    login.html          error: str
    setup.html          token, error: str, minimum: int
    error.html          status: int, title, detail: str
    gone.html hub.html  nothing more
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import blake2b
from typing import Any, TypedDict
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lifestream.config import Config
from lifestream.places import top
from lifestream.types import Entry, Filter, Media, Stored

WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()

LABELS: Mapping[str, str] = {
    "article": "Post", "note": "Note", "photo": "Photo", "video": "Video", "audio": "Audio", "listen": "Listen",
    "watch": "Watched", "code": "Code", "release": "Release", "like": "Like", "repost": "Repost", "reply": "Reply",
    "bookmark": "Bookmark", "follow": "Follow", "checkin": "Check-in", "event": "Event", "other": "Entry",
}  # fmt: skip
"""What one entry of a kind is called."""
PLURALS: Mapping[str, str] = {
    "article": "Writing", "note": "Notes", "photo": "Photos", "video": "Videos", "audio": "Audio", "listen": "Music",
    "watch": "Watched", "code": "Code", "release": "Releases", "like": "Likes", "repost": "Reposts",
    "reply": "Replies", "bookmark": "Bookmarks", "follow": "Follows", "checkin": "Places", "event": "Events",
    "other": "Other",
}  # fmt: skip
"""What all of a kind are called."""
OFFERED = ("article", "note", "photo", "listen", "code", "release", "like", "checkin")
"""The kinds that the filters offer; the others have an address too."""

LINK_CLASSES: Mapping[str, str] = {
    "like": "u-like-of", "repost": "u-repost-of", "bookmark": "u-bookmark-of", "follow": "u-follow-of",
    "listen": "u-listen-of", "watch": "u-watch-of",
}  # fmt: skip
"""microformats2: what the link of an entry of this kind is to it; of the others it is the original of this copy."""

WHOLE_CHARS = 2000
"""What has more HTML than this is shown by its beginning, and as a whole on its own page."""
COMMITS_SHOWN = 5


# -- what the templates are given -------------------------------------------------------------


class SiteFacts(TypedDict):
    title: str
    author: str
    author_url: str
    base_url: str
    hub_url: str
    lang: str
    timezone: str


class Everywhere(TypedDict):
    """`csrf` is the session's token where there is an owner, else empty; `path` is that of the request."""

    site: SiteFacts
    owner: bool
    csrf: str
    path: str
    now: datetime


class Page(TypedDict):
    """A part of the stream, newest first; `days` has the same entries under the owner's days.

    `live`: the page begins with the newest, so it can go on by itself from `seq` at `live_url`.
    `first_run`: there is nothing yet that could bring entries.
    """

    entries: list[Stored]
    days: list[tuple[date, list[Stored]]]
    next: str | None
    seq: int
    filter: Filter
    live: bool
    live_url: str
    feed_url: str
    first_run: bool


class SourceFacts(TypedDict):
    """The contract's Source."""

    slug: str
    title: str
    url: str
    feed_url: str | None
    topic: str | None
    kind: str
    visibility: str
    state: str
    delivery: str
    hub_url: str | None
    lease_expires: str | None
    last_push: str | None
    last_fetch: str | None
    last_entry: str | None
    last_error: str | None
    entry_count: int
    missed: int


@dataclass(frozen=True, slots=True)
class Commit:
    id: str
    message: str
    url: str


class Renderer:
    def __init__(self, zone: ZoneInfo, author: str = "") -> None:
        """`author` is the owner's name: entries by somebody else say whose they are."""
        self._zone = zone
        self._author = author.casefold()
        self._static: dict[str, str] = {}
        self._env = Environment(
            loader=FileSystemLoader(top("templates")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._env.filters |= {
            "clock": self._clock,
            "moment": self._moment,
            "iso": self._iso,
            "weekday": lambda day: WEEKDAYS[day.weekday()],
            "date": _date,
            "address": quote,
        }
        self._env.globals |= {
            "static": self.static_url,
            "card": self._card,
            "link": stream_url,
            "filter_title": filter_title,
            "labels": LABELS,
            "plurals": PLURALS,
            "offered": OFFERED,
        }
        self._entry = self._env.get_template("_entry.html")

    @classmethod
    def of(cls, config: Config) -> "Renderer":
        return cls(config.zone, config.author)

    def page(self, template: str, context: Mapping[str, Any]) -> str:
        return self._env.get_template(template).render(context)

    def entry_card(self, stored: Stored, *, whole: bool = False) -> str:
        """The entry as the pages show it; `whole` is for its own page."""
        entry = stored.entry
        local = stored.ordered_at.astimezone(self._zone)
        short = whole or len(entry.content_html) <= WHOLE_CHARS
        commits = _commits(entry) if entry.kind == "code" else ()
        return self._entry.render(
            stored=stored,
            entry=entry,
            source=stored.source,
            whole=whole,
            local=local,
            ordered=stored.ordered_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            url=_web(entry.url),
            link_class=LINK_CLASSES.get(entry.kind, "u-syndication"),
            label=_label(stored),
            short=short,
            author=self._somebody_else(entry),
            reply_to=_web(entry.in_reply_to),
            media=_media(entry, short) if entry.media else (),
            commits=commits if whole else commits[:COMMITS_SHOWN],
            commit_count=len(commits),
            repository=_text(entry.data.get("repository")) if commits else "",
            branch=_text(entry.data.get("branch")) if commits else "",
            compare_url=_web(entry.data.get("compare_url")) if commits else "",
            track=_text(entry.data.get("track")) if entry.kind == "listen" else "",
            artist=_text(entry.data.get("artist")) if entry.kind == "listen" else "",
            album=_text(entry.data.get("album")) if entry.kind == "listen" else "",
        )

    def entry_json(self, stored: Stored) -> bytes:
        """The contract's Entry, its card included; of one that is deleted nothing but who it was."""
        if stored.deleted:
            return self.tombstone_json(stored)
        return orjson.dumps(_entry_dict(stored, stored.entry, self.entry_card(stored), hidden=False))

    def tombstone_json(self, stored: Stored) -> bytes:
        """The Entry of one that is gone, or gone for who asks: who it was, and nothing of what it said.

        A private source gives no more than its slug: its title and address may be newer than what was seen.
        """
        hidden = stored.source.visibility == "private"
        return orjson.dumps(_entry_dict(stored, Entry(), "", hidden=hidden) | {"deleted": True})

    def day_of(self, stored: Stored) -> date:
        """The owner's day that an entry stands under."""
        return stored.ordered_at.astimezone(self._zone).date()

    def static_url(self, path: str) -> str:
        """The address of a static file, with the hash of its content: it may be kept for ever."""
        found = self._static.get(path)
        if found is None:
            digest = blake2b((top("static") / path).read_bytes(), digest_size=6).hexdigest()
            found = self._static[path] = f"/static/{path}?v={digest}"
        return found

    def _card(self, stored: Stored, whole: bool = False) -> Markup:
        return Markup(self.entry_card(stored, whole=whole))

    def _somebody_else(self, entry: Entry) -> tuple[str, str] | None:
        """The name and address of an author who is not the owner."""
        author = entry.author
        if author is None or not author.name or author.name.casefold() == self._author:
            return None
        return author.name, _web(author.url)

    def _local(self, when: datetime | str) -> datetime:
        moment = datetime.fromisoformat(when) if isinstance(when, str) else when
        try:
            return moment.astimezone(self._zone)
        except OverflowError:  # the first or last hours of the calendar
            return moment

    def _clock(self, when: datetime | str) -> str:
        return f"{self._local(when):%H:%M}"

    def _moment(self, when: datetime | str) -> str:
        local = self._local(when)
        return f"{_date(local)}, {local:%H:%M}"

    def _iso(self, when: datetime | str) -> str:
        return self._local(when).isoformat(timespec="seconds")


# -- addresses and titles ---------------------------------------------------------------------


def stream_url(wanted: Filter, **changed: str) -> str:
    """The page that shows `wanted`, with some of it changed."""
    near = wanted.near
    query = {
        "kind": wanted.kind,
        "source": wanted.source,
        "tag": wanted.tag,
        "near": f"{near.lat},{near.lon},{near.km}" if near else "",
        "q": wanted.q,
    } | changed
    asked = urlencode({name: value for name, value in query.items() if value})
    return f"/?{asked}" if asked else "/"


def filter_title(wanted: Filter) -> str:
    """A filter in words, as a heading."""
    words = [PLURALS.get(wanted.kind, "Everything")]
    if wanted.source:
        words.append(f"from {wanted.source}")
    if wanted.tag:
        words.append(f"tagged “{wanted.tag}”")
    if wanted.near:
        words.append(f"within {wanted.near.km:g} km of {wanted.near.lat:.2f}, {wanted.near.lon:.2f}")
    if wanted.q:
        words.append(f"with the words “{wanted.q}”")
    return " ".join(words)


def _date(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


# -- the parts of a card ----------------------------------------------------------------------


def _label(stored: Stored) -> str:
    entry = stored.entry
    if entry.kind == "photo" and (count := sum(one.type.startswith("image") for one in entry.media)) > 1:
        return f"{count} photos"
    return LABELS[entry.kind]


def _media(entry: Entry, content_is_shown: bool) -> Sequence[Media]:
    """What the content that is shown does not link to itself: there, pictures are links already."""
    if not content_is_shown:
        return entry.media
    return [
        one for one in entry.media if not one.type.startswith("image") or html.escape(one.url) not in entry.content_html
    ]


def _commits(entry: Entry) -> Sequence[Commit]:
    """`data` is what a publisher or a webhook made of it: nothing in it is taken on trust."""
    found = entry.data.get("commits")
    commits: Iterable[Any] = found if isinstance(found, list | tuple) else ()
    return [
        Commit(
            id=_text(one.get("id"))[:7],
            message=_text(one.get("message")).strip().partition("\n")[0][:200],
            url=_web(one.get("url")),
        )
        for one in commits
        if isinstance(one, Mapping)
    ]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _web(value: object) -> str:
    """An address that may stand in a link: http or https, else none."""
    return value if isinstance(value, str) and value.startswith(("http://", "https://")) else ""


# -- JSON -------------------------------------------------------------------------------------


def _entry_dict(stored: Stored, entry: Entry, card: str, *, hidden: bool) -> dict[str, Any]:
    source, author, place = stored.source, entry.author, entry.location
    return {
        "id": stored.id,
        "seq": stored.seq,
        "first_seq": stored.first_seq,
        "source": {
            "slug": source.slug,
            "title": "" if hidden else source.title,
            "url": "" if hidden else source.url,
        },
        "kind": entry.kind,
        "verb": entry.verb,
        "title": entry.title,
        "url": entry.url,
        "content_html": entry.content_html,
        "summary": entry.summary,
        "author": {"name": author.name, "url": author.url, "photo": author.photo} if author else None,
        "published": _utc(entry.published),
        "updated": _utc(entry.updated),
        "received": _utc(stored.received),
        "tags": entry.tags,
        "media": [
            {
                "type": one.type,
                "url": one.url,
                "width": one.width,
                "height": one.height,
                "alt": one.alt,
                "thumbnail": one.thumbnail,
            }
            for one in entry.media
        ],
        "location": {"lat": place.lat, "lon": place.lon, "name": place.name} if place else None,
        "data": dict(entry.data),
        "deleted": False,
        "html": card,
    }


def _utc(when: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z") if when else None
