"""The page of somebody at a Gogs, which has no feeds: the list of what he did, as templates/user/dashboard/feeds.tmpl
writes it. Gitea and Forgejo have Atom for it.
"""

from typing import Any

from lxml import etree

from lifestream.errors import ParseError
from lifestream.parse.document import HUBS, TEXT_CHARS, TITLE_CHARS, Document, safe_text
from lifestream.parse.names import Element, absolute
from lifestream.parse.seen import what_was_seen
from lifestream.protocol.links import html_links
from lifestream.types import Feed, RawEntry, Text

COMMITS = 100


def sniff(document: Document) -> bool:
    return b'class="feeds"' in document.body and b'class="news"' in document.body


def read(document: Document) -> Feed:
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False)
    root = etree.fromstring(document.body, parser)
    news = root.iterfind(".//div[@class='feeds']//div[@class='news']") if root is not None else ()
    entries = tuple(entry for each in news if (entry := _entry(each, document.url)))
    if not entries:
        raise ParseError(what_was_seen(document))
    links = html_links(document.body, "", document.url)
    return Feed(
        format="h-feed",
        title=_text(root.find(".//title"))[:TEXT_CHARS],
        site_url=document.url,
        self_url=next((link.url for link in links if "self" in link.rels), ""),
        hubs=tuple(link.url for link in links if "hub" in link.rels)[:HUBS],
        entries=entries,
    )


def _entry(news: Element, base: str) -> RawEntry | None:
    """One act: a sentence whose last link is the repository or the thing within it, commits, and when."""
    sentence = news.find(".//p")
    links = sentence.findall(".//a") if sentence is not None else []
    if not links:
        return None
    where = absolute(links[-1].get("href") or "", base)[:TEXT_CHARS]
    when = next((span.get("title") or "" for span in news.iterfind(".//span[@class='time-since']")), "")[:100]
    commits = [_commit(link, base) for link in news.iterfind(".//a[@class='commit-id']")][:COMMITS]
    about = f"{where}/commit/{commits[0]['id']}" if commits else where
    pushed = {"repository": _text(links[-1]), "branch": _text(links[-2]) if len(links) > 2 else "", "commits": commits}
    return RawEntry(
        id=safe_text(f"{about}#{when}"),
        link=where,
        title=Text(_text(sentence)[:TITLE_CHARS]),
        published=when,
        verb="push" if commits else "",
        base=base,
        data=pushed if commits else {},
    )


def _commit(link: Element, base: str) -> dict[str, Any]:
    message = _text(link.getparent()).removeprefix(_text(link)).strip()
    url = absolute(link.get("href") or "", base)
    return {"id": _text(link)[:64], "message": message[:TEXT_CHARS], "url": url[:TEXT_CHARS]}


def _text(element: Element | None) -> str:
    return safe_text(" ".join("".join(element.itertext()).split())) if element is not None else ""
