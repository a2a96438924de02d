"""What a page's <head> says to programs (templates/_meta.html): its address, its feeds, and how to show a link to it.

OpenGraph (https://ogp.me), schema.org as JSON-LD, oEmbed's discovery.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

import orjson
from markupsafe import Markup

from lifestream.config import Config
from lifestream.protocol.pictures import Pictures
from lifestream.protocol.topics import FORMAT_NAMES, FORMATS, MEDIA_TYPES, Topic
from lifestream.publish import preview
from lifestream.publish.feeds.document import rfc3339, site_title
from lifestream.types import Filter, Kind, Stored
from lifestream.view.cards import warning_of
from lifestream.view.filters import filter_title
from lifestream.view.words import LABELS

PRIVATE_PATHS = ("/admin", "/login", "/setup", "/logout")
THINGS: Mapping[Kind, str] = {
    "article": "BlogPosting", "photo": "Photograph", "video": "VideoObject", "audio": "AudioObject",
    "like": "LikeAction", "follow": "FollowAction", "listen": "ListenAction", "watch": "WatchAction",
    "checkin": "CheckInAction", "bookmark": "BookmarkAction", "reply": "Comment", "event": "Event",
}  # fmt: skip
"""What schema.org calls an entry of a kind; every other one is a SocialMediaPosting."""
WORDS = 200


@dataclass(frozen=True, slots=True)
class Feed:
    type: str
    title: str
    href: str


@dataclass(frozen=True, slots=True)
class Head:
    title: str
    url: str
    """The page's one address; empty where it is nobody's business but the owner's."""
    description: str = ""
    type: str = "website"
    image: str = ""
    image_alt: str = ""
    feeds: tuple[Feed, ...] = ()
    self_url: str = ""
    """Of the feed that a hub is asked for who subscribes to this page."""
    published: str = ""
    updated: str = ""
    tags: tuple[str, ...] = ()
    json_ld: Markup = Markup()
    embed: str = ""
    """The address by which oEmbed asks for it."""


def unlisted(title: str) -> Head:
    """Of a page for the owner alone, or of none at all: nobody is to find it."""
    return Head(title, "")


def of_page(config: Config, path: str) -> Head:
    """Of any page that has no more to say than where it is."""
    title = site_title(config)
    if path.startswith(PRIVATE_PATHS):
        return unlisted(title)
    return Head(
        title=title,
        url=config.base_url + quote(path),
        description=_about(config),
        image=f"{config.base_url}/og.png",
        image_alt=title,
        feeds=feeds_of(config, Filter()),
    )


def of_stream(config: Config, wanted: Filter, heading: str, *, source: str = "", before: str = "") -> Head:
    """`heading` is what the page is called where it is a part of the stream, `source` that of one source."""
    topic = Topic.of("atom", wanted)
    feeds = feeds_of(config, wanted, source)
    name = source or heading
    return Head(
        title=f"{name} – {site_title(config)}" if name else site_title(config),
        url=config.base_url + _at(topic.page, before),
        description=_about(config),
        image=f"{config.base_url}/og.png",
        image_alt=site_title(config),
        feeds=feeds if not wanted else (*feeds, *feeds_of(config, Filter())),
        self_url=config.base_url + topic.path,
    )


def _at(page: str, before: str) -> str:
    return page + ("&" if "?" in page else "?") + urlencode({"before": before}) if before else page


def of_entry(config: Config, stored: Stored, pictures: Pictures) -> Head:
    """Of a private one nothing is said: only its owner sees the page."""
    stored = veiled(stored)
    entry = stored.entry
    if stored.source.visibility == "private":
        return unlisted(site_title(config))
    url = f"{config.base_url}/entries/{stored.id}"
    image = _picture(config, stored, pictures) or f"{config.base_url}/og/{stored.id}.png?v={stored.seq:x}"
    return Head(
        title=entry.title or entry.summary[:80] or f"{LABELS[entry.kind]} – {site_title(config)}",
        url=url,
        description=entry.summary[:WORDS],
        type="article",
        image=image,
        image_alt=next((one.alt for one in entry.media if one.alt), "") or entry.title or LABELS[entry.kind],
        feeds=(*feeds_of(config, Filter()), *feeds_of(config, Filter(source=stored.source.slug), stored.source.title)),
        published=rfc3339(entry.published or stored.received),
        updated=rfc3339(entry.updated) if entry.updated else "",
        tags=entry.tags,
        json_ld=_script(_posting(config, stored, url, image)),
        embed=f"{config.base_url}/oembed?url={quote(url, safe='')}",
    )


def veiled(stored: Stored) -> Stored:
    """As links to it may show it: of what has a warning, the warning."""
    warning = warning_of(stored.entry)
    if not warning:
        return stored
    return replace(stored, entry=replace(stored.entry, title=warning, summary=warning, content_html="", media=()))


def feeds_of(config: Config, wanted: Filter, source: str = "") -> tuple[Feed, ...]:
    words = source or (f"{filter_title(wanted)} – {site_title(config)}" if wanted else site_title(config))
    return tuple(
        Feed(MEDIA_TYPES[format], f"{words} ({FORMAT_NAMES[format]})", Topic.of(format, wanted).path)
        for format in FORMATS
    )


def links(config: Config, wanted: Filter) -> str:
    """The same as a Link header: the hub, and the feeds of what the page shows."""
    feeds = (f'<{config.base_url}{one.href}>; rel="alternate"; type="{one.type}"' for one in feeds_of(config, wanted))
    return ", ".join([f'<{config.hub_url}>; rel="hub"', *feeds])


def _about(config: Config) -> str:
    return f"What {config.author or 'one person'} writes, makes and does, from everywhere, as it happens."


def _picture(config: Config, stored: Stored, pictures: Pictures) -> str:
    """Our copy of a photograph, which is its own preview; on an entry with words these say more than a picture."""
    if stored.entry.kind != "photo" or not stored.source.pictures:
        return ""
    kept = (pictures.picture(one.url, one.width) for one in stored.entry.media if one.type.startswith("image"))
    return next((config.base_url + one.src for one in kept if one), "")


# -- schema.org ---------------------------------------------------------------------------------


def _posting(config: Config, stored: Stored, url: str, image: str) -> dict[str, Any]:
    entry, author, place = stored.entry, stored.entry.author, stored.entry.location
    person = {"@type": "Person", "name": author.name or author.url, "url": author.url} if author else _owner(config)
    found = {
        "@context": "https://schema.org",
        "@type": THINGS.get(entry.kind, "SocialMediaPosting"),
        "@id": url,
        "url": url,
        "mainEntityOfPage": url,
        "name": entry.title,
        "headline": entry.title or entry.summary[:110],
        "description": entry.summary[:WORDS],
        "datePublished": rfc3339(entry.published or stored.received),
        "dateModified": rfc3339(entry.updated) if entry.updated else "",
        "inLanguage": entry.language,
        "author": _without_empty(person),
        "image": image,
        "keywords": ", ".join(entry.tags),
        "isBasedOn": entry.url,
        "contentLocation": _place(place.lat, place.lon, place.name) if place else None,
    }
    return _without_empty(found)


def _owner(config: Config) -> dict[str, Any]:
    person = {
        "@type": "Person",
        "name": config.author or site_title(config),
        "url": config.author_url or config.base_url,
        "description": config.note,
        "image": config.picture_path and config.base_url + config.picture_path,
        "sameAs": [one.url for one in config.links],
    }
    return _without_empty(person)


def _place(lat: float, lon: float, name: str) -> dict[str, Any]:
    """To a kilometre, as on the cards."""
    at = {"@type": "GeoCoordinates", "latitude": round(lat, 2), "longitude": round(lon, 2)}
    return _without_empty({"@type": "Place", "name": name, "geo": at})


def _without_empty(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value}


def _script(given: dict[str, Any]) -> Markup:
    """Inside <script>, where nothing but "</script" and "<!--" would end it: no "<" is left."""
    return Markup(orjson.dumps(given).decode().replace("<", "\\u003c"))


def preview_of(config: Config, stored: Stored | None = None) -> preview.Preview:
    """The picture of an entry, or of the whole stream: the sky of a whole day."""
    title = site_title(config)
    if stored is None:
        return preview.Preview(config.base_url.partition("//")[2], title, _about(config), tuple(range(24)))
    entry, local = stored.entry, stored.ordered_at.astimezone(config.zone)
    when = f"{local.day} {local:%B %Y, %H:%M}"
    words = entry.title or entry.summary or stored.source.title
    return preview.Preview(title, words, f"{LABELS[entry.kind]} · {when}", (local.hour, local.hour + 1))
