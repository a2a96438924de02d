"""One sentence on what a document is that is no feed, for the person who has to find out why."""

import re

from lifestream.parse.document import Document, safe_text

_MAGIC = (
    (b"\x89PNG", "a PNG picture"), (b"\xff\xd8\xff", "a JPEG picture"), (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF"), (b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "gzip data that nobody unpacked"),
    (b"RIFF", "a media file"), (b"ID3", "an MP3"),
)  # fmt: skip
_TITLE = re.compile(r"<title[^>]{0,200}>\s*([^<]{1,200})", re.I)
_HTML = frozenset(
    "a article b body br center div form h1 head img link main meta p script section span style table title".split()
)
_ROOT = re.compile(r"<([A-Za-z_][\w.:-]{0,60})")
_GUARDS = (
    "just a moment",
    "attention required",
    "checking your browser",
    "are you a robot",
    "enable javascript and cookies",
)


def what_was_seen(document: Document) -> str:
    body = document.body
    if not body.strip(b" \t\r\n\0\xef\xbb\xbf"):
        return "The document is empty."
    for magic, name in _MAGIC:
        if body.startswith(magic):
            return f"This is {name}, not a feed."
    head = safe_text(body[:16384].replace(b"\0", b"").decode("utf-8", "replace"))
    root = _ROOT.search(head) if head.lstrip("\ufeff \t\r\n").startswith("<") else None
    if re.search(r"<!doctype html|<html[\s>]", head, re.I) or (root and root[1].lower() in _HTML):
        return _page(head)
    if root and root[1].lower() == "opml":
        return "This is an OPML list of feeds, not a feed: import it instead."
    if root:
        return f"This is XML, but no feed: its outermost element is <{root[1]}>."
    if head.lstrip()[:1] in ("{", "["):
        return "This is JSON, but not a JSON Feed."
    said = " ".join(head.split())[:60]
    return f"This is no feed; it begins “{said}”." if said.isprintable() else "This is binary data, not a feed."


def _page(head: str) -> str:
    title = _TITLE.search(head)
    named = f" (“{' '.join(title[1].split())[:80]}”)" if title else ""
    lower = head.lower()
    if any(guard in lower for guard in _GUARDS):
        return f"This is a guard against robots{named}, not a feed: the site does not let us in."
    if re.search(r"type\s*=\s*[\"']?password", lower):
        return f"This is a login page{named}, not a feed."
    return f"This is an HTML page{named}, not a feed."
