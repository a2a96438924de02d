"""GitLab: what a person did, in its own words, with the commits in the summary."""

import re
from dataclasses import replace
from urllib.parse import urlsplit

from lifestream.clean.publishers.forges import code, commits_in, pushed, repository_of, without_actor
from lifestream.types import Entry, Feed, Kind, RawEntry

_ID = re.compile(r"tag:[^,]+,\d{4}-\d\d-\d\d:\d+$")
_PAGE = re.compile(r"/(?:-/|compare/|commit/|merge_requests/|issues/)")
_PROJECT = re.compile(r".+? (?:created|imported|joined|left) project \S")
_PUSH = re.compile(r" pushed (?:to|new) (?:project )?(?:branch|tag) (\S+) (?:at|in) ")


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return raw.id.startswith("tag:") and bool(_ID.match(raw.id) and (_PAGE.search(url) or _of_project(raw)))


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    url, title = entry.url or "", entry.title or ""
    repository = urlsplit(url).path.strip("/") if _of_project(raw) else repository_of(url)
    own_words = without_actor(title, entry) or None
    if push := _PUSH.search(title):
        commits = commits_in(entry.content_html)
        compare_url = url if "/compare/" in url else ""
        own_words = pushed(len(commits), repository) if commits else own_words
        return replace(entry, kind="code", title=own_words, data=code(repository, push[1], compare_url, commits))
    kind: Kind = "reply" if "#note_" in url else "code"
    return replace(entry, kind=kind, title=own_words, data={"repository": repository} if repository else {})


def _of_project(raw: RawEntry) -> bool:
    """ "Ada created project mill / loom": its page is the project's own."""
    return raw.title is not None and bool(_PROJECT.match(raw.title.value))
