"""What all git hosts have in common: repositories in addresses, commits in markup, actors in titles."""

import html
import re
from itertools import islice
from typing import Any
from urllib.parse import unquote

from lifestream.clean.html import text_of_clean, web_address
from lifestream.types import Entry

_COMMIT = re.compile(r'<a href="([^"]*/commit/([0-9a-f]{1,64}))[^"]*"[^<>]*>')
_BLOCKQUOTE = re.compile(r"<blockquote[^<>]*>(.*?)</blockquote>", re.S)
_AUTHOR = re.compile(r'<strong>([^<>]+)</strong>|<span title="([^"]+)">')
_REPOSITORY = re.compile(
    r"https?://[^/]+/((?:[^/?#]+/)+?[^/?#]+?)(?:\.git)?/(?:-/|commits?/|compare/|releases\b|src/|tree/|issues\b|pulls?/"
    r"|merge_requests/|tags?/|wiki\b|discussions/)"
)
_BARE = re.compile(r"https?://[^/]+/([^/?#]+/[^/?#]+?)(?:\.git)?/?")
_TAG = re.compile(r"/(?:releases/tag|-/releases|-/tags|src/tag)/([^/?#]+)$")
COMMITS = 50


def repository_of(url: str) -> str:
    """ "ada/loom" of any address within it."""
    found = _REPOSITORY.match(url) or _BARE.fullmatch(url)
    return unquote(found[1]) if found else ""


def tag_of(url: str) -> str:
    """ "v1.2" of a release's or a tag's page."""
    found = _TAG.search(url)
    return unquote(found[1]) if found else ""


def name_of(repository: str) -> str:
    return repository.rpartition("/")[2]


def commits_in(markup: str) -> list[dict[str, str]]:
    """The commits that are linked, each with the message behind its link and the author before it."""
    links = list(islice(_COMMIT.finditer(markup), COMMITS))
    ends = [*(link.start() for link in links[1:]), len(markup)]
    begins = [0, *(link.end() for link in links)]
    found: dict[str, dict[str, str]] = {}
    for link, begin, end in zip(links, begins, ends, strict=False):
        _, _, after = markup[link.end() : end].partition("</a>")
        quoted = _BLOCKQUOTE.search(after)
        authors = [one or other for one, other in _AUTHOR.findall(markup[begin : link.start()])]
        message = text_of_clean(quoted[1] if quoted else after.strip().partition("\n\n")[0])
        url, commit_id = web_address(html.unescape(link[1])), link[2]
        found.setdefault(
            commit_id,
            {"id": commit_id, "message": message, "url": url, "author": text_of_clean(authors[-1]) if authors else ""},
        )
    return list(found.values())


def pushed(commits: int, repository: str) -> str:
    return f"Pushed {commits} commit{'' if commits == 1 else 's'} to {name_of(repository)}"


def without_actor(title: str, entry: Entry) -> str:
    """ "ada opened an issue" under Ada's own name is "Opened an issue"."""
    actor = entry.author.name if entry.author else ""
    rest = title.removeprefix(f"{actor} ") if actor else title
    return title if rest == title else rest[:1].upper() + rest[1:]


def code(repository: str, branch: str, compare_url: str, commits: list[dict[str, str]]) -> dict[str, Any]:
    """The contract's `data` of the kind code."""
    return {"repository": repository, "branch": branch, "compare_url": compare_url, "commits": commits}
