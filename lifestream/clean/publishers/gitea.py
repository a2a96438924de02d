"""Gitea, Forgejo and Gogs: what a person did. Titles hold HTML though they are text, and are in the host's language:
the addresses in them say more than the words. Ids are "4711: https://…"; those of releases too, whose titles are plain.
"""

import re
from dataclasses import replace
from urllib.parse import unquote

from lifestream.clean.html import text_of
from lifestream.clean.publishers.forges import code, commits_in, pushed, repository_of, tag_of, without_actor
from lifestream.types import Entry, Feed, Kind, RawEntry

_ID = re.compile(r"\d+: https?://")
_BRANCH = re.compile(r"/src/(?:branch/|tag/)?([^\"'&<>?#]+)")


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return bool(_ID.match(raw.id)) and raw.title is not None and "<a " in raw.title.value


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    markup = raw.title.value if raw.title else ""
    url = entry.url or ""
    repository = repository_of(url)
    branch = _BRANCH.search(markup)
    commits = commits_in(entry.content_html) if branch else []  # what else links commits only talks of them
    compare_url = url if "/compare/" in url else ""
    title = pushed(len(commits), repository) if commits else without_actor(text_of(markup), entry)
    kind = _kind(url, markup)
    data = code(repository, unquote(branch[1]) if branch else "", compare_url, commits)
    if kind == "release":
        data = {"repository": repository, "tag": tag_of(url)}
    return replace(
        entry,
        kind=kind,
        title=title or None,
        data=data if commits else {name: value for name, value in data.items() if value},
    )


def _kind(url: str, markup: str) -> Kind:
    if "#issuecomment" in url or "#comment" in url:
        return "reply"
    if "/releases/" in url:
        return "release"
    return "like" if " starred " in markup else "code"
