"""The tail: the one follower of the log in this process, and the live streams that hang on it.

A stream is a view (who is looking, through which filter), a position, and a listener that takes bytes. It is first
brought up to date, from the window of recent changes or from the database, bounded by where the tail stands; in the
same tick of the loop as it finds nothing more it joins the living: so there is no gap and no repeat. A change is
rendered once, framed once for each view and each way to write it, and the same bytes go to every listener.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol, TypeVar

from lifestream.log import get_logger
from lifestream.protocol import live
from lifestream.publish.window import MOST, Window
from lifestream.site import Site
from lifestream.store import bells, changes, gate
from lifestream.types import Audience, Filter, Stored

log = get_logger(__name__)

PAGE = 200
AT_A_STRETCH = 64 * 1024
"""Bytes written to a listener before others get their turn."""
AT_ONCE = 250
"""Listeners written to before the loop gets its turn."""
HEARTBEAT = 3.0
"""Seconds after which the log is read although no bell rang: a lost wake-up delays by no more."""
SHORT = 0.005
LONGEST_REST = 0.05
PATIENCE = 10.0
"""Seconds in which a client that is told what it missed must read each piece."""
PATIENCE_BEHIND = 1.0
"""Seconds for one that fell behind while it was living: a burst is no reason to end it, not reading is."""
MISSED_BYTES = 128 * 1024
"""What may be told meanwhile without its hearing it."""
LOOK_AGAIN = 0.1
BEAT = 25.0
"""Seconds between two signs of life to streams on which nothing happens."""
MEMOS, MEMO_BYTES = 64, 256 * 1024
"""Pieces of the log that are kept for others who want the same, and the longest of them."""
CHECKS = 500
"""Questions whether a change is told in a view, before others get their turn."""
READS_AT_ONCE = 4
OWNERS_STAY = 300.0
"""Seconds after which a stream that sees private things has to show again that it may."""

T = TypeVar("T")
Framing = Callable[[bytes, int | None], bytes]
"""A message, and its seq if it carries a change, as a transport writes it."""


@dataclass(frozen=True, slots=True)
class View:
    audience: Audience = "public"
    wanted: Filter = field(default_factory=Filter)


class Listener(Protocol):
    """One client of the live stream. It calls `tail.leave` when it is gone."""

    @property
    def framing(self) -> Framing: ...

    @property
    def gone(self) -> bool: ...

    def write(self, data: bytes) -> bool:
        """Takes framed messages without waiting; False when too much is waiting already, and these were not taken."""

    @property
    def full(self) -> bool:
        """Whether too much is waiting to take more."""

    async def drained(self) -> None:
        """Returns when more may be written, or when the listener is gone."""

    def too_slow(self) -> None:
        """Ends: the client does not read what it is told."""

    def beat(self) -> None:
        """A sign of life, and a look for one."""

    def come_back(self) -> None:
        """Ends: the client is to come back with its position."""


class _Group:
    """Those who share a view, and the last change that was told in it."""

    def __init__(self, told: int) -> None:
        self.told = told
        self.listeners: dict[Framing, set[Listener]] = {}

    def add(self, listener: Listener) -> None:
        self.listeners.setdefault(listener.framing, set()).add(listener)

    def discard(self, listener: Listener) -> None:
        there = self.listeners.get(listener.framing)
        if there is not None:
            there.discard(listener)
            if not there:
                del self.listeners[listener.framing]


@dataclass(frozen=True, slots=True)
class _Piece:
    """What a stream is told next on its way to the head."""

    messages: Sequence[tuple[int, bytes]]
    position: int
    """Up to where the log was read for it."""
    told: int
    _framed: dict[Framing, bytes] = field(default_factory=dict)

    def framed(self, framing: Framing) -> bytes:
        found = self._framed.get(framing)
        if found is None:
            found = self._framed[framing] = _joined(self.messages, framing)
        return found


class Tail:
    """`head` is the newest change that was told here. Started by `run()`; `ready` is set once it knows where it is."""

    def __init__(self, site: Site, encode: Callable[[Stored], bytes]) -> None:
        self._site = site
        self._encode = encode
        self._window = Window()
        self._groups: dict[View, _Group] = {}
        self._streams: set[Listener] = set()
        self._owners: dict[Listener, float] = {}
        """Those who see private things, and since when."""
        self._notices: dict[str, bytes] = {}
        self._memos: dict[tuple[View, int, int], _Piece] = {}
        self._asked: dict[Hashable, asyncio.Task[Any]] = {}
        self._behind: dict[Listener, _Place] = {}
        self._fell = asyncio.Event()
        self._catching_up: set[asyncio.Task[None]] = set()
        self._reading = asyncio.Semaphore(READS_AT_ONCE)
        self._moved = bells.Bell()
        self._took = 0.0
        self.head = 0
        self.ready = asyncio.Event()
        self.closing = asyncio.Event()
        self.crowd = bells.Bell()
        """Rings when a stream opens or ends."""

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as all:
                all.create_task(self._follow())
                all.create_task(self._look_after_the_slow())
                all.create_task(self._beat())
        finally:
            for task in [*self._catching_up, *self._asked.values()]:
                task.cancel()

    async def _follow(self) -> None:
        bell = self._site.store.bells[bells.LOG]
        while True:
            heard = bell.strokes
            try:
                if not self.ready.is_set():
                    await self._prime()
                while await self._advance():
                    pass
                await asyncio.sleep(self._rest())
            except Exception as error:  # the database is away; what is missed now is read when it is back
                log.error("tail", status="failed", error=type(error).__name__)
                await asyncio.sleep(1.0)
                continue
            await bell.heard(heard, timeout=HEARTBEAT)

    def _rest(self) -> float:
        """Half of what the last telling took, when it took long: what comes meanwhile is told in one go."""
        took, self._took = self._took, 0.0
        return min(LONGEST_REST, took / 2) if took > SHORT else 0.0

    async def _prime(self) -> None:
        """Where the log stands, and its newest changes: or every client would cost a look after a restart."""
        async with self._site.store.read() as db:
            self.head = await changes.head(db)
            newest = await changes.newest(db, MOST)
        base = newest[0].seq - 1 if len(newest) == MOST else 0
        # What was committed between the two questions is told as it comes.
        self._window.fill([change for change in newest if change.seq <= self.head], base)
        self.ready.set()

    # -- a stream's way to the living -----------------------------------------------------------

    async def start(self, after: int | None) -> live.Start:
        """Where a stream that asks for `after` goes on from, and whether it has to load the page afresh."""
        await self.ready.wait()
        if after is None or after <= self.head:
            return live.start(after, self.head, 0)
        newest = await self._once("head", self._newest)  # another process may be further than this one
        return live.start(after, max(newest, self.head), 0)

    def open(self, view: View, listener: Listener) -> None:
        """Counts `listener` among the streams; `leave` ends it."""
        self._streams.add(listener)
        if view.audience == "owner":
            self._owners[listener] = monotonic()
        self.crowd.ring()

    async def join(self, view: View, position: int, listener: Listener) -> None:
        """Brings `listener` up to date from `position` and lets it live on."""
        await self._bring(listener, _Place(view, position, position))

    async def _bring(self, listener: Listener, place: "_Place") -> None:
        try:
            await self._reach(place.position, listener)
            told = await self._replay(listener, place)
        except TimeoutError:
            listener.too_slow()
            return
        except Exception as error:  # the database is away, most likely
            log.error("stream", status="failed", error=type(error).__name__)
            listener.come_back()
            return
        # No await from here: nothing can be told between the last look and the joining.
        if listener.gone:
            return
        view = place.view
        group = self._groups.get(view)
        if group is None:
            group = self._groups[view] = _Group(told)
        # Nothing was told in this view between the two, so the smaller one is true for all of them.
        group.told = min(group.told, told)
        group.add(listener)
        for notice in self._notices.values():
            listener.write(listener.framing(notice, None))

    async def _replay(self, listener: Listener, place: "_Place") -> int:
        """Tells what was missed, at the listener's own pace, until there is no more and it has read enough of it.

        Returns what it was told last. Raises TimeoutError.
        """
        position, told = place.position, place.told
        while True:
            async with asyncio.timeout(PATIENCE):
                await listener.drained()
            if listener.gone or position >= self.head:
                return told
            piece = await self._next(place.view, position, told)
            listener.write(piece.framed(listener.framing))
            position, told = piece.position, piece.told
            await asyncio.sleep(0)

    def leave(self, view: View, listener: Listener) -> None:
        group = self._groups.get(view)
        if group is not None:
            group.discard(listener)
            if not group.listeners:
                del self._groups[view]
        if listener in self._streams:
            self._streams.discard(listener)
            self._owners.pop(listener, None)
            self.crowd.ring()

    async def missed(self, view: View, position: int) -> Sequence[tuple[int, bytes]]:
        """The next changes after `position` that `view` is told of, each with its seq; none when it is up to date."""
        if position > self.head:
            return ()
        told = position
        while position < self.head:
            piece = await self._next(view, position, told)
            if piece.messages:
                return piece.messages
            position = piece.position
            await asyncio.sleep(0)
        return ()

    def forget(self) -> None:
        """The entries are written otherwise from now on."""
        self._memos.clear()

    async def _reach(self, position: int, listener: Listener) -> None:
        """Waits for what another process has told already and this one has not read yet."""
        while self.head < position and not listener.gone:
            heard = self._moved.strokes
            self._site.store.bells[bells.LOG].ring()
            await self._moved.heard(heard, timeout=1.0)

    async def _next(self, view: View, position: int, told: int) -> _Piece:
        """The next piece of the log for `view`. Many ask for the same: it is made once while the head stands still."""
        key = (view, position, told)
        found = self._memos.get(key)
        if found is not None:
            return found
        head = self.head
        if position >= self._window.base:
            page: Iterable[Stored] = self._window.after(position)
            upto = head
        else:
            page, upto = await self._once((view.audience, position), lambda: self._page(view.audience, position))
        piece = self._piece(page, view, position, told, upto)
        # If the head moved, it may tell what was taken back meanwhile.
        if self.head == head and sum(len(message) for _, message in piece.messages) < MEMO_BYTES:
            if len(self._memos) >= MEMOS:
                self._memos.clear()
            self._memos[key] = piece
        return piece

    def _piece(self, page: Iterable[Stored], view: View, position: int, told: int, upto: int) -> _Piece:
        messages, size = [], 0
        for checked, change in enumerate(page, 1):
            message = self._message(change, view, told)
            if message is not None:
                told = change.seq
                messages.append((told, message))
                size += len(message)
            if size > AT_A_STRETCH or checked == CHECKS:
                upto = change.seq
                break
        return _Piece(messages, upto, told)

    async def _once(self, key: Hashable, ask: Callable[[], Awaitable[Any]]) -> Any:
        """What the database answers: asked once for all who want to know it at this moment."""
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.ensure_future(ask())
            task.add_done_callback(lambda _: self._asked.pop(key, None))
        return await asyncio.shield(task)

    async def _newest(self) -> int:
        async with self._site.store.read() as db:
            return await changes.head(db)

    async def _page(self, audience: Audience, position: int) -> tuple[Sequence[Stored], int]:
        """A page of the log up to the head, and up to where it has all of it."""
        async with self._reading:
            head = self.head
            async with self._site.store.read() as db:
                page = await changes.after(db, position, audience=audience, limit=PAGE, upto=head)
        return page, page[-1].seq if len(page) == PAGE else head

    # -- telling ------------------------------------------------------------------------------

    async def _advance(self) -> bool:
        """Tells the next page of changes to everybody; True when there may be more."""
        async with self._site.store.read() as db:
            page = await changes.after(db, self.head, audience="owner", limit=PAGE)
        waiting = list(reversed(page))
        began = monotonic()
        while waiting:
            await self._tell(self._stretch(waiting))
        self._site.exchanges.told(self.head, self.viewers)
        self._took += monotonic() - began
        return len(page) == PAGE

    def _stretch(self, waiting: list[Stored]) -> "list[_Round]":
        """Takes the next changes, as many as are written in one go; who hears of them is settled in the same tick."""
        rounds = [_Round(view, group, self.head, group.told) for view, group in self._groups.items()]
        checks = 0
        while waiting and checks < CHECKS and all(one.size < AT_A_STRETCH for one in rounds):
            change = waiting.pop()
            checks += len(rounds)
            for one in rounds:
                message = self._message(change, one.view, one.group.told)
                if message is not None:
                    one.add(change.seq, message)
            self._window.add(change)
            self.head = change.seq
        self._memos.clear()
        for one in rounds:
            one.settle()
        self._moved.ring()
        return rounds

    async def _tell(self, rounds: "list[_Round]") -> None:
        for one in rounds:
            late = [listener for listener, place in self._behind.items() if place.view == one.view]
            for data, listeners in one.writes:
                late += await _write(data, listeners)
            for some in _slices(late):
                for listener in some:
                    self._falls_behind(one, listener)
                await asyncio.sleep(0)

    def _falls_behind(self, one: "_Round", listener: Listener) -> None:
        """It leaves the living, until it has read what it has; or it is ended, if that grows too much."""
        one.group.discard(listener)
        place = self._behind.setdefault(listener, _Place(one.view, one.position, one.told))
        place.missed += one.size
        if place.missed > MISSED_BYTES:
            listener.too_slow()
        self._fell.set()

    async def _look_after_the_slow(self) -> None:
        """Brings those who fell behind up to date again, or ends them when they do not read at all."""
        while True:
            await self._fell.wait()
            await asyncio.sleep(LOOK_AGAIN)
            overdue = monotonic() - PATIENCE_BEHIND
            for some in _slices(list(self._behind.items())):
                for listener, place in some:
                    if listener.full and not listener.gone and place.since > overdue:
                        continue
                    self._behind.pop(listener, None)
                    if listener.full:
                        listener.too_slow()
                    elif not listener.gone:
                        task = asyncio.create_task(self._bring(listener, place))
                        self._catching_up.add(task)
                        task.add_done_callback(self._catching_up.discard)
                await asyncio.sleep(0)
            if not self._behind:
                self._fell.clear()

    async def notify(self, name: str, payload: bytes) -> None:
        """Says something that is no change, such as who is here, to every stream, and to those that come later."""
        self._notices[name] = payload
        for group in list(self._groups.values()):
            for framing, listeners in list(group.listeners.items()):
                await _write(framing(payload, None), list(listeners))

    def _message(self, change: Stored, view: View, told: int) -> bytes | None:
        """What `view` is told of a change that follows `told` there; None when it is no business of it."""
        try:
            return self._worded(change, view, told)
        except Exception as error:  # one that cannot be rendered must not keep back all that follow
            log.error("tail", status="skipped", entry=change.id, error=f"{type(error).__name__}: {error}")
            return None

    def _worded(self, change: Stored, view: View, told: int) -> bytes | None:
        match gate.told(change, view.audience, view.wanted):
            case "entry":
                return live.entry_message(change.seq, told, self._encode(change))
            case "delete":
                return live.delete_message(change.seq, told, change.id)
            case None:
                return None

    @property
    def viewers(self) -> int:
        return len(self._streams)

    def framings(self) -> Counter[Framing]:
        """How many living streams are written in which way."""
        found: Counter[Framing] = Counter()
        for group in self._groups.values():
            found.update({framing: len(listeners) for framing, listeners in group.listeners.items()})
        return found

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            for listeners in _slices(list(self._streams)):
                for listener in listeners:
                    listener.beat()
                await asyncio.sleep(0)
            self.dismiss_owners(OWNERS_STAY)

    def dismiss_owners(self, older_than: float = 0.0) -> None:
        """Has those who see private things come back and show again that they may: they may have been signed out."""
        until = monotonic() - older_than
        for listener in [listener for listener, since in self._owners.items() if since <= until]:
            listener.come_back()

    async def close(self) -> None:
        """Tells every stream to come back, and every new one: this process ends."""
        self.closing.set()
        for listeners in _slices(list(self._streams)):
            for listener in listeners:
                listener.come_back()
            await asyncio.sleep(0)


@dataclass(slots=True)
class _Place:
    """Where a listener stands in the log, and what it was told last; how much it has missed, and since when."""

    view: View
    position: int
    told: int
    missed: int = 0
    since: float = field(default_factory=monotonic)


class _Round:
    """What one view is told in one go, and who hears it."""

    def __init__(self, view: View, group: _Group, position: int, told: int) -> None:
        self.view, self.group = view, group
        self.position, self.told = position, told
        """Where its listeners stand without it."""
        self.size = 0
        self.writes: list[tuple[bytes, list[Listener]]] = []
        self._messages: list[tuple[int, bytes]] = []

    def add(self, seq: int, message: bytes) -> None:
        self.group.told = seq
        self.size += len(message)
        self._messages.append((seq, message))

    def settle(self) -> None:
        if self._messages:
            for framing, listeners in self.group.listeners.items():
                self.writes.append((_joined(self._messages, framing), list(listeners)))


def _joined(messages: Iterable[tuple[int, bytes]], framing: Framing) -> bytes:
    return b"".join([framing(message, seq) for seq, message in messages])


async def _write(data: bytes, listeners: Sequence[Listener]) -> list[Listener]:
    """Writes the same bytes to all; gives those who could not take them."""
    behind = []
    for some in _slices(listeners):
        for listener in some:
            if not listener.write(data):
                behind.append(listener)
        await asyncio.sleep(0)
    return behind


def _slices(many: Sequence[T]) -> Iterable[Sequence[T]]:
    return (many[at : at + AT_ONCE] for at in range(0, len(many), AT_ONCE))
