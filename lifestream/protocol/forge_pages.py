"""Which forge a page belongs to, by what its program writes into every page: who finds no feed there hears of webhooks.

By the templates of Gogs (templates/base), Gitea and Forgejo (the same, and `[ui.meta]` of their settings), GitLab,
Bitbucket, GitHub and sourcehut. Whoever runs one may change most of it, so that one sign is enough.
"""

import re
from collections import deque
from itertools import islice

from lxml import etree

from lifestream.protocol.markup import html_tree

_NAMES = {
    "gogs": "Gogs", "gitea": "Gitea", "forgejo": "Forgejo", "gitlab": "GitLab", "bitbucket": "Bitbucket",
    "github": "GitHub", "sourcehut": "sourcehut",
}  # fmt: skip
"""By the names of their adapters in `hooks/`."""

_ANY = "|".join(_NAMES)
_NAMED = re.compile(rf"({_ANY})(?:\s+v?\d.*|\s+[-–—]\s.*)?", re.I | re.S)
_TITLED = re.compile(
    rf"[-–—·|]\s({_ANY})(?:(?<=gitea):\sgit\swith.*|(?<=forgejo):\sbeyond\scoding.*|(?<=sourcehut)\s\w+)?\Z", re.I
)
_FOOTED = re.compile(r"(?:©|\bpowered by)\s*(?:\d{4}\s*)?(gogs|gitea|forgejo)\b", re.I)
_HOMES = re.compile(r"https?://(?:www\.|about\.)?(gogs|gitea|forgejo)\.(?:io|com|org)/?")
_METAS = ("author", "generator", "application-name", "og:site_name")
_KEYWORDS = {"go,git,self-hosted,gogs": "gogs", "go,git,self-hosted,gitea": "gitea", "git,forge,forgejo": "forgejo"}
_MOST_METAS, _MOST_LINKS = 500, 200
_WORDS, _TITLE, _FOOTER = 200, 2000, "substring(normalize-space(), 1, 2000)"
"""So many characters of a meta, a title and a footer are looked at: over a whole page the expressions take long."""


def forge_of(body: bytes, media_type: str) -> str:
    """The name of the forge's adapter; "" for any other page."""
    root = html_tree(body, media_type)
    if root is None:
        return ""
    return _by_meta(root) or _by_title(root) or _by_footer(root)


def webhook_hint(forge: str) -> str:
    """What to do where a forge has no feed; "" for no forge."""
    if not forge:
        return ""
    return (
        f"This looks like {_NAMES[forge]}, a forge, which can tell of news by webhook: "
        f"make one with `lifestream hook add {forge} --slug NAME`, or at /admin/hooks."
    )


def _by_meta(root: "etree._Element") -> str:
    for meta in islice(root.iter("meta"), _MOST_METAS):
        name, content = meta.get("name") or meta.get("property") or "", (meta.get("content") or "")[:_WORDS].strip()
        if name in _METAS and (found := _NAMED.fullmatch(content)):
            return found[1].lower()
        if name == "keywords" and (known := _KEYWORDS.get(content.replace(" ", "").lower())):
            return known
    return ""


def _by_title(root: "etree._Element") -> str:
    title = " ".join((root.findtext(".//title") or "")[-_TITLE:].split())[-_WORDS:]
    found = _TITLED.search(title)
    return found[1].lower() if found else ""


def _by_footer(root: "etree._Element") -> str:
    """By the last footer that is in no other: those of articles come before the page's own."""
    footer = next(iter(deque(root.iter("footer"), maxlen=1)), None)
    if footer is None:
        return ""
    footer = next(iter(deque(footer.iterancestors("footer"), maxlen=1)), footer)
    homes = (_HOMES.fullmatch(link.get("href") or "") for link in islice(footer.iter("a"), _MOST_LINKS))
    found = _FOOTED.search(str(footer.xpath(_FOOTER))) or next(filter(None, homes), None)
    return found[1].lower() if found else ""
