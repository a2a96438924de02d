"""GitLab. https://docs.gitlab.com/user/project/integrations/webhook_events/"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lifestream.protocol.adapter import (
    UNSIGNED,
    Call,
    Event,
    Ignored,
    Said,
    find,
    is_any,
    items,
    standard_signature,
    text,
)
from lifestream.protocol.forges import (
    MOST_COMMITS,
    Push,
    Repository,
    commit,
    first_line,
    pushed,
    released,
    state_of,
    thing,
)
from lifestream.types import Author

DELIVERY = ("idempotency-key", "webhook-id")
SET_UP = """\
On GitLab: the project, Settings, Webhooks, Add new webhook.
  URL           {url}
  Secret token  {secret}
  Trigger       push events, tag push events, and what else you want here
Where GitLab offers a signing token instead (whsec_…), take it, and give it to this hook with --secret."""
PUBLIC = 20
DONE = {"open": "Opened", "close": "Closed", "reopen": "Reopened", "merge": "Merged"}


def doubt(call: Call, secrets: Sequence[str], now: datetime) -> str:
    """A secret that is written `whsec_…` signs, any other is sent along: who has given us a key wants signatures."""
    tokens = [one for one in secrets if not one.startswith("whsec_")]
    if is_any(call.header("x-gitlab-token"), tokens):
        return ""
    keys = [one for one in secrets if one.startswith("whsec_")]
    if keys:
        return standard_signature(call, keys, now)
    return "its token is not this hook's secret" if call.header("x-gitlab-token") else UNSIGNED


def events(call: Call, payload: Any) -> Said:
    kind = text(payload, "object_kind") or text(payload, "event_name")
    where, who = _project(payload, call), _person(payload)
    if not where.path:
        return Ignored("it is of no project")
    match kind:
        case "push" | "tag_push":
            return pushed(where, who, _push(where, payload)) or Ignored("it is a push without commits")
        case "release":
            return _release(where, who, payload)
        case "issue" | "work_item":
            return _numbered(where, who, "issue", "#", find(payload, "object_attributes"))
        case "merge_request":
            return _numbered(where, who, "merge request", "!", find(payload, "object_attributes"))
        case "wiki_page":
            return _wiki(where, who, find(payload, "object_attributes"))
    return Ignored(f"the event “{kind[:60]}” is of no interest")


def _push(where: Repository, payload: Any) -> Push:
    before, after = text(payload, "before"), text(payload, "after")
    commits = [
        commit(text(one, "id"), text(one, "message"), text(one, "url"), text(one, "author", "name"))
        for one in items(payload, "commits")[-MOST_COMMITS:]
    ]
    state = state_of(before, after, False)  # of a forced push it does not say so
    compare_url = f"{where.url}/-/compare/{before}...{after}" if state == "plain" and where.url else ""
    total = find(payload, "total_commits_count")
    return Push(text(payload, "ref"), after, commits, total if isinstance(total, int) else 0, compare_url, state)


def _release(where: Repository, who: Author | None, payload: Any) -> Said:
    change = {"create": "new", "update": "edit", "delete": "gone"}.get(text(payload, "action"))
    if change is None:
        return Ignored("it does not say what became of the release")
    tag, name = text(payload, "tag"), text(payload, "name")
    when = text(payload, "released_at") or text(payload, "created_at")
    url, words = text(payload, "url") or where.url, text(payload, "description")
    return [released(where, who, id="", tag=tag, name=name, url=url, text=words, published=when, change=change)]


def _numbered(where: Repository, who: Author | None, noun: str, sign: str, item: Any) -> Said:
    action = text(item, "action")
    if action not in DONE and action != "update":
        return Ignored(f"that {noun}s are {action or 'touched'} is of no interest")
    did = DONE.get(action, "Opened")
    number, moment = text(item, "iid"), text(item, "updated_at")
    title = f"{did} {noun} {sign}{number} in {where.name}: {first_line(text(item, 'title'))}"
    key = f"{noun} {number}" if did == "Opened" else f"{noun} {number} {did} {moment}"
    more: dict[str, Any] = {"url": text(item, "url") or where.url, "updated": moment}
    if did == "Opened":
        more |= {"text": text(item, "description"), "published": text(item, "created_at")}
    return [thing(where, who, key, title, change="edit" if action == "update" else "new", **more)]


def _wiki(where: Repository, who: Author | None, page: Any) -> Said:
    did = {"create": "Created", "update": "Edited", "delete": "Deleted"}.get(text(page, "action"))
    if did is None:
        return Ignored("it does not say what became of the page")
    title = f"{did} wiki page {text(page, 'title')} of {where.name}"
    key = f"wiki {text(page, 'slug')} {text(page, 'version_id')}"
    found: Event = thing(where, who, key, title, url=text(page, "url") or where.url)
    return [found]


def _project(payload: Any, call: Call) -> Repository:
    """What only its members may see is private, and what is confidential even for them."""
    project = find(payload, "project")
    level = find(project, "visibility_level")
    secret = find(payload, "object_attributes", "confidential") is True
    secret = secret or "confidential" in f"{call.header('x-gitlab-event')} {text(payload, 'event_type')}".lower()
    hidden = secret or level is not None and level != PUBLIC
    return Repository(text(project, "path_with_namespace"), text(project, "web_url"), hidden)


def _person(payload: Any) -> Author | None:
    name = text(payload, "user", "name") or text(payload, "user_name")
    photo = text(payload, "user", "avatar_url") or text(payload, "user_avatar")
    return Author(name, photo=photo) if name else None
