"""Lists of feeds as OPML 2.0 (http://opml.org/spec2.opml): how readers tell each other what they follow.

What OPML has no attribute for (who may see a source, its name in addresses) stands in a namespace of our own.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from lxml import etree

from lifestream.errors import ParseError

OURS = "urn:lifestream:opml"
MOST_OUTLINES = 10_000
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Outline:
    """One feed in the list."""

    xml_url: str
    title: str = ""
    html_url: str = ""
    slug: str = ""
    kind: str = ""
    private: bool = False


def write(title: str, owner: str, outlines: Iterable[Outline], when: datetime | None = None) -> bytes:
    root = etree.Element("opml", version="2.0", nsmap={"lifestream": OURS})
    head = etree.SubElement(root, "head")
    for name, value in (("title", title), ("ownerName", owner)):
        etree.SubElement(head, name).text = _legal(value)
    if when:
        etree.SubElement(head, "dateCreated").text = format_datetime(when.replace(microsecond=0), usegmt=True)
    body = etree.SubElement(root, "body")
    for one in outlines:
        _add(body, one)
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8", pretty_print=True)
    return written


def read(body: bytes) -> tuple[Outline, ...]:
    """The feeds in the list, folders or not, each address once. Raises ParseError."""
    try:
        root = etree.fromstring(
            body, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        )
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ParseError(f"This is not OPML: {error}.") from error
    if etree.QName(root).localname != "opml":
        raise ParseError(f"This is not OPML: its outermost element is <{etree.QName(root).localname[:60]}>.")
    found: dict[str, Outline] = {}
    for node in root.iter("{*}outline"):
        given = {name.lower(): value.strip() for name, value in node.attrib.items()}
        if url := given.get("xmlurl", ""):
            found.setdefault(url, _outline(url, given))
        if len(found) > MOST_OUTLINES:
            raise ParseError(f"There are more than {MOST_OUTLINES:,} feeds in this list; import it in parts.")
    if not found:
        raise ParseError("This is OPML, but there is no feed in it: no outline has an xmlUrl.")
    return tuple(found.values())


def _add(body: "etree._Element", one: Outline) -> None:
    node = etree.SubElement(body, "outline", type="rss", text=_legal(one.title), title=_legal(one.title))
    node.set("xmlUrl", _legal(one.xml_url))
    if one.html_url:
        node.set("htmlUrl", _legal(one.html_url))
    if one.kind:
        node.set(f"{{{OURS}}}kind", one.kind)
    if one.slug:
        node.set(f"{{{OURS}}}slug", one.slug)
    if one.private:
        node.set(f"{{{OURS}}}visibility", "private")


def _outline(url: str, given: dict[str, str]) -> Outline:
    ours = {name: given.get(f"{{{OURS}}}{name}", "") for name in ("slug", "kind", "visibility")}
    return Outline(
        xml_url=url,
        title=given.get("title") or given.get("text", ""),
        html_url=given.get("htmlurl", ""),
        slug=ours["slug"],
        kind=ours["kind"],
        private=ours["visibility"] == "private",
    )


def _legal(text: str) -> str:
    return NOT_IN_XML.sub("", text)
