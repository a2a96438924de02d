"""Reddit: a post's link and who submitted it are in the content's last line; a comment names its post in the title."""

import html
import re
from dataclasses import replace

from lifestream.clean.html import web_address
from lifestream.types import Author, Entry, Feed, RawEntry

_ID = re.compile(r"t[13]_[0-9a-z]+$")
_LINK = re.compile(r'<a href="([^"]+)"[^<>]*>\[link\]</a>')
_BY = "submitted by"
_COMMENT = re.compile(r"/u/\S+ on (.+)", re.S)


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return raw.id.startswith(("t1_", "t3_")) and bool(_ID.match(raw.id))


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    link = _LINK.search(entry.content_html)
    body, _, last_line = entry.content_html.rpartition(_BY)
    if "/u/" not in last_line:
        body = entry.content_html
    author = entry.author and Author(entry.author.name.removeprefix("/u/"), entry.author.url, entry.author.photo)
    entry = replace(entry, author=author, content_html=body)
    if comment := _COMMENT.match(entry.title or ""):
        return replace(entry, kind="reply", title=comment[1])
    target = web_address(html.unescape(link[1])) if link else ""
    if not target or target.rstrip("/") == (entry.url or "").rstrip("/"):
        return entry
    kind = "bookmark" if entry.kind in ("article", "note", "other") else entry.kind
    return replace(entry, kind=kind, data={**entry.data, "about": {"url": target}})
