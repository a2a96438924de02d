"""What kind of thing an entry is, in order of how sure one can be: its ActivityStreams verb and object type, the
publisher's own shapes, what it carries, whether it has a title. The owner's word about a source decides what is left.
"""

import re
from collections.abc import Collection

from lifestream.types import Kind, Media, RawEntry

_BY_VERB: dict[str, Kind] = {
    "like": "like", "favorite": "like", "favourite": "like", "share": "repost", "repost": "repost",
    "follow": "follow", "request-friend": "follow", "make-friend": "follow", "join": "follow",
    "checkin": "checkin", "at": "checkin", "listen": "listen", "play": "listen", "watch": "watch", "save": "bookmark",
    "bookmark": "bookmark", "tag": "bookmark", "rsvp-yes": "event", "rsvp-no": "event", "rsvp-maybe": "event",
    "rsvp-interested": "event", "attend": "event", "push": "code",
    # Who takes a thing back does not do it again.
    "unlike": "other", "unfavorite": "other", "unfavourite": "other", "unshare": "other", "unfollow": "other",
    "stop-following": "other", "remove-friend": "other", "leave": "other", "update-profile": "other",
}  # fmt: skip
_BY_OBJECT: dict[str, Kind] = {
    "note": "note", "status": "note", "article": "article", "blog-entry": "article", "photo": "photo", "image": "photo",
    "picture": "photo", "video": "video", "audio": "audio", "song": "audio", "bookmark": "bookmark", "event": "event",
    "comment": "reply", "place": "checkin", "review": "article",
    "release": "release",
}  # fmt: skip
_COMMIT = re.compile(
    r"/commit(?:s|diff)?/[0-9a-f]{7,64}\b|/compare/\w+\.\.\.?\w+|/-/commit/|/commit/\?(?:.{0,300}&)?id=|[;?]a=commit(?:diff)?;|Grit::Commit/"
)
_RELEASE = re.compile(r"/releases/tag/|/-/releases/|/-/tags/|/releases/v?\d|//[^/?#]+/[^/?#]+/[^?#]+/src/tag/[^/?#]+$")
_ARRIVAL = re.compile(
    r"(?:check-in|i['’]m at|arrived at|was at)\b|@ |(?:\S{1,30} ){0,4}?check(?:ed|ing) in(?: (?:at|to|@) |[ .:!]*$)",
    re.I,
)
_CHECKED_IN = re.compile(r"(?:\S{1,30} ){0,4}?check(?:ed|ing) in:? ", re.I)
_CROSSING = re.compile(r"(?:entered|left)\s+", re.I)
_DEEDS = frozenset({"ate", "drank", "read", "played", "exercised"})
"""Told in a line, which is no title of an article."""
GENERIC: frozenset[Kind] = frozenset({"article", "note", "other"})
ID_CHARS = 1000
"""An address is no longer; what is, would be looked through by the square of its length."""
SHORT = 500
SHORT_UNDER_TITLE = 160
"""A picture with more text than this illustrates an article."""
SHORT_BESIDE_PICTURE = 40
"""With less than this there is nothing but the picture."""


def verb_of(raw: RawEntry) -> str:
    """The last word of an ActivityStreams verb; nothing said is "post"."""
    return _last_word(raw.verb) or "post"


def kind_of(raw: RawEntry, link: str, title: str, text: str, shown: Collection[Media], default: Kind | None) -> Kind:
    """`shown` are the pictures and films within the content, `text` is what it says beside them."""
    if known := _said(raw) or _publisher(raw, link):
        return known
    found = _carried(raw, title, text, shown)
    return default if found in GENERIC and default is not None else found


def _said(raw: RawEntry) -> Kind | None:
    """An answer is a reply whatever else it is; a bare "post" says nothing."""
    if by_verb := _BY_VERB.get(_last_word(raw.verb)):
        return by_verb
    if raw.in_reply_to:
        return "reply"
    by_object = _BY_OBJECT.get(_last_word(raw.object_type))
    return by_object if by_object and by_object not in GENERIC else None


def _publisher(raw: RawEntry, link: str) -> Kind | None:
    if _is_commit(link) or _is_commit(raw.id[:ID_CHARS]):
        return "code"
    return "release" if ("/releases/" in link or "/tag" in link) and _RELEASE.search(link) else None


def _is_commit(address: str) -> bool:
    """Most are told by words alone that they are none."""
    return ("commit" in address or "/compare/" in address or "Grit::" in address) and bool(_COMMIT.search(address))


def _carried(raw: RawEntry, title: str, text: str, shown: Collection[Media]) -> Kind:
    families = {medium.type.partition("/")[0] for medium in raw.media if medium.thumbnail != medium.url}
    if shown and len(text) <= (SHORT_BESIDE_PICTURE if title else SHORT):
        families |= {medium.type.partition("/")[0] for medium in shown}
    if "video" in families:
        return "video"
    if "audio" in families:
        return "audio"
    if "image" in families and len(text) <= (SHORT_UNDER_TITLE if title else SHORT):
        return "photo"
    if raw.location is not None and _tells_of_a_visit(title or text, raw.location.name):
        return "checkin"
    is_note = not title or _last_word(raw.verb) in _DEEDS
    return _BY_OBJECT.get(_last_word(raw.object_type)) or ("note" if is_note else "article")


def _tells_of_a_visit(said: str, place: str) -> bool:
    """One enters and leaves much; only a place by its name is one."""
    if _ARRIVAL.match(said):
        return True
    crossing = _CROSSING.match(said) or _CHECKED_IN.match(said)
    if crossing is None or not place:
        return False
    rest = said[crossing.end() :].casefold()
    return rest.startswith(place.casefold()) and not rest[len(place) :][:1].isalnum()


def _last_word(name: str) -> str:
    return name and name.strip().rstrip("/").rpartition("/")[2].rpartition("#")[2].lower()[:40]
