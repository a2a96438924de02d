"""Writes down what goes over the wire, for the inspector and `/api/sources/{slug}/log` (store/exchanges.py).

Nothing that is written down waits for it: exchanges are collected in memory, by reference, and masked, packed and
written by one task in transactions of its own. Of many alike in one moment the first are kept and the others counted;
what the database does not take in time is dropped and counted, too.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from time import monotonic

from lifestream.exchanges import RAGGED, Asking, Exchange, Known
from lifestream.log import get_logger
from lifestream.protocol.masking import (
    LONGEST_URL,
    Fields,
    masked_body,
    masked_headers,
    masked_url,
    masked_words,
    printable,
)
from lifestream.store import exchanges
from lifestream.store.database import Store
from lifestream.store.exchanges import Direction, Draft, packed

log = get_logger(__name__)

PAUSE = 0.5
"""Seconds between two writes, and so the moment within which like exchanges are counted."""
MOST_ALIKE = 10
MOST_TROUBLES = 50
"""How many exchanges of one kind are kept in full of one moment: of those that went well, and of the others."""
MOST_WAITING = 1000
MOST_HELD = 1024 * 1024
"""Bytes of bodies that wait to be written; beyond, exchanges go without."""
STORED_WITHIN = 5.0
"""Seconds for which a push waits to hear what became of it."""
LONGEST_WORDS = 500
LONGEST_SLUG = 100
"""Of what an address is asked for; a source's is shorter."""
TIDY_AFTER = 4 * 1024 * 1024
"""Bytes written, beyond which what is over the bounds of the log is dropped at once and not by the clock."""
ROW_BYTES = 500
"""About what a row takes beside its headers and bodies."""

Alike = tuple[int, bool, bool, str, Direction, tuple[int, ...]]
"""How many of them are kept of one moment; and what makes exchanges alike."""


class Recorder:
    """Collects exchanges and writes them, `run` twice a second. `flush` writes at once, for who is about to read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[Exchange] = []
        self._alike: Counter[Alike] = Counter()
        self._last: dict[Alike, Exchange] = {}
        self._pushes: dict[tuple[int, int], Exchange] = {}
        self._untold: list[tuple[int, list[Exchange]]] = []
        self._dropped = 0
        self._held = 0
        self._grown = 0
        self.counts: Counter[tuple[str, str, str]] = Counter()
        """All there were since the start, by direction, what and outcome."""
        self._something = asyncio.Event()
        self._writing = asyncio.Lock()

    def asking(
        self,
        what: str,
        *,
        feed_ids: Iterable[int] = (),
        slug: str = "",
        about: str = "",
        known: Known = (),
        host_only: bool = False,
    ) -> Asking:
        make = partial(
            Exchange, "out", what, feed_ids=tuple(feed_ids), slug=slug, about=about, known=known, host_only=host_only
        )
        return Asking(make, self.add)

    def add(self, exchange: Exchange) -> None:
        """It is over."""
        exchange.end()
        self.counts[exchange.direction, exchange.what, exchange.outcome] += 1
        if not exchange.tracked and not self._has_room(exchange):
            return
        if len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
            return
        if exchange.stranger:
            exchange.cut()
        self._held += len(exchange.request_body) + len(exchange.answer_body)
        if self._held > MOST_HELD:
            exchange.request_body = exchange.answer_body = b""
        self._waiting.append(exchange)
        self._something.set()

    # -- what becomes of a push ---------------------------------------------------------------

    def track(self, exchange: Exchange, feed_id: int, body: bytes) -> None:
        """Its document is about to be put down; whoever takes it up asks `of_push` for its exchange."""
        if len(self._pushes) < MOST_WAITING and self._has_room(exchange):
            exchange.tracked = True
            exchange.open_until = monotonic() + STORED_WITHIN
            self._pushes[feed_id, hash(body)] = exchange

    def of_push(self, feed_id: int, body: bytes) -> Exchange | None:
        """The exchange that brought this document, if it was kept and came to this process."""
        return self._pushes.pop((feed_id, hash(body)), None) if self._pushes else None

    def stored(self, pushes: Sequence[Exchange], upto: int) -> None:
        """They are in the log up to this change, and wait to be told of it by `told`; 0: nothing in it is new."""
        if upto:
            self._untold.append((upto, list(pushes)))
            return
        for exchange in pushes:
            exchange.open_until = 0.0

    def told(self, head: int, streams: int) -> None:
        """The live streams of this process were told of everything up to `head`."""
        for upto, pushes in self._untold:
            if upto <= head:
                for exchange in pushes:
                    exchange.step("Sent to browsers", f"{streams} open {'page' if streams == 1 else 'pages'}")
                    exchange.open_until = 0.0
        self._untold = [(upto, pushes) for upto, pushes in self._untold if upto > head]

    # -- writing ------------------------------------------------------------------------------

    async def run(self) -> None:
        while True:
            await self._something.wait()
            await asyncio.sleep(PAUSE)
            await self.flush()
            if self._grown > TIDY_AFTER:
                await self.tidy(datetime.now(UTC))

    async def flush(self) -> None:
        """Writes what is over. Whatever goes wrong is logged, and nobody else's business."""
        async with self._writing:
            ready = self._take()
            if not ready:
                return
            try:
                drafts = await asyncio.to_thread(_drafts, ready)
                async with self._store.begin(durable=False) as db:
                    await exchanges.record(db, drafts)
                self._grown += sum(map(_size, drafts))
            except Exception as error:  # the database is away: what was so long ago is of no use when it is back
                self._dropped += len(ready)
                log.error("exchanges", status="failed", error=type(error).__name__)
            if self._dropped:
                log.warning("exchanges", dropped=self._dropped)
                self._dropped = 0

    async def tidy(self, now: datetime) -> None:
        """Drops what is too old or too much; what that is takes a walk through the log, which holds up nobody."""
        self._grown = 0
        try:
            async with self._store.read(long=True) as db:
                rows, wires = await exchanges.too_many(db)
            async with self._store.begin(durable=False) as db:
                await exchanges.drop(db, before=now - exchanges.KEPT_FOR, rows=rows, wires=wires)
        except Exception as error:  # the database is away: it is tidied the next time
            log.error("exchanges", status="untidy", error=type(error).__name__)

    def _take(self) -> list[Exchange]:
        now = monotonic()
        for key, count in self._alike.items():
            if count > key[0]:
                self._last[key].alike = count - key[0]
        self._alike.clear()
        self._last.clear()
        self._held = 0
        ready = [one for one in self._waiting if one.open_until <= now]
        self._waiting = [one for one in self._waiting if one.open_until > now]
        if not self._waiting:
            self._something.clear()
        if self._pushes or self._untold:
            self._pushes = {key: one for key, one in self._pushes.items() if one.open_until > now}
            self._untold = [(upto, pushes) for upto, pushes in self._untold if pushes[0].open_until > now]
        return ready

    def _has_room(self, exchange: Exchange) -> bool:
        """Whether it is among the first of its kind in this moment; the others are counted with the last of them."""
        went_well = exchange.outcome in ("", "ok")
        most = MOST_ALIKE if went_well or exchange.stranger else MOST_TROUBLES
        key = (most, went_well, exchange.stranger, exchange.what, exchange.direction, exchange.feed_ids)
        self._alike[key] += 1
        if self._alike[key] > most:
            return False
        self._last[key] = exchange
        return True


# -- what is kept -----------------------------------------------------------------------------


def _drafts(ready: Sequence[Exchange]) -> list[Draft]:
    return [_draft(one) for one in ready]


def _draft(exchange: Exchange) -> Draft:
    known = exchange.known
    url = masked_url(exchange.url[:LONGEST_URL], known, host_only=exchange.host_only)
    wire = {
        "request": _message(exchange.request_headers, exchange.request_body, exchange.request_size, known),
        "answer": _message(exchange.answer_headers, exchange.answer_body, exchange.answer_size, known),
    }
    return Draft(
        at=datetime.fromtimestamp(exchange.at, UTC),
        feed_ids=exchange.feed_ids,
        slug=_text(exchange.slug)[:LONGEST_SLUG],
        about=_text(masked_words(exchange.about, known))[:LONGEST_WORDS],
        direction=exchange.direction,
        what=exchange.what,
        method=exchange.method,
        url=_text(url),
        status=exchange.status,
        took=round(exchange.took, 2),
        outcome=exchange.outcome,
        detail=_text(masked_words(exchange.detail, known))[:LONGEST_WORDS],
        alike=exchange.alike,
        steps=[(name, round(ms, 2), _text(words)[:LONGEST_WORDS]) for name, ms, words in exchange.steps],
        wire=packed(wire),
    )


def _message(fields: Fields, body: bytes, size: int, known: Known) -> dict[str, object]:
    headers = masked_headers(fields, known)
    media_type = next((value for name, value in headers if name == "content-type"), "")
    text = masked_body(body, media_type, known)
    return {"headers": headers, "body": text[:-RAGGED] if size > len(body) else text, "size": size}


def _size(draft: Draft) -> int:
    return (ROW_BYTES + len(draft.wire or b"")) * max(1, len(draft.feed_ids))


def _text(words: str) -> str:
    """Text that can be shown, and that databases can hold: no lone surrogate."""
    return printable(words).encode("utf-8", "replace").decode()
