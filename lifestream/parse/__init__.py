"""Bytes in, one `Feed` out. Each kind of source is a file here, found by its name: it has `sniff` and `read`, and says
`SLOW` where reading takes more than milliseconds.

The body decides what it is; a Content-Type may lie. Nothing here fetches, waits or believes: what comes out is what the
document says, with XML's illegal characters gone and sizes bounded.
"""

import pkgutil
from functools import cache
from importlib import import_module
from types import ModuleType

from lifestream.errors import ParseError
from lifestream.parse.document import Document, IllFormed
from lifestream.parse.seen import what_was_seen
from lifestream.types import Feed

__all__ = ["parse", "parse_well_formed"]


def parse(body: bytes, media_type: str, url: str) -> Feed:
    """The feed in this document, repaired where it must be; `ParseError` says what was seen instead of one."""
    document = Document(body, media_type, url)
    reader = _reader(document)
    try:
        feed: Feed = reader.read(document)
    except IllFormed:
        from lifestream.parse import illformed  # feedparser behind it takes longer to import than most feeds to read

        feed = illformed.read(document, reader)
    return feed


def parse_well_formed(body: bytes, media_type: str, url: str) -> Feed | None:
    """The same in little time; None for a document that needs repairs, or a reader that is slow."""
    document = Document(body, media_type, url)
    reader = _reader(document)
    if hasattr(reader, "SLOW"):
        return None
    try:
        feed: Feed = reader.read(document)
    except IllFormed:
        return None
    return feed


def _reader(document: Document) -> ModuleType:
    for reader in readers():
        if reader.sniff(document):
            return reader
    raise ParseError(what_was_seen(document))


@cache
def readers() -> tuple[ModuleType, ...]:
    """Every module of this package that can `sniff`."""
    modules = (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return tuple(module for module in modules if hasattr(module, "sniff"))
