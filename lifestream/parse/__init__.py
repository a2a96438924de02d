"""Bytes in, one `Feed` out. Each kind of source is a file here, found by its name: it has `sniff` and `read`, and says
`SLOW` where reading takes more than milliseconds.

The body decides what it is; a Content-Type may lie. Nothing here fetches, waits or believes: what comes out is what the
document says, with XML's illegal characters gone and sizes bounded.
"""

import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from types import ModuleType

from lifestream.errors import ParseError
from lifestream.parse.document import Document, IllFormed
from lifestream.parse.seen import what_was_seen
from lifestream.types import Feed

__all__ = ["parse", "parse_well_formed"]

_PAGE = re.compile(rb"<(?:!doctype\s+html|html)\b", re.I)


def parse(body: bytes, media_type: str, url: str) -> Feed:
    """The feed in this document, repaired where it must be; `ParseError` says what was seen instead of one.

    What a reader took for its own and could not read is given to the next one; the first one's complaint counts.
    """
    document = Document(body, media_type, url)
    refused: list[ParseError] = []
    for reader in _readers(document):
        try:
            feed = _read(document, reader)
        except ParseError as error:
            refused.append(error)
        else:
            if feed.entries or not _PAGE.search(body, 0, 1024):
                return feed
    raise refused[0] if refused else ParseError(what_was_seen(document))  # a page with scraps of XML, as drawings have


def _read(document: Document, reader: ModuleType) -> Feed:
    try:
        feed: Feed = reader.read(document)
    except IllFormed:
        from lifestream.parse import illformed  # feedparser behind it takes longer to import than most feeds to read

        feed = illformed.read(document, reader)
    return feed


def parse_well_formed(body: bytes, media_type: str, url: str) -> Feed | None:
    """The same in little time; None for a document that needs repairs or another reader, or one that is slow."""
    document = Document(body, media_type, url)
    reader = next(_readers(document), None)
    if reader is None:
        raise ParseError(what_was_seen(document))
    if hasattr(reader, "SLOW") or _PAGE.search(body, 0, 1024):
        return None
    try:
        feed: Feed = reader.read(document)
    except ParseError:
        return None
    return feed


def _readers(document: Document) -> Iterator[ModuleType]:
    """Those that take the document for theirs; the later ones are asked only where the earlier ones fail."""
    return (reader for reader in readers() if reader.sniff(document))


@cache
def readers() -> tuple[ModuleType, ...]:
    """Every module of this package that can `sniff`."""
    modules = (import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    return tuple(module for module in modules if hasattr(module, "sniff"))
