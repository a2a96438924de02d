"""Gitea. https://docs.gitea.com/usage/webhooks"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lifestream.protocol.adapter import Call, Said, bare_signature
from lifestream.protocol.forges import github_shaped

DELIVERY = ("x-gitea-delivery",)
SET_UP = """\
On Gitea: the repository, Settings, Webhooks, Add webhook, Gitea.
  Target URL    {url}
  HTTP method   POST
  Content type  application/json
  Secret        {secret}
  Trigger on    all events, or those you want here
A Gitea that is told nothing else sends to no private address: its app.ini then needs
  [webhook] ALLOWED_HOST_LIST = {host}"""


def doubt(call: Call, secrets: Sequence[str], now: datetime) -> str:
    """It signs the JSON, also where it sends that inside a form."""
    return bare_signature(call.first("x-gitea-signature", "x-gogs-signature"), call.text, secrets)


def events(call: Call, payload: Any) -> Said:
    return github_shaped(call.first("x-gitea-event", "x-gogs-event"), payload)
