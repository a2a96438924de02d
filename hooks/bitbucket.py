"""Bitbucket Cloud, and Bitbucket Server and Data Center.
https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/
https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lifestream.protocol.adapter import Call, Event, Ignored, Ping, Said, find, hub_signature, items, text
from lifestream.protocol.forges import Push, Repository, State, commit, first_line, pushed, state_of, thing
from lifestream.types import Author

DELIVERY = ("x-request-uuid", "x-request-id")
SET_UP = """\
On Bitbucket: the repository, Repository settings, Webhooks, Add webhook (Server: Create webhook).
  URL      {url}
  Secret   {secret}
  Trigger  repository push, and what else you want here: fork, issues, pull requests"""
DONE = {
    "created": "Opened", "opened": "Opened", "fulfilled": "Merged", "merged": "Merged", "rejected": "Declined",
    "declined": "Declined",
}  # fmt: skip


def doubt(call: Call, secrets: Sequence[str], now: datetime) -> str:
    return hub_signature(call, "x-hub-signature", secrets)


def events(call: Call, payload: Any) -> Said:
    event = call.header("x-event-key")
    if event == "diagnostics:ping":
        return Ping()
    noun, _, what = event.partition(":")
    who = _person(find(payload, "actor"))
    pull = find(payload, "pullrequest") or find(payload, "pullRequest")
    given = find(payload, "repository") or find(pull, "toRef", "repository")
    where = _repository(given)
    if not where.path:
        return Ignored("it is of no repository")
    match noun, what:
        case "repo", "push":
            changes = items(payload, "push", "changes")
            return [one for change in changes for one in pushed(where, who, _push(change))] or _nothing()
        case "repo", "refs_changed":
            changes = items(payload, "changes")
            return [one for change in changes for one in _ref(where, who, change)] or _nothing()
        case ("repo", "fork") | ("repo", "forked"):
            origin = find(given, "origin")
            parent, fork = (_repository(origin), where) if origin else (where, _repository(find(payload, "fork")))
            return [thing(parent, who, f"forked as {fork.path}", f"Forked {parent.path}", url=fork.url or parent.url)]
        case "issue", "created":
            issue = find(payload, "issue")
            return [_opened(where, who, "issue", issue, text(issue, "content", "raw"))]
        case (("pullrequest" | "pr"), _) if what in DONE:
            if DONE[what] == "Opened":
                return [_opened(where, who, "pull request", pull, text(pull, "description"))]
            number = text(pull, "id")
            title = f"{DONE[what]} pull request #{number} in {where.name}: {first_line(text(pull, 'title'))}"
            key = f"pull request {number} {DONE[what]}"
            return [thing(where, who, key, title, url=_link(pull) or where.url)]
    return Ignored(f"the event “{event[:60]}” is of no interest" if event else "it names no event")


def _nothing() -> Ignored:
    return Ignored("it is a push without commits")


def _opened(where: Repository, who: Author | None, noun: str, item: Any, words: str) -> Event:
    number = text(item, "id")
    title = f"Opened {noun} #{number} in {where.name}: {first_line(text(item, 'title'))}"
    published = text(item, "created_on")
    return thing(where, who, f"{noun} {number}", title, url=_link(item) or where.url, text=words, published=published)


def _push(change: Any) -> Push:
    """Of each branch or tag; five commits at most, the newest first."""
    new, old = find(change, "new"), find(change, "old")
    side = new or old
    commits = [
        commit(text(one, "hash"), text(one, "message"), _link(one), _author_of(one))
        for one in reversed(items(change, "commits"))
    ]
    prefix = "refs/tags/" if text(side, "type") == "tag" else "refs/heads/"
    state: State = "plain" if new and old else "created" if new else "deleted"
    if state == "plain" and find(change, "forced") is True:
        state = "forced"
    ref, after = prefix + text(side, "name"), text(new, "target", "hash")
    url = text(find(change, "links", "html"), "href")
    return Push(ref, after, commits, len(commits), url, state)


def _ref(where: Repository, who: Author | None, change: Any) -> list[Event]:
    """Of the commits a Server tells nothing: a push is one entry without them."""
    after = text(change, "toHash")
    ref = text(change, "ref", "id") or text(change, "refId")
    state = state_of(text(change, "fromHash"), after, False)
    if state != "plain":
        return pushed(where, who, Push(ref, after, [], 0, "", state))
    return [
        thing(where, who, f"push {ref} {after}", f"Pushed to {ref.split('/', 2)[-1]} of {where.name}", url=where.url)
    ]


def _author_of(one: Any) -> str:
    return text(one, "author", "user", "display_name") or text(one, "author", "raw").partition(" <")[0]


def _repository(given: Any) -> Repository:
    """Cloud says `is_private`, a Server that it is not `public`."""
    hidden = find(given, "is_private") is True or find(given, "public") is False
    project = text(given, "project", "key")
    path = text(given, "full_name") or (f"{project}/{text(given, 'slug')}" if project else "")
    return Repository(path, _link(given), hidden)


def _person(given: Any) -> Author | None:
    name = text(given, "display_name") or text(given, "displayName") or text(given, "nickname")
    return Author(name, _link(given), text(given, "links", "avatar", "href")) if name else None


def _link(given: Any) -> str:
    """Its page: Cloud has it under `html`, a Server as the first of `self`."""
    return text(given, "links", "html", "href") or next(
        (text(one, "href") for one in items(given, "links", "self")), ""
    )
