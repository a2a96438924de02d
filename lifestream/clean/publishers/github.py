"""GitHub's feed of what a person did (github.com/USER.atom): the event is in the id, the commits in the markup."""

import re
from dataclasses import replace

from lifestream.clean.publishers.forges import code, commits_in, pushed, repository_of, without_actor
from lifestream.types import Entry, Feed, Kind, RawEntry

_EVENT = re.compile(r"tag:github\.com,2008:([A-Za-z]+)Event/")
_KINDS: dict[str, Kind] = {
    "Watch": "like", "Fork": "repost", "Release": "release", "Follow": "follow", "IssueComment": "reply",
    "CommitComment": "reply", "PullRequestReview": "reply", "PullRequestReviewComment": "reply",
    "DiscussionComment": "reply", "Discussion": "article", "Sponsorship": "other",
}  # fmt: skip
_PUSH = re.compile(r"\S+ pushed to (?:(\S+) (?:in|at) )?(\S+/\S+)")
_FORK = re.compile(r" forked (\S+/\S+) from (\S+/\S+)$")
_PARAGRAPH = re.compile(r"<(p|blockquote)>(?!\s*<span)(?:(?!<p>|<blockquote>).)*?</\1>", re.S)


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return raw.id.startswith("tag:github.com,2008:") and "Event/" in raw.id


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    found = _EVENT.match(raw.id)
    event = found[1] if found else ""
    title = entry.title or ""
    if event == "Push" and (push := _PUSH.match(title)):
        return _push(entry, push[2], push[1] or "")
    url = entry.url or ""
    repository = repository_of(url)
    entry = replace(
        entry,
        kind=_KINDS.get(event, "code"),
        title=without_actor(title, entry) or None,
        content_html="".join(paragraph[0] for paragraph in _PARAGRAPH.finditer(entry.content_html)),
        data={"repository": repository} if repository else {},
    )
    if event == "Watch":
        return replace(entry, data={**entry.data, "about": {"url": url, "title": repository}})
    if fork := _FORK.search(title):
        return replace(entry, data={**entry.data, "about": {"url": f"https://github.com/{fork[2]}", "title": fork[2]}})
    return entry


def _push(entry: Entry, repository: str, branch: str) -> Entry:
    """Links in the markup are relative, and count from wherever the feed was fetched: made whole from the title."""
    commits = [
        {**commit, "url": f"https://github.com/{repository}/commit/{commit['id']}"}
        for commit in commits_in(entry.content_html)
    ]
    compare_url = entry.url if entry.url and "/compare/" in entry.url else ""
    title = pushed(len(commits), repository) if commits else without_actor(entry.title or "", entry)
    return replace(entry, kind="code", title=title, data=code(repository, branch, compare_url, commits))
