"""What extensions hang on an entry: pictures and sounds (RSS enclosures, Atom links, Media RSS, iTunes), places
(GeoRSS, GML, W3C geo, geo: addresses) and people (Atom persons, Dublin Core, Portable Contacts).
"""

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

from lifestream.parse.document import MEDIA, TEXT_CHARS
from lifestream.parse.names import Children, Element, absolute, children, first_text, name_of, text
from lifestream.types import Author, Location, Media

_ATOM_MEDIA = "{http://purl.org/syndication/atommedia}"
_MEDIUM = {"image": "image", "video": "video", "audio": "audio"}
_BY_ENDING = {
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp",
    "avif": "image/avif", "mp3": "audio/mpeg", "m4a": "audio/mp4", "ogg": "audio/ogg", "opus": "audio/ogg",
    "mp4": "video/mp4", "m4v": "video/mp4", "webm": "video/webm", "mov": "video/quicktime",
}  # fmt: skip
_ENDING = re.compile(r"\.([A-Za-z0-9]{3,4})(?:[?#]|$)")
_TYPE = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,80}")
_UNSPECIFIC = ("application/octet-stream", "binary/octet-stream")
_GEO = re.compile(r"geo:([-+\d.]{1,20}),([-+\d.]{1,20})")
_AVATAR = re.compile(r"//[^/]*(?:gravatar\.com|avatars\d*\.githubusercontent\.com)/", re.I)
SMALL = 64
"""A lone thumbnail narrower than this is somebody's face or a logo, no picture of the entry."""


# -- media ------------------------------------------------------------------------------------


def media_of(found: Children, base: str) -> tuple[Media, ...]:
    """Enclosures, then Media RSS; each address once; a thumbnail goes to the first that has none, or stands alone."""
    every = _unique(_all_media(found, base))
    if thumbnail := _thumbnail(found, base):
        url, width, height = thumbnail
        if not every:
            return (Media("image", url, width, height, thumbnail=url),)
        first = every[0]
        if not first.thumbnail and first.url != url:
            every[0] = Media(first.type, first.url, first.width, first.height, first.alt, url)
    return tuple(every)


def _all_media(found: Children, base: str) -> Iterator[Media | None]:
    for link in found.get("atom:link", ()):
        if link.get("rel") == "enclosure":
            yield _media(
                link,
                link.get("href"),
                base,
                link.get("title"),
                link.get(_ATOM_MEDIA + "width"),
                link.get(_ATOM_MEDIA + "height"),
            )
    for enclosure in found.get("enclosure", ()):
        yield _media(enclosure, enclosure.get("url") or enclosure.get("href"), base)
    for enclosure in found.get("enc:enclosure", ()):
        rdf = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}resource"
        yield _media(enclosure, enclosure.get("resource") or enclosure.get(rdf), base)
    for content in found.get("media:content", ()):
        yield _media_rss(content, {}, base)
    for group in found.get("media:group", ()):
        within = children(group)
        # The members of a group are one thing in several sizes (Media RSS, "media:group").
        members = within.get("media:content", [])
        best = next((m for m in members if m.get("isDefault") == "true"), members[0] if members else None)
        if best is not None:
            yield _media_rss(best, within, base)


def _media_rss(content: Element, group: Children, base: str) -> Media | None:
    if len(content) == 0 and not group:  # as most are: all is said in its attributes
        return _media(content, content.get("url"), base, "", content.get("width"), content.get("height"))
    within = children(content)
    player = next(iter(within.get("media:player") or group.get("media:player") or ()), None)
    url = content.get("url") or (player.get("url") if player is not None else "")
    thumbnail = _thumbnail(within, base) or _thumbnail(group, base)
    alt = first_text(within, "media:description", "media:title") or first_text(group, "media:title")
    return _media(
        content, url, base, alt, content.get("width"), content.get("height"), thumbnail[0] if thumbnail else ""
    )


def _media(
    element: Element,
    url: str | None,
    base: str,
    alt: str | None = "",
    width: str | None = None,
    height: str | None = None,
    thumbnail: str = "",
) -> Media | None:
    address = absolute(url or "", base)
    if not address or len(address) > TEXT_CHARS or _is_a_face(address):
        return None
    kind = media_type(element.get("type") or "", element.get("medium") or "", address)
    if kind == "application/x-bittorrent":  # a way to get the film, not the film
        return None
    return Media(kind, address, pixels(width), pixels(height), (alt or "")[:TEXT_CHARS], thumbnail)


def _thumbnail(found: Children, base: str) -> tuple[str, int | None, int | None] | None:
    """Its address, width and height."""
    for name in ("media:thumbnail", "itunes:image"):
        for element in found.get(name, ()):
            address = absolute(element.get("url") or element.get("href") or "", base)
            width = pixels(element.get("width"))
            if address and len(address) <= TEXT_CHARS and (width is None or width > SMALL) and not _is_a_face(address):
                return address, width, pixels(element.get("height"))
    return None


RATED = frozenset(("media:rating", "media:content", "media:group"))
"""Without one of these nothing is rated."""


def is_sensitive(found: Children) -> bool:
    """Media RSS rates it, or something in it, as for adults ("media:rating", by default in urn:simple)."""
    return any(
        rating.get("scheme", "urn:simple") == "urn:simple" and text(rating).strip().lower() == "adult"
        for name in RATED
        for element in found.get(name, ())
        for rating in (element.iter("{*}rating") if name == "media:rating" or len(element) else ())
        if name_of(rating.tag) == "media:rating"
    )


def _is_a_face(address: str) -> bool:
    return "avatar" in address.lower() and bool(_AVATAR.search(address))


def media_type(given: str, medium: str, url: str) -> str:
    """A media type, or "image", "video", "audio" where only that much is known, or ""."""
    given = given.partition(";")[0].strip().lower()
    if given == "application/x-shockwave-flash":  # the player of a film, not the film
        return "video"
    if _TYPE.fullmatch(given) and given not in _UNSPECIFIC:
        return given
    ending = _ENDING.search(url)
    known = _BY_ENDING.get(ending[1].lower() if ending else "") or _MEDIUM.get(medium.lower() or given, "")
    return known or (given if given in _UNSPECIFIC else "")


def pixels(given: object) -> int | None:
    if given is None:
        return None
    found = str(given).strip()
    return int(found) if found.isascii() and found.isdigit() and len(found) <= 5 and int(found) else None


def _unique(every: Iterable[Media | None]) -> list[Media]:
    """Each address once. What an enclosure does not say of itself, Media RSS says of the same file."""
    by_url: dict[str, Media] = {}
    for one in every:
        if one is not None:
            first = by_url.get(one.url)
            by_url[one.url] = _both(first, one) if first else one
        if len(by_url) >= MEDIA:
            break
    return list(by_url.values())


def _both(first: Media, second: Media) -> Media:
    return Media(
        first.type or second.type,
        first.url,
        first.width or second.width,
        first.height or second.height,
        first.alt or second.alt,
        first.thumbnail or second.thumbnail,
    )


# -- episodes ---------------------------------------------------------------------------------


def episode_of(found: Children) -> dict[str, Any]:
    """How long it lasts, in seconds, and which episode of which season it is."""
    data: dict[str, Any] = {}
    if lasts := seconds(first_text(found, "itunes:duration") or _duration(found)):
        data["duration"] = lasts
    for name, element in (("season", "itunes:season"), ("episode", "itunes:episode")):
        if element in found and (number := first_text(found, element)).isascii() and number.isdigit():
            data[name] = int(number[:8])
    return data


def seconds(given: str) -> int | None:
    """Seconds, or hours, minutes and seconds between colons, as podcasters write them."""
    if not given:
        return None
    parts = given.strip().split(":")
    try:
        values = [float(part) for part in parts]
    except ValueError:
        return None
    total = 0.0
    for value in values[:3]:
        total = total * 60 + value
    return int(total) if 1 <= total < 10**7 and len(values) <= 3 and min(values) >= 0 else None


def _duration(found: Children) -> str:
    """As Media RSS has it."""
    for content in found.get("media:content", ()):
        if said := content.get("duration"):
            return str(said)
    for group in found.get("media:group", ()):
        return _duration(children(group))
    return ""


# -- places -----------------------------------------------------------------------------------


PLACES = frozenset(
    ("georss:point", "georss:where", "georss:circle", "georss:line", "georss:box", "georss:polygon", "gml:Point",
     "geo:Point", "geo:lat", "podcast:location")
)  # fmt: skip
"""Without one of these `location_of` finds nothing."""


def location_of(found: Children) -> Location | None:
    """The first place given: GeoRSS Simple, GeoRSS GML, W3C geo, what a podcast is about. A line is where it begins, a
    box and a circle are their middle."""
    name = first_text(found, "georss:featurename", "georss:featureName")
    for point in found.get("georss:point", ()):
        if at := place(*_pair(text(point)), name or point.get("featurename") or point.get("featureName") or ""):
            return at
    for where in (*found.get("georss:where", ()), *found.get("gml:Point", ())):
        if at := _gml(where, name):
            return at
    for shape in ("georss:circle", "georss:line", "georss:box", "georss:polygon"):
        for element in found.get(shape, ()):
            if at := _middle(text(element), name, only_corners=shape == "georss:box"):
                return at
    for around in (found, *(children(point) for point in found.get("geo:Point", ()))):
        if at := place(first_text(around, "geo:lat"), first_text(around, "geo:long", "geo:lon"), name):
            return at
    for where in found.get("podcast:location", ()):
        if at := point_of_uri(where.get("geo") or "", text(where).strip()):
            return at
    return None


def _gml(where: Element, name: str) -> Location | None:
    numbers = {
        name_of(node.tag): text(node)
        for node in where.iter("{*}pos", "{*}posList", "{*}lowerCorner", "{*}upperCorner", "{*}coordinates")
    }
    if corners := numbers.get("gml:lowerCorner"):
        return _middle(f"{corners} {numbers.get('gml:upperCorner', corners)}", name, only_corners=True)
    if at := place(*_pair(numbers.get("gml:pos") or numbers.get("gml:posList", "")), name):
        return at
    first, second = _pair(written := numbers.get("gml:coordinates", ""))
    return place(second, first, name) if "," in written else place(first, second, name)  # GML 2 writes "x,y"


def _middle(given: str, name: str, *, only_corners: bool) -> Location | None:
    """The middle of two corners, or the first of a row of points."""
    numbers = given.replace(",", " ").split(None, 4)
    first = place(*_pair(given), name)
    second = place(numbers[2], numbers[3], name) if only_corners and len(numbers) >= 4 else None
    if first is None or second is None:
        return first
    crosses = first.lon > second.lon and first.lat <= second.lat  # the date line: the lower corner comes first
    middle = (first.lon + second.lon) / 2 + (180 if crosses else 0)
    return Location((first.lat + second.lat) / 2, middle if middle <= 180 else middle - 360, name)


def place(lat: object, lon: object, name: str = "") -> Location | None:
    """A point that is on Earth, or None."""
    try:
        north, east = float(str(lat)), float(str(lon))
    except ValueError:
        return None
    on_earth = math.isfinite(north) and math.isfinite(east) and abs(north) <= 90 and abs(east) <= 180
    return Location(north, east, name[:TEXT_CHARS]) if on_earth else None


def point_of_uri(given: str, name: str) -> Location | None:
    """A geo: address (RFC 5870)."""
    written = _GEO.match(given)
    return place(written[1], written[2], name) if written else None


def _pair(given: str) -> tuple[str, str]:
    numbers = given.replace(",", " ").split(None, 2)
    return (numbers[0], numbers[1]) if len(numbers) >= 2 else ("", "")


# -- people -----------------------------------------------------------------------------------


def author_of(found: Children, base: str) -> Author | None:
    """Who wrote it; several are named together. Mail addresses are nobody's business and are left out."""
    if elements := found.get("atom:author") or found.get("author") or found.get("activity:actor"):
        people = [person for element in elements if (person := _person(element, base)) is not None]
        names = dict.fromkeys(person.name for person in people if person.name)
        if people:
            return Author(", ".join(names)[:TEXT_CHARS]) if len(names) > 1 else people[0]
    if creators := [name for element in found.get("dc:creator", ()) if (name := text(element).strip())]:
        return Author(", ".join(creators)[:TEXT_CHARS])
    name = _without_mail(first_text(found, "itunes:author", "managingEditor"))
    return Author(name) if name else None


def _person(element: Element, base: str) -> Author | None:
    """An Atom person construct (RFC 4287, section 3.2), or RSS's "mail (name)"."""
    if len(element) == 0:
        name = _without_mail(text(element).strip())
        return Author(name) if name else None
    within = children(element)
    links: dict[str, str] = {}
    for link in within.get("atom:link", ()):
        links.setdefault(link.get("rel", "alternate"), link.get("href") or "")
    name = first_text(within, "poco:displayName", "atom:name", "name", "poco:preferredUsername")
    url = absolute(links.get("alternate") or first_text(within, "atom:uri", "uri", "atom:url", "url"), base)
    if not name and not url:
        return None
    return Author(_without_mail(name), url[:TEXT_CHARS], absolute(links.get("avatar", ""), base)[:TEXT_CHARS])


def _without_mail(given: str) -> str:
    """ "Ana <mail>" and RSS's "mail (Ana)" are Ana; of a mail address alone the mailbox is left."""
    if "@" not in given:
        return given[:TEXT_CHARS]
    given = " ".join(given[:TEXT_CHARS].split())
    name, opened, mail = given.rpartition("<")
    if name and opened and mail.endswith(">") and "@" in mail:
        return name.rstrip()
    mail, opened, name = given.partition(" (")
    if opened and name.endswith(")") and "@" in mail and " " not in mail:
        return name[:-1].strip()
    mailbox, _, domain = given.partition("@")
    return mailbox.removeprefix("<") if "." in domain and " " not in given else given
