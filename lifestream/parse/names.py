"""Elements of feeds by short names ("atom:title", "media:content", plain "title" for RSS), and the text within them.

Namespace addresses are compared without case and in all the spellings that are about; a namespace nobody knows gets
the prefix "?". An entity that the document declares itself is never expanded.
"""

import re
from functools import lru_cache
from html.entities import html5
from typing import Any
from urllib.parse import urljoin

from lxml import etree

Element = Any
Children = dict[str, list[Element]]

_NAMESPACES = {
    "": "",
    "http://www.w3.org/2005/atom": "atom:",
    "https://www.w3.org/2005/atom": "atom:",
    "http://purl.org/atom/ns#": "atom:",
    "http://purl.org/rss/1.0/": "",
    "http://my.netscape.com/rdf/simple/0.9/": "",
    "http://channel.netscape.com/rdf/simple/0.9/": "",
    "http://backend.userland.com/rss": "",
    "http://backend.userland.com/rss2": "",
    "http://blogs.law.harvard.edu/tech/rss": "",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#": "rdf:",
    "http://www.w3.org/1999/xhtml": "xhtml:",
    "http://purl.org/rss/1.0/modules/content/": "content:",
    "http://purl.org/dc/elements/1.1/": "dc:",
    "http://purl.org/dc/elements/1.0/": "dc:",
    "http://purl.org/dc/terms/": "dcterms:",
    "http://search.yahoo.com/mrss": "media:",
    "http://search.yahoo.com/mrss/": "media:",
    "https://search.yahoo.com/mrss/": "media:",
    "http://www.georss.org/georss": "georss:",
    "http://www.georss.org/georss/": "georss:",
    "http://www.opengis.net/gml": "gml:",
    "http://www.opengis.net/gml/3.2": "gml:",
    "https://podcastindex.org/namespace/1.0": "podcast:",
    "https://github.com/podcastindex-org/podcast-namespace/blob/main/docs/1.0.md": "podcast:",
    "http://www.w3.org/2003/01/geo/wgs84_pos#": "geo:",
    "http://activitystrea.ms/spec/1.0/": "activity:",
    "http://activitystrea.ms/schema/1.0/": "activity:",
    "http://purl.org/syndication/thread/1.0": "thr:",
    "http://purl.org/atompub/tombstones/1.0": "at:",
    "http://portablecontacts.net/spec/1.0": "poco:",
    "http://www.itunes.com/dtds/podcast-1.0.dtd": "itunes:",
    "https://www.itunes.com/dtds/podcast-1.0.dtd": "itunes:",
    "http://rssnamespace.org/feedburner/ext/1.0": "feedburner:",
    "http://purl.org/rss/1.0/modules/syndication/": "sy:",
    "http://purl.oclc.org/net/rss_2.0/enc#": "enc:",
    "http://www.w3.org/xml/1998/namespace": "xml:",
    "http://webns.net/mvcb/": "admin:",
    "http://purl.org/syndication/history/1.0": "fh:",
    "urn:flickr:user": "flickr:",
    "urn:flickr:": "flickr:",
    "urn:ietf:params:xml:ns:xcal": "xcal:",
}
XML_BASE = "{http://www.w3.org/XML/1998/namespace}base"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_HTTP = re.compile(r"https?://[^/]", re.I)


@lru_cache(maxsize=4096)
def name_of(tag: str) -> str:
    """ "{http://www.w3.org/2005/Atom}title" is "atom:title"."""
    if tag[0] != "{":
        return tag
    namespace, _, local = tag[1:].partition("}")
    return _NAMESPACES.get(namespace.strip().lower(), "?:") + local


def children(element: Element) -> Children:
    """The element's children, by name, in the order of the document."""
    found: Children = {}
    for child in element:
        if type(tag := child.tag) is str:  # an unexpanded entity has a function for a tag
            found.setdefault(name_of(tag), []).append(child)
    return found


def text(element: Element) -> str:
    """All text within, entities unexpanded; as written, so not stripped."""
    own: str = element.text or ""
    if len(element) == 0:
        return own
    parts = [own]
    for node in element.iterdescendants():
        if node.tag is etree.Entity:
            parts.append(html5.get(f"{node.name};", ""))
        elif node.text:
            parts.append(node.text)
        if node.tail:
            parts.append(node.tail)
    return "".join(parts)


def first_text(found: Children, *names: str) -> str:
    """The first of these children that says something, stripped."""
    for name in names:
        if name in found:
            for element in found[name]:
                if said := text(element).strip():
                    return said
    return ""


def inner_html(element: Element) -> str:
    """What is inside, as HTML: XHTML's namespace taken off, everything else left for the sanitiser to refuse. The one
    <div> that XHTML content must be wrapped in is no part of it (RFC 4287, section 3.1.1.3)."""
    for node in element.iterdescendants(tag="{http://www.w3.org/1999/xhtml}*"):
        try:
            node.tag = node.tag.rpartition("}")[2]
        except ValueError:  # a name that only recovery could read: unknown to HTML anyway
            continue
    if len(element) == 1 and element[0].tag == "div" and not ((element.text or "") + (element[0].tail or "")).strip():
        element = element[0]
    # Moved into a tree of its own: in the feed's, lxml would repeat all of its namespaces on each piece.
    alone = etree.Element("div")
    alone.text = element.text
    alone.extend(list(element))
    written: str = etree.tostring(alone, encoding="unicode", method="html")
    return written.removeprefix("<div>").removesuffix("</div>").strip()


def base_of(element: Element, inherited: str) -> str:
    """xml:base (XML Base, section 3) where it leads to http(s); a bad one is ignored."""
    given = element.get(XML_BASE) if element.keys() else ""  # to ask for an attribute costs more than that
    return absolute(given, inherited) or inherited if given else inherited


def absolute(url: str, base: str) -> str:
    """The http(s) address meant, or ""."""
    url = url.strip()
    if not url or _HTTP.match(url):
        return url
    try:
        joined = urljoin(base, url)
    except ValueError:
        return ""
    return joined if _HTTP.match(joined) else ""
