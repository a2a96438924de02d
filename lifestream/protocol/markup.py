"""What a stranger's HTML says of itself, whatever state it is in: a tree of the few elements that are looked for."""

import re
from collections.abc import Mapping
from contextlib import suppress

from lxml import etree

HTML_PREFIX = 512 * 1024
"""What a page says of itself is in here, or not said."""
PARTS, DEPTH = 40_000, 100
"""So many elements and pieces of text of a page are looked at, so many of them in each other."""
TAGS = frozenset({"head", "body", "base", "title", "meta", "link", "a", "footer"})
ATTRIBUTES = frozenset({"rel", "href", "type", "title", "name", "property", "content"})
"""Those that somebody asks for; all others are left out."""

_MAYBE_HTML = re.compile(r"html|xml|^\s*text/|octet-stream|unknown")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.I)
_NOT_IN_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def html_tree(body: bytes, media_type: str) -> "etree._Element | None":
    """The root of the page; None for what cannot be one."""
    essence, _, _ = media_type.lower().partition(";")
    if essence.strip() and not _MAYBE_HTML.search(essence):
        return None
    charset = _CHARSET.search(media_type)
    plant = _Plant()
    try:
        parser = _html_parser(plant, charset[1] if charset else None)
    except LookupError:  # an encoding nobody knows
        parser = _html_parser(plant, None)
    with suppress(etree.LxmlError, ValueError, _Enough):  # an empty document is an error to some versions of lxml
        etree.fromstring(body[:HTML_PREFIX], parser)
    return plant.grown()


class _Enough(Exception):
    """The rest of the page is left alone."""


class _Plant:
    """Grows the tree. libxml2 would do so by itself, but it takes seconds for an element with 50,000 attributes."""

    def __init__(self) -> None:
        self._tree = etree.TreeBuilder()
        self._tree.start("html", {})
        self._open = ["html"]
        self._parts = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._count()
        if tag in TAGS and len(self._open) < DEPTH:
            self._open.append(tag)
            there = {name: _NOT_IN_XML.sub("", attributes[name]) for name in ATTRIBUTES if name in attributes}
            self._tree.start(tag, there)

    def end(self, tag: str) -> None:
        if tag == "html":
            raise _Enough
        if tag in TAGS and tag == self._open[-1]:
            self._tree.end(self._open.pop())

    def data(self, text: str) -> None:
        self._count()
        self._tree.data(_NOT_IN_XML.sub("", text))

    def close(self) -> None:
        """What libxml2 says at the end of a page, or where it gives up."""

    def grown(self) -> "etree._Element":
        while self._open:
            self._tree.end(self._open.pop())
        return self._tree.close()

    def _count(self) -> None:
        self._parts += 1
        if self._parts > PARTS:
            raise _Enough


def _html_parser(target: _Plant, encoding: str | None) -> "etree.HTMLParser":
    return etree.HTMLParser(target=target, encoding=encoding, no_network=True, huge_tree=False)
