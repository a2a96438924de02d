"""Pages and feeds as strangers see them, kept by all that they depend on: who comes next to an unchanged stream is
given the same bytes."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream.store import changes, search, sources
from lifestream.types import Audience, Filter, Source


@dataclass(frozen=True, slots=True)
class Body:
    content: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Basis:
    """What a page or a feed is made from: the log up to `seq`, the index up to `indexed`, the sources as they are."""

    seq: int
    indexed: int
    sources: Sequence[Source]

    @property
    def key(self) -> Hashable:
        return self.seq, self.indexed, tuple(_shown(one) for one in self.sources)


async def basis(db: AsyncConnection, wanted: Filter, audience: Audience) -> Basis:
    # The log first: what comes between the reads is then told again, and not missed.
    seq = await changes.head(db)
    known = await sources.every(db, audience=audience)
    return Basis(seq, await search.position(db) if wanted.q else 0, known)


class Kept:
    """What says something of now is true for a while, so that while is in its key."""

    def __init__(self, most_bytes: int = 8 * 1024 * 1024) -> None:
        self._pages: OrderedDict[Hashable, Body] = OrderedDict()
        self._room = most_bytes

    def get(self, key: Hashable) -> Body | None:
        found = self._pages.get(key)
        if found:
            self._pages.move_to_end(key)
        return found

    def put(self, key: Hashable, body: Body) -> None:
        there = self._pages.pop(key, None)
        self._pages[key] = body
        self._room += (len(there.content) if there else 0) - len(body.content)
        while self._room < 0:
            _, oldest = self._pages.popitem(last=False)
            self._room += len(oldest.content)


def _shown(source: Source) -> Hashable:
    """What a page shows of a source, besides its entries."""
    return (
        source.slug, source.title, source.url, source.kind, source.state, source.visibility, source.pictures,
        source.last_entry, source.entry_count,
    )  # fmt: skip
