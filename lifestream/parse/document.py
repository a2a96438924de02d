"""What the readers of this package share: the document they are given, its bounds, and text made safe to keep.

A document is bounded by its bytes (whoever fetched it saw to that); these are the bounds within it.
"""

import re
from dataclasses import dataclass

from lifestream.errors import ParseError

TITLE_CHARS = 64 * 1024
CONTENT_CHARS = 1024 * 1024
TAGS = 100
MEDIA = 20
HUBS = 100
TEXT_CHARS = 4096
"""Names, tags, addresses: whatever is neither a title nor content."""

# What XML 1.0 (2.2) cannot hold, U+0000 and lone surrogates among it: neither can a database, nor the feeds we write.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_HARMLESS = bytes({*b"\t\n\r", *range(0x20, 0x100)} - {0xED, 0xEF})
"""Bytes of UTF-8 with which none of these begins."""


@dataclass(frozen=True, slots=True)
class Document:
    body: bytes
    media_type: str
    url: str


class IllFormed(ParseError):
    """It looks like a feed and breaks the rules of its format: worth a repair. Never leaves this package."""


def safe_text(text: str) -> str:
    if not text.encode("utf-8", "surrogatepass").translate(None, _HARMLESS):  # ten times as fast as to look for them
        return text
    return _ILLEGAL.sub("", text)
