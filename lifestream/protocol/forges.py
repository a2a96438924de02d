"""What git forges tell of, in the words of a person: pushes, branches and tags, releases, issues, pull requests.

`github_shaped` reads the payloads of GitHub and of those who took them over: Gogs, Gitea, Forgejo.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from lifestream.protocol.adapter import Event, Ignored, Ping, Said, find, items, text
from lifestream.types import Author

MOST_COMMITS = 100
"""Of one push, or of several that became one entry."""
State = Literal["plain", "forced", "created", "deleted"]
_COMPARED = re.compile(r"(.*/compare/.*?)\.\.\.([0-9a-f]{7,64})")


@dataclass(frozen=True, slots=True)
class Repository:
    """Where it happened. `path` is owner and name."""

    path: str
    url: str
    private: bool = False

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2] or "a repository"


@dataclass(frozen=True, slots=True)
class Push:
    ref: str
    after: str
    commits: list[dict[str, str]]
    total: int
    compare_url: str
    state: State = "plain"


def commit(id: str, message: str, url: str, author: str) -> dict[str, str]:
    """One of `data.commits`; of its message the first line."""
    return {"id": id[:64], "message": first_line(message), "url": url, "author": author[:200]}


def first_line(message: str) -> str:
    return (message.strip().splitlines() or [""])[0][:200]


def is_nothing(sha: str) -> bool:
    """What git writes for the commit before the first, and after the last."""
    return bool(sha) and not sha.strip("0")


def state_of(before: str, after: str, forced: object) -> State:
    if is_nothing(after):
        return "deleted"
    if is_nothing(before):
        return "created"
    return "forced" if forced is True else "plain"


def pushed(where: Repository, who: Author | None, push: Push) -> list[Event]:
    kind, name = _short(push.ref)
    if push.state == "deleted" or push.state == "created" and (kind == "tag" or not push.commits):
        return [ref_changed(where, who, kind, name, push.state)]
    if push.state == "plain" and kind == "branch" and not push.commits:
        return []
    number = max(push.total, len(push.commits))
    many = f"{number} commit{'' if number == 1 else 's'} to " if push.commits else f"{name} of "
    title = f"{'Force-pushed' if push.state == 'forced' else 'Pushed'} {many}{where.name}"
    return [
        Event(
            key=f"{where.path} push {push.ref} {push.after}",
            title=title,
            url=push.compare_url or where.url,
            author=who,
            data=_data(where, name, push.compare_url, push.commits),
            private=where.private,
            burst=f"{where.path} {push.ref}" if push.state == "plain" and push.commits else "",
        )
    ]


def ref_changed(where: Repository, who: Author | None, kind: str, name: str, state: str) -> Event:
    """A branch or tag came or went. A forge that tells it twice, as push and as itself, tells one thing."""
    did = "Created" if state == "created" else "Deleted"
    return Event(
        key=f"{where.path} {state} {kind} {name}",
        title=f"{did} {kind} {name} {'in' if state == 'created' else 'of'} {where.name}",
        url=where.url,
        author=who,
        data=_data(where, name if kind == "branch" else ""),
        private=where.private,
    )


def thing(where: Repository, who: Author | None, key: str, title: str, **more: Any) -> Event:
    """Anything else that happens in a repository."""
    return Event(f"{where.path} {key}", title, author=who, private=where.private, data=_data(where), **more)


def released(where: Repository, who: Author | None, *, id: str, tag: str, name: str, **more: Any) -> Event:
    title = f"Released {where.name} {tag or name}"
    if tag and name and name not in (tag, tag.removeprefix("v"), f"{where.name} {tag}"):
        title += f": {name}"
    data = {"repository": where.path, "tag": tag}
    key = f"{where.path} release {id or tag}"
    return Event(key=key, title=title, kind="release", author=who, private=where.private, data=data, **more)


def merged(old: Mapping[str, Any], event: Event) -> Event | None:
    """A push that follows another to the same branch, as one with it. `old` is the data of the entry that is there;
    None where it brings no new commit."""
    there = items(old, "commits")
    ids = {text(one, "id") for one in there}
    new = [one for one in items(event.data, "commits") if text(one, "id") not in ids]
    if not new:
        return None
    commits = [*there, *new][-MOST_COMMITS:]
    compare_url = _joined(text(old, "compare_url"), text(event.data, "compare_url"))
    title = re.sub(r"\d+ commits?", f"{len(commits)} commits", event.title, count=1)
    data = dict(event.data) | {"commits": commits, "compare_url": compare_url}
    return replace(event, title=title, url=compare_url or event.url, data=data)


# -- GitHub and its heirs ---------------------------------------------------------------------


def github_shaped(event: str, payload: Any) -> Said:
    if event == "ping":
        return Ping()
    where, who = _repository(find(payload, "repository")), _person(find(payload, "sender"))
    if not where.path:
        return Ignored("it is of no repository")
    action = text(payload, "action")
    match event:
        case "push":
            found = pushed(where, who, _push(payload))
            return found or Ignored("it is a push without commits")
        case "create" | "delete":
            kind, name = _short(text(payload, "ref"))
            state = "created" if event == "create" else "deleted"
            return [ref_changed(where, who, text(payload, "ref_type") or kind, name, state)]
        case "release":
            return _release(where, who, action, find(payload, "release"))
        case "issues":
            return _numbered(where, who, action, "issue", find(payload, "issue"), payload)
        case "pull_request":
            return _numbered(where, who, action, "pull request", find(payload, "pull_request"), payload)
        case "star":
            moment = text(payload, "starred_at")
            more = {"change": "gone" if action == "deleted" else "new", "published": moment, "updated": moment}
            key, title = f"starred by {who.name if who else ''}", f"Starred {where.path}"
            return [thing(where, who, key, title, kind="like", url=where.url, **more)]
        case "fork":
            fork = _repository(find(payload, "forkee"))
            return [thing(where, who, f"forked as {fork.path}", f"Forked {where.path}", url=fork.url or where.url)]
        case "gollum":
            return [_page(where, who, page) for page in items(payload, "pages")] or Ignored("it names no page")
        case "wiki":
            return _wiki(where, who, action, payload)
        case "":
            return Ignored("it names no event")
    return Ignored(f"the event “{event[:60]}” is of no interest")


def _push(payload: Any) -> Push:
    before, after = text(payload, "before"), text(payload, "after")
    commits = [
        commit(text(one, "id"), text(one, "message"), text(one, "url"), text(one, "author", "name"))
        for one in items(payload, "commits")[-MOST_COMMITS:]
    ]
    total = find(payload, "total_commits")
    state = state_of(before, after, find(payload, "forced"))
    compare_url = text(payload, "compare") or text(payload, "compare_url")
    return Push(text(payload, "ref"), after, commits, total if isinstance(total, int) else 0, compare_url, state)


def _release(where: Repository, who: Author | None, action: str, release: Any) -> Said:
    if find(release, "draft") is True and action != "deleted":
        return Ignored("it is a draft")
    change: Literal["new", "edit", "gone"] | None = {
        "published": "new", "edited": "edit", "updated": "edit", "deleted": "gone", "unpublished": "gone",
    }.get(action)  # type: ignore[assignment]  # fmt: skip
    if change is None:
        return Ignored(f"a release that was {action or 'touched'} is told again when it is published")
    event = released(
        where, who, id=text(release, "id"), tag=text(release, "tag_name"), name=text(release, "name"),
        url=text(release, "html_url") or where.url, text=text(release, "body"), change=change,
        published=text(release, "published_at") or text(release, "created_at"), updated=text(release, "updated_at"),
    )  # fmt: skip
    return [event]


def _numbered(where: Repository, who: Author | None, action: str, noun: str, item: Any, payload: Any) -> Said:
    """An issue or a pull request: opening it is one entry, which edits change; each end and new beginning another."""
    number = text(item, "number") or text(payload, "number")
    opened = {"opened": "new", "edited": "edit", "deleted": "gone"}.get(action)
    did = "Opened"
    if opened is None:
        did = {"closed": "Closed", "reopened": "Reopened"}.get(action, "")
        if not did:
            return Ignored(f"that {noun}s are {action or 'touched'} is of no interest")
        if did == "Closed" and find(item, "merged") is True:
            did = "Merged"
    moment = text(item, "updated_at")
    key = f"{noun} {number}" if opened else f"{noun} {number} {did} {moment}"
    title = f"{did} {noun} #{number} in {where.name}: {first_line(text(item, 'title'))}"
    more: dict[str, Any] = {"change": opened or "new", "url": text(item, "html_url") or where.url, "updated": moment}
    if opened:
        more |= {"text": text(item, "body"), "published": text(item, "created_at")}
    return [thing(where, who, key, title, **more)]


def _page(where: Repository, who: Author | None, page: Any) -> Event:
    did = "Created" if text(page, "action") == "created" else "Edited"
    name = text(page, "title") or text(page, "page_name")
    url = text(page, "html_url") or where.url
    return thing(where, who, f"wiki {name} {text(page, 'sha')}", f"{did} wiki page {name} of {where.name}", url=url)


def _wiki(where: Repository, who: Author | None, action: str, payload: Any) -> Said:
    name = text(payload, "page")
    did = {"created": "Created", "edited": "Edited", "deleted": "Deleted"}.get(action)
    if not did or not name:
        return Ignored("it names no page that was written")
    told = thing(where, who, "", f"{did} wiki page {name} of {where.name}", url=where.url)
    return [replace(told, key="")]  # it does not say which version of the page: every one is another


def _repository(given: Any) -> Repository:
    hidden = find(given, "private") is True or text(given, "visibility") in ("private", "internal")
    return Repository(text(given, "full_name"), text(given, "html_url"), hidden)


def _person(given: Any) -> Author | None:
    name = text(given, "login") or text(given, "username")
    return Author(name, text(given, "html_url"), text(given, "avatar_url")) if name else None


def _short(ref: str) -> tuple[Literal["branch", "tag"], str]:
    if ref.startswith("refs/tags/"):
        return "tag", ref.removeprefix("refs/tags/")
    return "branch", ref.removeprefix("refs/heads/")


def _data(
    where: Repository, branch: str = "", compare_url: str = "", commits: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    return {"repository": where.path, "branch": branch, "compare_url": compare_url, "commits": commits or []}


def _joined(old: str, new: str) -> str:
    """From where the first push began to where the last one ended, as the forges that can compare write it."""
    first, last = _COMPARED.fullmatch(old), _COMPARED.fullmatch(new)
    if first and last and first[1].rpartition("/")[0] == last[1].rpartition("/")[0]:
        return f"{first[1]}...{last[2]}"
    return new
