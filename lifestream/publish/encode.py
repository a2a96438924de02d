"""Entries as JSON, made once for each change and kept for the many who ask soon after."""

from collections import OrderedDict

from lifestream.render import Renderer
from lifestream.types import Stored

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
            found = self._kept[key] = self._renderer.entry_json(stored)
            self._size += len(found)
            while self._size > KEPT_BYTES:
                self._size -= len(self._kept.popitem(last=False)[1])
        return found

    def forget(self) -> None:
        """The renderer writes otherwise from now on."""
        self._kept.clear()
        self._size = 0

    def tombstone(self, stored: Stored) -> bytes:
        """The Entry of one that is gone: who it was, and nothing of what it said."""
        return self._renderer.tombstone_json(stored)
