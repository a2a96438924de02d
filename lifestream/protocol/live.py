"""The live stream on the wire: its messages, Server-Sent Events framing, positions and the clock of the log.

An entry comes here as JSON already: it is encoded once, and the bytes are spliced into every message that carries it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from lifestream.clean.columns import microseconds
from lifestream.errors import InvalidInput

LARGEST = 2**53
"""Positions stay below this, where JavaScript's numbers stop being exact."""

HEARTBEAT = b":\n\n"


# -- positions --------------------------------------------------------------------------------


def next_seq(last: int, now: datetime) -> int:
    """The number of the next change: the time in microseconds, or one more than the last where that is ahead.

    It keeps growing past what a restored backup has forgotten.
    """
    return max(last + 1, microseconds(now))


def seq_range(last: int, now: datetime, count: int) -> range:
    first = next_seq(last, now)
    return range(first, first + count)


def parse_position(text: str | None) -> int | None:
    """The position in `after=` or Last-Event-ID; None when none is given."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) < LARGEST):
        raise InvalidInput("A position is a number that this stream gave out: the seq of an entry.")
    return int(text)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a stream goes on from. `replay`: there are changes to tell first. `reset`: the client must load afresh."""

    position: int
    replay: bool = False
    reset: bool = False


def start(after: int | None, head: int, oldest: int) -> Start:
    """`head` is the newest change in the database, `oldest` the lowest position since which nothing was dropped.

    0 means from the oldest change there is, and is never a reset.
    """
    if after is None:
        return Start(head)
    if after and (after < oldest or after > head):
        return Start(head, reset=True)
    return Start(after, replay=after < head)


# -- messages ---------------------------------------------------------------------------------


def hello(seq: int, reset: bool) -> bytes:
    return orjson.dumps({"type": "hello", "seq": seq, "reset": reset})


def entry_message(seq: int, prev: int, entry_json: bytes) -> bytes:
    return b'{"type":"entry","seq":%d,"prev":%d,"entry":%b}' % (seq, prev, entry_json)


def delete_message(seq: int, prev: int, id: str) -> bytes:
    return b'{"type":"delete","seq":%d,"prev":%d,"id":%b}' % (seq, prev, orjson.dumps(id))


def viewers(count: int) -> bytes:
    return b'{"type":"viewers","count":%d}' % count


def playing(track: Any) -> bytes:
    return orjson.dumps({"type": "playing", "track": track})


def poll_answer(seq: int, reset: bool, changes: Iterable[bytes]) -> bytes:
    """The answer to a long poll: messages as they are, in one object."""
    return b'{"seq":%d,"reset":%b,"changes":[%b]}' % (seq, b"true" if reset else b"false", b",".join(changes))


# -- Server-Sent Events -----------------------------------------------------------------------


def sse(data: bytes, id: int | None = None) -> bytes:
    """One event (HTML, 9.2). Only what carries a change has an id: nothing else moves where a client resumes."""
    lines = b"data: " + data.replace(b"\r", b"").replace(b"\n", b"\ndata: ") + b"\n\n"
    return lines if id is None else b"id: %d\n%b" % (id, lines)


def sse_retry(milliseconds: int) -> bytes:
    return b"retry: %d\n\n" % milliseconds


def sse_bye(milliseconds: int) -> bytes:
    """The server stops: come back after this while, which differs from client to client."""
    return b"event: bye\nretry: %d\ndata: {}\n\n" % milliseconds
