"""GitHub's feed of what a person did (github.com/USER.atom): the event is in the id, the commits in the markup."""

import html
import re
from dataclasses import replace
from urllib.parse import unquote

from lifestream.clean.publishers.forges import code, commits_in, pushed, repository_of, tag_of, without_actor
from lifestream.types import Entry, Feed, Kind, RawEntry

_EVENT = re.compile(r"tag:github\.com,2008:([A-Za-z]+)Event/")
_KINDS: dict[str, Kind] = {
    "Watch": "like", "Fork": "repost", "Release": "release", "Follow": "follow", "IssueComment": "reply",
    "CommitComment": "reply", "PullRequestReview": "reply", "PullRequestReviewComment": "reply",
    "DiscussionComment": "reply", "Discussion": "article", "Sponsorship": "other",
}  # fmt: skip
_PUSH = re.compile(r"\S+ pushed to (?:(\S+) (?:in|at) )?(\S+/\S+)")
_TREE = re.compile(r'<a href="[^"]*/tree/([^"?#]+)"')
_FORK = re.compile(r" forked (\S+/\S+) from (\S+/\S+)$")
_PARAGRAPH = re.compile(r"<(p|blockquote)>(?!\s*<span)(?:(?!<p>|<blockquote>).)*?</\1>", re.S)


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return raw.id.startswith("tag:github.com,2008:") and "Event/" in raw.id


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    found = _EVENT.match(raw.id)
    event = found[1] if found else ""
    title, url = entry.title or "", entry.url or ""
    repository = repository_of(url)
    if event == "Push":
        return _push(entry, repository)
    entry = replace(
        entry,
        kind=_KINDS.get(event, "code"),
        title=without_actor(title, entry) or None,
        content_html="".join(paragraph[0] for paragraph in _PARAGRAPH.finditer(entry.content_html)),
        data={name: value for name, value in (("repository", repository), ("tag", tag_of(url))) if value},
    )
    if event == "Watch":
        return replace(entry, data={**entry.data, "about": {"url": url, "title": repository}})
    if fork := _FORK.search(title):
        return replace(entry, data={**entry.data, "about": {"url": f"https://github.com/{fork[2]}", "title": fork[2]}})
    return entry


def _push(entry: Entry, repository: str) -> Entry:
    """What the title leaves out is in the address and behind the link to the branch.

    Links in the markup are relative, and count from wherever the feed was fetched: made whole from the repository.
    """
    said, tree = _PUSH.match(entry.title or ""), _TREE.search(entry.content_html)
    branch = unquote(html.unescape(tree[1])) if tree else ""
    if said:
        repository, branch = said[2], said[1] or branch
    linked = commits_in(entry.content_html) if repository else []
    commits = [{**commit, "url": f"https://github.com/{repository}/commit/{commit['id']}"} for commit in linked]
    compare_url = entry.url if entry.url and "/compare/" in entry.url else ""
    title = pushed(len(commits), repository) if commits else without_actor(entry.title or "", entry)
    return replace(entry, kind="code", title=title or None, data=code(repository, branch, compare_url, commits))
