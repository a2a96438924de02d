"""Cursors: where a page ended, as the text that is given out for going on from there. Opaque to whoever gets one."""

import base64
from datetime import datetime

from lifestream.clean.columns import microseconds, moment_of
from lifestream.errors import InvalidInput

BAD_CURSOR = "The cursor `before` is not one that this site gave out."


def written(moment: datetime, row: int) -> str:
    """The cursor for what comes after a row of this moment."""
    return packed(f"{microseconds(moment)}.{row}".encode())


def read(cursor: str, refusal: str = BAD_CURSOR) -> tuple[datetime, int]:
    """The moment and the row that a cursor stands for. Raises InvalidInput, with `refusal`."""
    try:
        moment, row = (int(part) for part in unpacked(cursor).decode("ascii").split("."))
        when = moment_of(moment)
    except (ValueError, OverflowError):
        raise InvalidInput(refusal) from None
    if abs(row) >= 2**63:
        raise InvalidInput(refusal)
    return when, row


def packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def unpacked(text: str) -> bytes:
    """Raises ValueError."""
    return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
