"""The contract's Entry, as JSON: made once for each change and kept for the many who ask soon after."""

from collections import OrderedDict
from typing import Any

import orjson

from lifestream.clean.columns import media_dicts
from lifestream.render import Renderer
from lifestream.types import Entry, Stored
from lifestream.write import moment

KEPT_BYTES = 16 * 1024 * 1024


class Encoder:
    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        self._kept: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._size = 0

    def entry(self, stored: Stored) -> bytes:
        """The contract's Entry, `html` included."""
        # A source may be renamed, and a picture's size become known, without a new number.
        key = (stored.id, stored.seq, stored.source, stored.entry.media)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = self._written(stored)
            self._size += len(found)
            while self._size > KEPT_BYTES:
                self._size -= len(self._kept.popitem(last=False)[1])
        return found

    def forget(self) -> None:
        """The renderer writes otherwise from now on."""
        self._kept.clear()
        self._size = 0

    def tombstone(self, stored: Stored) -> bytes:
        """The Entry of one that is gone, or gone for who asks: who it was, and nothing of what it said.

        A private source gives no more than its slug: its title and address may be newer than what was seen.
        """
        hidden = stored.source.visibility == "private"
        return orjson.dumps(entry_dict(stored, Entry(), "", hidden=hidden) | {"deleted": True})

    def _written(self, stored: Stored) -> bytes:
        if stored.deleted:
            return self.tombstone(stored)
        return orjson.dumps(entry_dict(stored, stored.entry, self._renderer.entry_card(stored), hidden=False))


def entry_dict(stored: Stored, entry: Entry, card: str, *, hidden: bool) -> dict[str, Any]:
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
        "published": moment(entry.published),
        "updated": moment(entry.updated),
        "received": moment(stored.received),
        "tags": entry.tags,
        "media": media_dicts(entry.media),
        "location": {"lat": place.lat, "lon": place.lon, "name": place.name} if place else None,
        "data": dict(entry.data),
        "deleted": False,
        "html": card,
    }
