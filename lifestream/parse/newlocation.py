"""What some leave in place of a feed that moved: `<redirect><newLocation>` (rssboard.org/redirect-rss-feed)."""

import re

from lxml import etree

from lifestream.errors import ParseError
from lifestream.parse.atom_rss import xml_parser
from lifestream.parse.document import TEXT_CHARS, Document, safe_text
from lifestream.parse.names import absolute, children, first_text
from lifestream.parse.seen import what_was_seen
from lifestream.types import Feed

_LOOKS = re.compile(rb"\s*(?:<[?!][^>]*>\s*)*<redirect[\s>]")


def sniff(document: Document) -> bool:
    return bool(_LOOKS.match(document.body.removeprefix(b"\xef\xbb\xbf")[:4096]))


def read(document: Document) -> Feed:
    """A feed without entries, which is elsewhere."""
    try:
        root = etree.fromstring(document.body, xml_parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ParseError(what_was_seen(document)) from error
    address = absolute(safe_text(first_text(children(root), "newLocation")), document.url)[:TEXT_CHARS]
    if not address:
        raise ParseError(what_was_seen(document))
    return Feed("rss", moved_to=address)
