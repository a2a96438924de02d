"""WebSocket frames as a server writes and reads them (RFC 6455, section 5): unmasked going out, masked coming in.

What goes out is the same bytes for every client; of what comes in only control frames matter here.
"""

from lifestream.errors import InvalidInput

CLOSE, PING, PONG = 0x8, 0x9, 0xA
_DATA = frozenset((0x0, 0x1, 0x2))
_OPCODES = _DATA | {CLOSE, PING, PONG}
LARGEST_IN = 4096
"""Bytes that a client may send in one frame: it has nothing to say."""


class BadFrame(InvalidInput):
    """What came in is not WebSocket. `code` is what to close with (section 7.4.1)."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


def text(payload: bytes) -> bytes:
    return _frame(0x1, payload)


def ping() -> bytes:
    return _frame(PING, b"")


def pong(payload: bytes) -> bytes:
    return _frame(PONG, payload)


def close(code: int, reason: str = "") -> bytes:
    return _frame(CLOSE, code.to_bytes(2, "big") + reason.encode()[:123])


def close_back(payload: bytes) -> bytes:
    """The answer to a client's close: its own code, if it gave one."""
    return _frame(CLOSE, payload[:2] if len(payload) > 1 else b"")


def _frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


def read(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The control frames in `data` with their payloads, and the bytes of a frame that is not complete yet.

    Data frames are skipped. Raises BadFrame.
    """
    found, at, end = [], 0, len(data)
    while end - at >= 2:
        opcode, size, start = data[at] & 0x0F, data[at + 1] & 0x7F, at + 2
        if data[at] & 0x70 or opcode not in _OPCODES:
            raise BadFrame(1002, "A frame with reserved bits or an unknown opcode.")
        if not data[at + 1] & 0x80:
            raise BadFrame(1002, "A client masks its frames.")
        if opcode not in _DATA and (size > 125 or not data[at] & 0x80):
            raise BadFrame(1002, "A control frame is short and in one piece.")
        if size > 125:
            length = 2 if size == 126 else 8
            if end < start + length:
                break
            size, start = int.from_bytes(data[start : start + length], "big"), start + length
        if size > LARGEST_IN:
            raise BadFrame(1009, "Nothing that long is read here.")
        body = start + 4
        if end < body + size:
            break
        at = body + size
        if opcode not in _DATA:
            mask = data[start:body]
            found.append((opcode, bytes(byte ^ mask[i & 3] for i, byte in enumerate(data[body:at]))))
    return found, data[at:]
