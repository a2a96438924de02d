"""The newest changes, kept in memory, so that whoever comes back soon costs no look into the database."""

from collections.abc import Iterable, Iterator

from lifestream.types import Stored

MOST = 1000
MOST_BYTES = 4 * 1024 * 1024


class Window:
    """Holds every change after `base` that anybody is told of, each entry at its latest, as the log does."""

    def __init__(self) -> None:
        self.base = 0
        self._changes: dict[str, Stored] = {}
        """By entry, in the order of `seq`."""
        self._size = 0

    def fill(self, newest: Iterable[Stored], base: int) -> None:
        self.base = base
        for change in newest:
            self.add(change)

    def add(self, change: Stored) -> None:
        """Changes come in the order of `seq`."""
        self._drop(change.id)
        if change.quiet and not change.deleted:
            return  # nobody is told
        self._changes[change.id] = change
        self._size += _size(change)
        while len(self._changes) > MOST or self._size > MOST_BYTES:
            oldest = next(iter(self._changes))
            self.base = self._changes[oldest].seq
            self._drop(oldest)

    def after(self, position: int) -> Iterator[Stored]:
        """The changes after `position`, which is not before `base`, oldest first."""
        newer = []
        for change in reversed(self._changes.values()):
            if change.seq <= position:
                break
            newer.append(change)
        return reversed(newer)

    def _drop(self, id: str) -> None:
        gone = self._changes.pop(id, None)
        if gone is not None:
            self._size -= _size(gone)


def _size(change: Stored) -> int:
    return 1000 + 2 * len(change.entry.content_html)
