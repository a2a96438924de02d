"""Values in, HTML out. An entry's card is written once, in `templates/_entry.html`: the pages hold it, and the `html`
of the contract's Entry is the same. Reads nothing but the templates and the static files.

Each template is given `Everywhere`, and besides:

    timeline.html       page: pages.Page, playing
    source.html         page: pages.Page, playing, source: SourceFacts
    entry.html          stored: Stored, and what pages.py finds around it
    day.html month.html year.html  see archive.py
    sources.html        sources: list[SourceFacts]
    login.html          error: str
    setup.html          token, error: str, minimum: int
    error.html          status: int, title, detail: str
    gone.html hub.html about.html  nothing more
"""

import html
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any, TypedDict
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lifestream import static_files
from lifestream.config import Config, Link
from lifestream.places import top
from lifestream.protocol.pictures import Picture, Pictures
from lifestream.types import Entry, Location, Media, Stored
from lifestream.view import bursts, cards, filters, found, globe, showing, words
from lifestream.view.bursts import Group, Item, amount_of
from lifestream.view.cards import web
from lifestream.view.words import LABELS, PLURALS

LINK_CLASSES: Mapping[str, str] = {
    "like": "u-like-of", "repost": "u-repost-of", "bookmark": "u-bookmark-of", "follow": "u-follow-of",
    "listen": "u-listen-of", "watch": "u-watch-of",
}  # fmt: skip
"""microformats2: what the link of an entry of this kind is to it; of the others it is the original of this copy."""

COVERS_SHOWN = 3
CARDS_KEPT = 1000
"""Cards that are not written again, while their entries have not changed."""


# -- what the templates are given -------------------------------------------------------------


class SiteFacts(TypedDict):
    """`picture` is the address of the owner's, or empty."""

    title: str
    author: str
    author_url: str
    note: str
    picture: str
    links: Sequence[Link]
    base_url: str
    hub_url: str
    lang: str
    timezone: str


class Everywhere(TypedDict):
    """`csrf` is the session's token where there is an owner, else empty; `path` is that of the request;
    `theme` is empty where the reader chose none."""

    site: SiteFacts
    owner: bool
    csrf: str
    path: str
    now: datetime
    theme: str


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
class Member:
    """One line of a group's card."""

    stored: Stored
    name: str
    by: str
    url: str
    link_class: str
    amount: int
    artist: str
    album: str
    commits: Sequence[cards.Commit]


class Renderer:
    def __init__(self, zone: ZoneInfo, author: str = "", pictures: Pictures | None = None, lang: str = "en") -> None:
        """`author` is the owner's name: entries by somebody else say whose they are."""
        self._zone = zone
        self._author = author
        self._lang = lang
        self._pictures = pictures or Pictures()
        self._icons: dict[str, Markup] = {}
        self._cards: dict[Hashable, str] = {}
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
            "zone": self._zone_words,
            "date_path": lambda when: f"{self._local(when):%Y/%m}",
            "ordered": _ordered,
            "counted": words.counted,
            "age": words.age,
            "from_right": words.from_right,
            "month_words": words.month_words,
            "asked": filters.asked,
            "day_words": lambda when: words.day_and_month(self._local(when)),
            "day": lambda stored: self._local(stored.ordered_at).date().isoformat(),
            "later": _later,
            "name": lambda stored: showing.name_of(stored.entry),
            "weekday": words.weekday,
            "date": words.date_words,
            "address": quote,
        }
        self._env.globals |= {
            "static": static_files.address,
            "card": self._card,
            "shown": self._shown,
            "icon": self._icon,
            "locator": self._locator,
            "coordinates": globe.coordinates,
            "link": filters.stream_url,
            "filter_title": filters.filter_title,
            "labels": LABELS,
            "plurals": PLURALS,
            "offered": filters.OFFERED,
        }
        self._entry = self._env.get_template("_entry.html")
        self._picture = self._env.get_template("_picture.html")
        self._burst = self._env.get_template("_burst.html")

    @classmethod
    def of(cls, config: Config, pictures: Pictures | None = None) -> "Renderer":
        return cls(config.zone, config.author, pictures, config.lang)

    def settle(self, config: Config) -> None:
        """Writes by these settings from now on."""
        self._zone, self._author, self._lang = config.zone, config.author, config.lang
        self._cards.clear()

    def page(self, template: str, context: Mapping[str, Any]) -> str:
        return self._env.get_template(template).render(context)

    def entry_card(self, stored: Stored, *, whole: bool = False, below: str = "") -> str:
        """The entry as the pages show it; `whole` is for its own page. `below` is the hour of what stands under it."""
        entry, source = stored.entry, stored.source
        local = stored.ordered_at.astimezone(self._zone)
        layout = cards.layout_of(entry)
        href = f"/entries/{stored.id}"
        shown: list[str] = []
        text = cards.words_of(entry, whole=whole, show=partial(self._inline, stored, whole, shown))
        picture = self._pictures.picture if source.pictures else _no_picture
        figures = cards.figures_of(
            entry, picture, web(entry.url) or href if whole else href, whole=whole, inline=frozenset(shown)
        )
        return self._entry.render(
            stored=stored,
            entry=entry,
            source=source,
            whole=whole,
            iso=local.isoformat(timespec="seconds"),
            day=local.date(),
            weekday=words.weekday(local),
            date=words.date_words(local),
            clock=f"{local:%H:%M}",
            hour=f"{local:%H}",
            below=below or f"{local:%H}",
            compact=entry.kind in cards.COMPACT,
            glyph=cards.GLYPHS.get(entry.kind, entry.kind),
            group=bursts.key_of(stored),
            gap=bursts.gap_of(stored),
            layout=f"_{layout}.html",
            label="Push" if layout == "push" else _label(stored),
            preposition="to" if layout == "push" else "on",
            aside=_aside(entry),
            author=self._author_of(entry, whole),
            reply_to=web(entry.in_reply_to),
            warning=cards.warning_of(entry),
            url=web(entry.url),
            link_class=LINK_CLASSES.get(entry.kind, "u-syndication"),
            title=entry.title if entry.title != entry.data.get("content_warning") else None,
            words=text,
            quoted=layout == "line",
            original=layout == "words" and bool(entry.url) and not entry.title,
            figures=figures,
            under=entry.kind in ("photo", "video") and bool(figures.rows or figures.films),
            lasts=cards.lasts(entry),
            place=_about_there(entry.location),
            **self._of_layout(stored, layout, whole),
        )

    def _of_layout(self, stored: Stored, layout: cards.Layout, whole: bool) -> dict[str, Any]:
        """What one layout alone shows."""
        entry = stored.entry
        match layout:
            case "push":
                return {"push": cards.push_of(entry, whole=whole)}
            case "release":
                return {"release": cards.release_of(entry)}
            case "listen":
                return {"track": cards.track_of(entry), "cover": self._cover(stored)}
            case "line":
                return {"deed": cards.deed_of(entry)}
            case "place":
                return {}
            case "words":
                return {"begins": cards.begins_of(entry)}

    def _cover(self, stored: Stored) -> Picture | None:
        pictures = (one for one in stored.entry.media if one.type.startswith("image"))
        found = next(pictures, None) if stored.source.pictures else None
        return self._pictures.picture(found.url, found.width) if found else None

    def _inline(self, stored: Stored, whole: bool, shown: list[str], one: Media) -> str:
        """What stands in a text for one of its pictures: on its own page a post shows them where they are."""
        picture = self._pictures.picture(one.url, one.width) if stored.source.pictures else None
        if not whole or stored.entry.kind != "article" or picture is None:
            return ""
        shown.append(one.url)
        shot = cards.Shot(one, picture, one.url, one.alt or "Picture")
        image = self._picture.render(shot=shot, sizes="(min-width: 720px) 654px, 100vw", css="")
        return f'<a href="{html.escape(one.url)}">{image}</a>'

    def group_card(self, group: Group, below: str = "") -> str:
        """The entries of a burst as one card; `below` is the hour of what stands under it, "09"."""
        local = group.newest.ordered_at.astimezone(self._zone)
        photos = self._photos(group)
        return self._burst.render(
            group=group,
            local=local,
            below=below or f"{local:%H}",
            told=bursts.told(group, self._lang),
            covers=self._covers(group) if group.kind == "listen" else (),
            rows=cards.rows_of(photos[: cards.PICTURES_SHOWN]),
            more=max(0, len(photos) - cards.PICTURES_SHOWN),
            members=[self._member(one) for one in group.members],
        )

    def _shown(self, item: Item, below: str, query: str = "") -> Markup:
        """One card of a page; the words of the search are marked."""
        members = item.members if isinstance(item, Group) else (item,)
        # The size of a picture is learned later, and is no change of the entry.
        key = (below, *((one.id, one.seq, one.source, one.entry.media) for one in members))
        card = self._cards.get(key)
        if card is None:
            card = self.group_card(item, below) if isinstance(item, Group) else self.entry_card(item, below=below)
            self._cards[key] = card
            if len(self._cards) > CARDS_KEPT:
                del self._cards[next(iter(self._cards))]
        return Markup(found.marked(card, query) if query else card)

    def _photos(self, group: Group) -> list[cards.Shot]:
        """The pictures of a group of photos, newest entry first; each leads to its own page."""
        if group.kind != "photo" or not group.newest.source.pictures:
            return []
        return [
            cards.Shot(one, kept, f"/entries/{stored.id}", one.alt or stored.entry.title or "Photo")
            for stored in group.members
            for one in stored.entry.media
            if one.type.startswith("image") and (kept := self._pictures.picture(one.url, one.width))
        ]

    def _covers(self, group: Group) -> list[Picture]:
        """Up to three different covers of what was listened to."""
        if not group.newest.source.pictures:
            return []
        urls = {one.url: one for stored in group.members for one in stored.entry.media if one.type.startswith("image")}
        covers = (self._pictures.picture(one.url, one.width) for one in urls.values())
        return [one for one in covers if one][:COVERS_SHOWN]

    def _member(self, stored: Stored) -> Member:
        entry = stored.entry
        return Member(
            stored=stored,
            name=bursts.text_of(stored, "track") or entry.title or entry.summary or LABELS[entry.kind],
            by=bursts.text_of(stored, "artist"),
            url=web(entry.url),
            link_class=LINK_CLASSES.get(entry.kind, "u-syndication"),
            amount=amount_of(entry),
            artist=bursts.text_of(stored, "artist"),
            album=bursts.text_of(stored, "album"),
            commits=cards.commits_of(entry) if entry.kind == "code" else (),
        )

    def slide(self, stored: Stored) -> showing.Slide | None:
        """The entry as large as a screen; None for what is not to be shown so."""
        return showing.slide_of(stored.entry, self._pictures.picture if stored.source.pictures else _no_picture)

    @cached_property
    def land(self) -> globe.Land:
        return globe.Land.read((top("static") / "vendor" / "land.json").read_bytes())

    def _locator(self, lat: float, lon: float) -> Markup:
        return globe.locator(self.land, round(lat, 2), round(lon, 2))

    def _card(self, stored: Stored, below: str = "", whole: bool = False) -> Markup:
        return Markup(self.entry_card(stored, whole=whole, below=below))

    def _icon(self, name: str) -> Markup:
        """A symbol of static/icons.svg, for the eye alone."""
        found = self._icons.get(name)
        if found is None:
            symbol = f"{static_files.address('icons.svg')}#{name}"
            found = self._icons[name] = Markup('<svg class="i" aria-hidden="true"><use href="{}"/></svg>').format(
                symbol
            )
        return found

    def _author_of(self, entry: Entry, whole: bool) -> tuple[str, str] | None:
        """The name and address of who wrote it, where that is not the owner; on a page of its own, of him too."""
        author = entry.author
        if author is None or not author.name or author.name.casefold() == self._author.casefold():
            return (self._author, "/") if whole and self._author else None
        return author.name, web(author.url)

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
        return f"{words.date_words(local)}, {local:%H:%M}"

    def _zone_words(self, now: datetime) -> str:
        """ "Lisbon, UTC+0"."""
        minutes = int((self._local(now).utcoffset() or timedelta()).total_seconds() // 60)
        hours, rest = divmod(abs(minutes), 60)
        offset = f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")
        place = str(self._zone).rpartition("/")[2].replace("_", " ")
        return "UTC" if place == "UTC" else f"{place}, {offset}"

    def _iso(self, when: datetime | str) -> str:
        return self._local(when).isoformat(timespec="seconds")


# -- facts of an entry ------------------------------------------------------------------------


def _ordered(stored: Stored) -> str:
    return stored.ordered_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _later(stored: Stored) -> str:
    """How long after it was published an entry was seen here: "0.9 s"; nothing for history, and what has no moment."""
    published = stored.entry.published
    seconds = (stored.received - published).total_seconds() if published else -1
    if not 0 <= seconds < 3600:
        return ""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _no_picture(_url: str, _width: int | None = None) -> Picture | None:
    """Of a source whose pictures are not kept: its cards link to them."""
    return None


# -- the parts of a card ----------------------------------------------------------------------


def _label(stored: Stored) -> str:
    entry = stored.entry
    if entry.kind == "photo" and (count := sum(one.type.startswith("image") for one in entry.media)) > 1:
        return f"{count} photos"
    return LABELS[entry.kind]


def _about_there(place: Location | None) -> Location | None:
    """To a kilometre: near enough for a page, and nobody's door."""
    return place and replace(place, lat=round(place.lat, 2), lon=round(place.lon, 2))


def _aside(entry: Entry) -> str:
    """What the line above an entry says last: how long it takes."""
    if entry.kind == "article" and (minutes := cards.minutes_of(entry)):
        return f"{minutes} min"
    return cards.lasts(entry) if entry.kind == "audio" else ""
