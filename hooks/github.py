"""GitHub. https://docs.github.com/webhooks"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lifestream.protocol.adapter import Call, Said, hub_signature
from lifestream.protocol.forges import github_shaped

DELIVERY = ("x-github-delivery",)
SET_UP = """\
On GitHub: the repository (or organisation), Settings, Webhooks, Add webhook.
  Payload URL   {url}
  Content type  application/json
  Secret        {secret}
  Events        pushes, and what else you want here: releases, issues, pull requests, stars, forks, wiki"""


def doubt(call: Call, secrets: Sequence[str], now: datetime) -> str:
    """The newer header decides; GitHub Enterprise of before 2020 sends the older one alone."""
    header = "x-hub-signature-256" if "x-hub-signature-256" in call.headers else "x-hub-signature"
    return hub_signature(call, header, secrets)


def events(call: Call, payload: Any) -> Said:
    return github_shaped(call.header("x-github-event"), payload)
