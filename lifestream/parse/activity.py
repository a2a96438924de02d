"""ActivityStreams 1.0 in Atom (https://activitystrea.ms/specs/atom/1.0/): what somebody did, and to what.

The object of an activity is a whole entry within the entry. Of a thing that is posted it is the posting, and gives what
the entry leaves out; of anything else (a like, a share, a follow) it is somebody else's, and is kept apart as `about`.
"""

from typing import Any

from lifestream.parse.document import CONTENT_CHARS, TEXT_CHARS
from lifestream.parse.extensions import author_of, media_of
from lifestream.parse.names import Children, Element, absolute, children, first_text, inner_html, text
from lifestream.types import Media

_POSTING = ("", "post", "create", "add", "checkin")
_OF_THE_POSTING = (
    "atom:content", "atom:summary", "atom:category", "atom:link", "media:content", "media:group", "media:thumbnail",
    "georss:point", "georss:where", "georss:circle", "georss:line", "georss:box", "georss:polygon",
    "georss:featurename", "georss:featureName", "gml:Point", "geo:lat", "geo:long", "geo:Point", "thr:in-reply-to",
    "xcal:dtstart", "xcal:dtend",
)  # fmt: skip
_DEEPEST = 4
"""A share of a post holds two objects within each other; more is nobody's."""


def last_word(name: str) -> str:
    """ "http://activitystrea.ms/schema/1.0/post" is "post"."""
    return name.strip().rstrip("/").rpartition("/")[2].lower()


def with_the_posting(found: Children) -> Children:
    """The entry's children, and where the object is what was posted, those of it that the entry has not itself."""
    objects = found.get("activity:object", ())
    if not objects or last_word(first_text(found, "activity:verb")) not in _POSTING:
        return found
    within = children(objects[0])
    own = dict(found)
    for name in _OF_THE_POSTING:
        if name in within:
            own.setdefault(name, within[name])
    if own.get("atom:link") is not within.get("atom:link"):
        own["atom:link"] = own["atom:link"] + [link for link in within.get("atom:link", ()) if _is_enclosure(link)]
    return own


def object_type_of(found: Children) -> str:
    """What the thing is: said of the entry, or of the object that it posts."""
    own = first_text(found, "activity:object-type")
    objects = found.get("activity:object", ())
    if objects and last_word(own) in ("", "activity") and last_word(first_text(found, "activity:verb")) in _POSTING:
        own = first_text(children(objects[0]), "activity:object-type") or own
    return own[:TEXT_CHARS]


def about_of(found: Children, base: str) -> dict[str, Any]:
    """The thing that something was done to: `url`, `title`, `author`, `content_html`, as far as known."""
    if last_word(first_text(found, "activity:verb")) in _POSTING:
        return {}
    for element in found.get("activity:object", ()):
        return _thing(element, base, 1)
    return {}


def place_of(found: Children) -> str:
    """The name of the place where somebody checked in."""
    for element in found.get("activity:object", ()):
        within = children(element)
        if last_word(first_text(within, "activity:object-type")) == "place":
            return first_text(within, "poco:displayName", "atom:title")[:TEXT_CHARS]
    return ""


def visited(found: Children, base: str) -> dict[str, Any]:
    """The place where somebody checked in, as a thing."""
    if last_word(first_text(found, "activity:verb")) == "checkin":
        for element in found.get("activity:object", ()):
            return _thing(element, base, 1)
    return {}


def media_shared(found: Children, base: str) -> tuple[Media, ...]:
    """What the thing that somebody shared carries, however many activities are around it."""
    if last_word(first_text(found, "activity:verb")) != "share":
        return ()
    for _ in range(_DEEPEST):
        if not (inner := found.get("activity:object", ())):
            break
        found = children(inner[0])
        if media := media_of(found, base):
            return media
    return ()


def _thing(element: Element, base: str, depth: int) -> dict[str, Any]:
    """A thing, or an activity about one: what the activity leaves out is in the thing."""
    within = children(element)
    author = author_of(within, base)
    found = {
        "url": _page(within, base),
        "title": first_text(within, "atom:title", "poco:displayName")[:TEXT_CHARS],
        "author": author.name if author else "",
        "content_html": _markup(within),
        "type": last_word(first_text(within, "activity:object-type"))[:TEXT_CHARS],
    }
    inner = within.get("activity:object", ())
    deeper = _thing(inner[0], base, depth + 1) if inner and depth < _DEEPEST else {}
    return {name: value for name in found if (value := _inner_first(name, found, deeper))}


def _inner_first(name: str, found: dict[str, Any], deeper: dict[str, Any]) -> Any:
    if name == "type":
        return deeper.get(name) or found[name]
    return found[name] or deeper.get(name)


def _page(within: Children, base: str) -> str:
    for link in within.get("atom:link", ()):
        if link.get("rel", "alternate") == "alternate" and (address := absolute(link.get("href") or "", base)):
            return address[:TEXT_CHARS]
    return absolute(first_text(within, "atom:id"), "")[:TEXT_CHARS]


def _markup(within: Children) -> str:
    for element in within.get("atom:content", ()):
        if element.get("type") == "xhtml":
            return inner_html(element)[:CONTENT_CHARS]
        said = text(element)
        if element.get("type") == "html":
            return said[:CONTENT_CHARS]
        return said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")[:CONTENT_CHARS]
    return ""


def _is_enclosure(link: Element) -> bool:
    return bool(link.get("rel") == "enclosure")
