"""Who an entry is, whether it changed, and its clean form. Hash first (`identify`), clean only what changed (`clean`):
sanitising costs most of ingest.

Identity counts within one source only: the id, where it is unique in its document; else id and link; else link and date
of publication; else title and content.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from html import unescape
from urllib.parse import urljoin

from lifestream.clean import publishers
from lifestream.clean.activities import QUOTING, own_title, quoting, told_about, warning_of
from lifestream.clean.data import safe_data
from lifestream.clean.dates import parse_date, plausible
from lifestream.clean.html import (
    beginning_of_clean,
    clean_with_pictures,
    is_picture_file,
    summary_of,
    text_of,
    text_of_clean,
    web_address,
)
from lifestream.clean.kinds import kind_of, verb_of
from lifestream.types import Author, Entry, Feed, Kind, Media, RawEntry, Text

TITLE_CHARS = 500
NAME_CHARS = 200
TAG_CHARS = 100
ALT_CHARS = 1000
TAGS = 100
MEDIA = 20
_LASTING = frozenset({"post", "share", "create", "update"})
WORTH_A_LOOK = 4000
"""A longer text is no caption, however much of it is names of pictures."""


@dataclass(frozen=True, slots=True)
class Identified:
    """What the store compares of a raw entry. Dates take part in neither digest nor keys."""

    identity: str
    digest: str
    link_key: str
    """Of the entry's page, http and https alike; "" where there is none."""
    title_key: str
    published: datetime | None
    updated: datetime | None
    has_id: bool = True
    own_page: bool = False
    """Its link is this entry's alone, as far as its document tells: one of several pages, no track's or place's, and
    not the site's. A document of one entry tells nothing."""
    at: int = 0
    """Its place among the document's entries."""
    size: int = 0
    """How many characters may have to be cleaned."""


# -- identity ---------------------------------------------------------------------------------


def identify(feed: Feed, url: str) -> list[Identified]:
    """The document's entries in its order; the same one twice is one, the later `updated` wins."""
    names = [(raw.id, _link_key(raw, feed, url)) for raw in feed.entries]
    pages = Counter(link_key for _, link_key in names)
    site = _page_key(web_address(feed.site_url, url))
    shared = _shared_ids(feed, names)
    found: dict[str, Identified] = {}
    for at, (raw, (_, link_key)) in enumerate(zip(feed.entries, names, strict=True)):
        if _says_nothing(raw):
            continue
        own_page = len(pages) > 1 and pages[link_key] == 1 and link_key not in ("", site) and _has_own_page(raw)
        item = _identified(raw, _identity(raw, link_key, shared), link_key, own_page, at)
        earlier = found.get(item.identity)
        if earlier is None or _later(item.updated, earlier.updated):
            found[item.identity] = item
    return list(found.values())


def tombstone_identities(feed: Feed) -> dict[str, datetime | None]:
    """What the publisher says is gone (RFC 6721), by identity, with the moment it went."""
    gone: dict[str, datetime | None] = {}
    for stone in feed.tombstones:
        identity, when = _key("id", stone.ref), parse_date(stone.when)
        if identity not in gone or _later(when, gone[identity]):
            gone[identity] = when
    return gone


def _shared_ids(feed: Feed, names: Sequence[tuple[str, str]]) -> set[str]:
    """Ids that different posts have, a publisher's mistake. Other pages or other dates of publication make other posts;
    another text alone is an edit, if it has a date."""
    repeated = {given for given, count in Counter(given for given, _ in names).items() if count > 1 and given}
    if not repeated:
        return repeated
    posts: dict[str, set[tuple[str, ...]]] = {given: set() for given in repeated}
    for raw, (given, link_key) in zip(feed.entries, names, strict=True):
        if given in repeated:
            posts[given].add(_told_apart_by(raw, link_key))
    return {given for given, different in posts.items() if len(different) > 1}


def _identity(raw: RawEntry, link_key: str, shared: set[str]) -> str:
    if not raw.id or _names_a_track(raw):
        return _nameless(raw, link_key)
    return _key("id and more", raw.id, *_told_apart_by(raw, link_key)) if raw.id in shared else _key("id", raw.id)


def _told_apart_by(raw: RawEntry, link_key: str) -> tuple[str, str, str]:
    return link_key, _instant(raw.published), _title_unless_dated(raw)


def _title_unless_dated(raw: RawEntry) -> str:
    return "" if raw.updated or raw.published else _value(raw.title)


def _nameless(raw: RawEntry, link_key: str) -> str:
    """A scrobble's link is its track's page, the same for each listen: only with the date it says which one."""
    published = _instant(raw.published)
    if link_key:
        return _key("link", link_key, published or _title_unless_dated(raw))
    return _key(
        "text", _value(raw.title), _value(raw.content), _value(raw.summary), published, *(m.url for m in raw.media)
    )


def _names_a_track(raw: RawEntry) -> bool:
    """A scrobbler's id that is its track's page is the same for each listen."""
    return raw.id == raw.link and _is_of_a_track(raw.id)


def _is_of_a_track(address: str) -> bool:
    return "/track/" in address or "/_/" in address or "/recording/" in address


def _has_own_page(raw: RawEntry) -> bool:
    """What is heard, watched or visited has a page of its own, the same each time."""
    return not (_is_of_a_track(raw.link) or raw.location or verb_of(raw) not in _LASTING)


def _says_nothing(raw: RawEntry) -> bool:
    return not (raw.id or raw.link or raw.title or raw.content or raw.summary or raw.media)


def _identified(raw: RawEntry, identity: str, link_key: str, own_page: bool, at: int) -> Identified:
    title = title_of(raw)
    updated = parse_date(raw.updated)
    return Identified(
        identity=identity,
        digest=digest_of(raw),
        link_key=link_key,
        title_key=_key("title", title) if title else "",
        published=_published(raw, updated),
        updated=updated,
        has_id=bool(raw.id),
        own_page=own_page,
        at=at,
        size=_size(raw),
    )


def _size(raw: RawEntry) -> int:
    """A summary stands in for content, a title and a quotation may be HTML."""
    size = len(raw.id)
    for text in (raw.title, raw.summary, raw.content):
        if text:
            size += len(text.value)
    if "about" in raw.data:
        size += len(raw.data["about"].get("content_html", ""))
    return size


def _published(raw: RawEntry, updated: datetime | None) -> datetime | None:
    """The year 1 is where calendars of programs begin: no date at all."""
    published = parse_date(raw.published) if raw.published else None
    if published is not None and published.year > 1:
        return published
    return updated if updated is not None and updated.year > 1 else None


def digest_of(raw: RawEntry) -> str:
    """A hash over what a reader would notice. `base` is left out (the same feed under two names), and so are the dates:
    a change of date alone is none. Empty fields are skipped, so that a new field changes no digest by being there."""
    said = (
        ("link", raw.link),
        ("author", raw.author and (raw.author.name, raw.author.url, raw.author.photo)),
        ("tags", raw.tags),
        ("media", [(m.type, m.url, m.width, m.height, m.alt, m.thumbnail) for m in raw.media]),
        ("location", raw.location and (raw.location.lat, raw.location.lon, raw.location.name)),
        ("verb", raw.verb),
        ("object type", raw.object_type),
        ("in reply to", raw.in_reply_to),
        ("language", raw.language),
        ("data", raw.data and json.dumps(raw.data, sort_keys=True, default=str)),
    )
    parts = [repr(pair) for pair in said if pair[1]]
    for name, text in (("title", raw.title), ("content", raw.content), ("summary", raw.summary)):
        if text is not None and text.value:
            parts += (f"{name} {text.html} {len(text.value)}", text.value)
    return _key(*parts)


def _link_key(raw: RawEntry, feed: Feed, url: str) -> str:
    return _page_key(web_address(raw.link, _base(raw, feed, url))) if raw.link else ""


def _page_key(link: str) -> str:
    return _key("page", link.partition(":")[2].rstrip("/")) if link else ""


def _key(*parts: str) -> str:
    joined = "\x1f".join(parts)
    return blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def _instant(date: str) -> str:
    """A date however it is written; one that cannot be read counts as it stands."""
    if not date:
        return ""
    moment = parse_date(date)
    return str(moment.timestamp()) if moment else date.strip()


def _later(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and (other is None or one > other)


def _value(text: Text | None) -> str:
    return text.value if text is not None else ""


# -- the clean form ---------------------------------------------------------------------------


def clean(item: Identified, feed: Feed, url: str, default_kind: Kind | None, received: datetime) -> Entry:
    """The entry as it may be shown anywhere: nothing in it needs to be trusted, every string is bounded.

    An `updated` in the future (as of `received`) is dropped: kept, it would make every later version an older one.
    """
    raw = feed.entries[item.at]
    base = _base(raw, feed, url)
    link = web_address(raw.link, base)
    body, pictures = _content(raw, feed, link or base)
    text = beginning_of_clean(body)
    title = own_title(title_of(raw)[:TITLE_CHARS], raw, text)
    beside = _without_names(text, pictures) if pictures and len(text) < WORTH_A_LOOK else text
    entry = Entry(
        kind=kind_of(raw, link, title, beside, pictures, default_kind),
        verb=verb_of(raw),
        title=title or None,
        url=link or None,
        content_html=body,
        summary=summary_of(_summary(raw, text)),
        author=_author(raw.author or feed.author, base),
        published=item.published,
        updated=item.updated if item.updated and plausible(item.updated, received) else None,
        tags=_tags(raw.tags),
        media=_media(raw, base, pictures),
        location=raw.location,
        in_reply_to=web_address(raw.in_reply_to) or raw.in_reply_to[:2048],
        language=(raw.language or feed.language)[:40],
        data=safe_data(raw.data, base) if raw.data else {},
    )
    if raw.verb or raw.object_type:
        entry = _acted(entry, raw)
    return publishers.told(entry, raw, feed)


def _acted(entry: Entry, raw: RawEntry) -> Entry:
    """An activity: what it is about is quoted where that is its point, and is no answer to it."""
    if warning := warning_of(raw):
        entry = replace(
            entry,
            title=entry.title or warning[:TITLE_CHARS],
            summary=summary_of(warning),
            data={**entry.data, "content_warning": warning[:TITLE_CHARS]},
        )
    given = entry.data.get("about")
    if not isinstance(given, dict):
        return entry
    about = {name: value for name, value in given.items() if isinstance(value, str)}
    if entry.kind in QUOTING:
        body = quoting(entry.content_html, about)
        about = {**about, "url": about.get("url") or web_address(entry.in_reply_to)}
        entry = replace(entry, content_html=body, summary=summary_of(text_of_clean(body)), in_reply_to="")
    data = {name: value for name, value in entry.data.items() if name != "about"}
    if known := told_about(about, entry.url or ""):
        data["about"] = known
    if entry.kind == "checkin" and entry.location is None:  # a place that is on no map is told by its name
        entry = replace(entry, title=entry.title or known.get("title"))
    return replace(entry, url=entry.url or about.get("url") or None, data=data)


def _without_names(text: str, pictures: Sequence[Media]) -> str:
    """What is said beside the pictures, whose own names the text repeats."""
    for picture in pictures[:MEDIA]:
        if picture.alt:
            text = text.replace(picture.alt, "", 1)
    return text.strip()


def clean_all(
    items: Iterable[Identified], feed: Feed, url: str, default_kind: Kind | None, received: datetime
) -> list[Entry]:
    """`clean` for each."""
    return [clean(item, feed, url, default_kind, received) for item in items]


def title_of(raw: RawEntry) -> str:
    """One line of plain text: HTML reduced to what it says, plain text exactly as written, whatever it looks like."""
    if raw.title is None:
        return ""
    return text_of(raw.title.value) if raw.title.html else " ".join(raw.title.value.split())


def _base(raw: RawEntry, feed: Feed, url: str) -> str:
    base = raw.base or feed.site_url or url
    return base if base.startswith(("http://", "https://")) else urljoin(url, base)


def _content(raw: RawEntry, feed: Feed, page: str) -> tuple[str, tuple[Media, ...]]:
    """Relative addresses in RSS count from the entry's own page, as its writers mean them; elsewhere from xml:base."""
    text = raw.content or raw.summary
    if text is None:
        return "", ()
    if not text.html:
        return plain_to_html(text.value if raw.content else _unescaped(text.value)), ()
    return clean_with_pictures(text.value, page if feed.format == "rss" else text.base or raw.base or page)


def plain_to_html(text: str) -> str:
    """Plain text as HTML: paragraphs at empty lines, breaks at the others."""
    escaped = text.strip().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\xa0", "&nbsp;")
    if "\n" not in escaped:
        return escaped
    paragraphs = ["<br>".join(part.strip().splitlines()) for part in escaped.replace("\r\n", "\n").split("\n\n")]
    return "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs if paragraph)


def _summary(raw: RawEntry, text: str) -> str:
    """The publisher's summary, unless it is the content too; else the content's beginning."""
    given = raw.summary
    if given is None or raw.content is None:
        return text
    return (text_of(given.value[:20_000]) if given.html else _unescaped(given.value[:20_000])) or text


def _unescaped(summary: str) -> str:
    """Publishers make plain summaries from their HTML by taking the tags out, and leave "&nbsp;" in."""
    return unescape(summary) if "&" in summary else summary


def _author(author: Author | None, base: str) -> Author | None:
    if author is None:
        return None
    name = " ".join(author.name.split())[:NAME_CHARS]
    url = web_address(author.url, base)
    return Author(name, url, web_address(author.photo, base)) if name or url else None


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    """In their order, each once whatever its case."""
    seen: dict[str, str] = {}
    for tag in tags:
        plain = " ".join(tag.split()).lstrip("#")[:TAG_CHARS]
        if plain:
            seen.setdefault(plain.casefold(), plain)
    return tuple(seen.values())[:TAGS]


def _media(raw: RawEntry, base: str, pictures: Sequence[Media]) -> tuple[Media, ...]:
    """What the entry carries, then the pictures of its content, each once. Of a picture in two sizes, told apart by the
    query alone, the second is the thumbnail."""
    seen: dict[str, Media] = {}
    for given in _with_thumbnail(raw.media, pictures):
        url = web_address(given.url, base)
        if not url:
            continue
        file = url.partition("?")[0] if "?" in url and is_picture_file(url) else url
        thumbnail = web_address(given.thumbnail, base)
        alt = " ".join(given.alt.split())[:ALT_CHARS]
        if (first := seen.get(file)) is None:
            seen[file] = Media(given.type[:100], url, given.width, given.height, alt, thumbnail)
        else:
            smaller = url if first.url != url else thumbnail
            seen[file] = replace(first, alt=first.alt or alt, thumbnail=first.thumbnail or smaller)
        if len(seen) == MEDIA:
            break
    return tuple(seen.values())


def _with_thumbnail(carried: Sequence[Media], shown: Sequence[Media]) -> Sequence[Media]:
    """A thumbnail that stands alone is that of the first picture shown."""
    if not shown or len(carried) != 1 or carried[0].thumbnail != carried[0].url:
        return (*carried, *shown)
    first, *rest = shown
    return (replace(first, thumbnail=first.thumbnail or carried[0].url), *rest)
