"""A stranger's HTML as a tree, whatever state it is in; for rules that look for a few elements in it."""

import re

from lxml import etree

HTML_PREFIX = 512 * 1024
"""What a page says of itself is in here, or not said."""

_MAYBE_HTML = re.compile(r"html|xml|^\s*text/|octet-stream|unknown")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.I)


def html_tree(body: bytes, media_type: str) -> "etree._Element | None":
    """The root of the page; None for what cannot be one, or has nothing in it."""
    essence, _, _ = media_type.lower().partition(";")
    if essence.strip() and not _MAYBE_HTML.search(essence):
        return None
    charset = _CHARSET.search(media_type)
    try:
        parser = _html_parser(charset[1] if charset else None)
    except LookupError:  # an encoding nobody knows
        parser = _html_parser(None)
    try:
        return etree.fromstring(body[:HTML_PREFIX], parser)
    except (etree.LxmlError, ValueError):  # an empty document, to some versions of lxml
        return None


def _html_parser(encoding: str | None) -> "etree.HTMLParser":
    return etree.HTMLParser(encoding=encoding, no_network=True, huge_tree=False)
