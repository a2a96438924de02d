"""Commits and releases of one repository, as git hosts list them: GitHub, GitLab, Gitea, Bitbucket, cgit, gitweb."""

import html
import re
from dataclasses import replace
from urllib.parse import unquote

from lifestream.clean.publishers.forges import code, name_of, repository_of, tag_of
from lifestream.types import Entry, Feed, RawEntry

GENERIC = True
_COMMIT = re.compile(
    r"/commit(?:s|diff)?/(?:\?(?:.{0,300}&)?id=)?([0-9a-f]{3,64})\b|[;?]a=commit(?:diff)?;(?:.{0,300};)?h=([0-9a-f]{3,64})"
)
_GITWEB = re.compile(r"[?;]p=([^;&]+)|/([^/?#]+\.git)/commitdiff/")
# "Recent Commits to loom:main" (GitHub), "loom:main commits" (GitLab), "loom.git, branch main" (cgit),
# "Latest commits for branch main" (Gitea)
_BRANCH = re.compile(
    r"Recent Commits to [^:]+:(\S+)|\S+:(\S+) commits|.+, branch (\S+)|Latest commits for branch (\S+)"
)
_CGIT = re.compile(r"(\S+?)(?:\.git)?, branch ")


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return "commit" in url or "/tag" in url or "/releases/" in url


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    url = entry.url or ""
    if entry.kind == "code" and "commits" not in entry.data and (found := _COMMIT.search(url)):
        return _commit(entry, feed, url, found[1] or found[2])
    if entry.kind == "release" and (tag := tag_of(url)):
        return _release(entry, repository_of(url), tag)
    return entry


def _commit(entry: Entry, feed: Feed, url: str, commit_id: str) -> Entry:
    """GitHub escapes its titles once too often."""
    title = html.unescape(entry.title or "")
    branch = _BRANCH.fullmatch(feed.title)
    commit = {"id": commit_id, "message": title, "url": url, "author": entry.author.name if entry.author else ""}
    data = code(_repository(url, feed), next(filter(None, branch.groups())) if branch else "", "", [commit])
    return replace(entry, title=title or None, data=data)


def _repository(url: str, feed: Feed) -> str:
    if gitweb := _GITWEB.search(url):
        return unquote(gitweb[1] or gitweb[2]).removesuffix(".git")
    if cgit := _CGIT.match(feed.title):
        return cgit[1]
    return repository_of(url)


def _release(entry: Entry, repository: str, tag: str) -> Entry:
    """A version alone says nothing among other things: "loom 1.2"."""
    name, title = name_of(repository), entry.title or tag
    whole = title if not name or name.casefold() in title.casefold() else f"{name} {title}"
    return replace(
        entry, title=whole, data={name: value for name, value in (("repository", repository), ("tag", tag)) if value}
    )
