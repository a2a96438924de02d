"""sourcehut, git.sr.ht. https://man.sr.ht/graphql.md#webhooks

sr.ht signs with one key for everybody, so that its signature says that it was sr.ht and not who asked it to send:
the token in the address says that. A hook for another instance has that one's public key after its token, TOKEN:KEY.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lifestream.protocol.adapter import UNSIGNED, Call, Ignored, Said, find, is_any, items, text
from lifestream.protocol.ed25519 import verifies
from lifestream.protocol.forges import Push, Repository, State, commit, is_nothing, pushed
from lifestream.types import Author

KEY = "uX7KWyyDNMaBma4aVbJ/cbUQpdjqczuCyK/HxzV/u+4="
DELIVERY = ("x-webhook-delivery",)
SET_UP = '''\
With a token for git.sr.ht (https://meta.sr.ht/oauth2) and the repository's id, at https://git.sr.ht/graphql:
  mutation {{ createGitWebhook(config: {{
    repositoryID: ID, events: [GIT_POST_RECEIVE],
    url: "{url}?token={quoted}",
    query: """query {{ webhook {{ uuid event date ... on GitEvent {{ pusher {{ canonicalName }}
      repository {{ name visibility owner {{ canonicalName }} }}
      updates {{ ref {{ name }} old {{ id }} new {{ id ... on Commit {{ message author {{ name }} }} }} }} }} }} }}"""
  }}) {{ id }} }}'''


def doubt(call: Call, secrets: Sequence[str], now: datetime) -> str:
    if not is_any(call.query.get("token", ""), secrets):
        return "the address has not this hook's token in it"
    if not call.header("x-payload-signature"):
        return UNSIGNED
    signature = _decoded(call.header("x-payload-signature"))
    signed = call.body + call.header("x-payload-nonce").encode("utf-8", "surrogatepass")
    keys = {_decoded(secret.partition(":")[2] or KEY) for secret in secrets}
    return "" if any(verifies(key, signed, signature) for key in keys) else "its signature is not of this instance"


def events(call: Call, payload: Any) -> Said:
    told = find(payload, "data", "webhook") or find(payload, "webhook")
    given = find(told, "repository")
    owner, name = text(given, "owner", "canonicalName"), text(given, "name")
    if not (owner and name):
        return Ignored("it does not name its repository; make the webhook with the query that `hook add` printed")
    url = f"https://git.sr.ht/{owner}/{name}"
    where = Repository(f"{owner}/{name}", url, text(given, "visibility").upper() not in ("PUBLIC", ""))
    pusher = text(told, "pusher", "canonicalName")
    who = Author(pusher, f"https://sr.ht/{pusher}") if pusher else None
    found = [one for update in items(told, "updates") for one in pushed(where, who, _push(where, update))]
    return found or Ignored("it is a push without commits")


def _push(where: Repository, update: Any) -> Push:
    """It tells of the newest commit alone."""
    before, after = text(update, "old", "id"), text(update, "new", "id")
    state: State = "deleted" if not after or is_nothing(after) else "plain" if before else "created"
    new = find(update, "new")
    message = text(new, "message")
    commits = [commit(after, message, f"{where.url}/commit/{after}", text(new, "author", "name"))] if message else []
    return Push(text(update, "ref", "name"), after, commits, len(commits), "", state)


def _decoded(given: str) -> bytes:
    try:
        return base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return b""
