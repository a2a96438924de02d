"""Gogs. https://gogs.io/advancing/webhooks"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lifestream.errors import InvalidInput
from lifestream.protocol.adapter import UNSIGNED, WRONG, Call, Said, bare_signature, is_any, read, text
from lifestream.protocol.forges import github_shaped

DELIVERY = ("x-gogs-delivery",)
SET_UP = """\
On Gogs: the repository, Settings, Webhooks, Add a new webhook, Gogs.
  Payload URL   {url}
  Content type  application/json
  Secret        {secret}
  Trigger on    everything, or what you want here
A Gogs that is told nothing else sends to no private address: its app.ini then needs
  [security] LOCAL_NETWORK_ALLOWLIST = {host}"""


def doubt(call: Call, secrets: Sequence[str], now: datetime) -> str:
    """It signs the JSON, also inside a form. Until 2017 it wrote the secret into the JSON and signed nothing."""
    if "x-gogs-signature" in call.headers:
        return bare_signature(call.header("x-gogs-signature"), call.text, secrets)
    try:
        told = text(read(call), "secret")
    except InvalidInput:
        told = ""
    if is_any(told, secrets):
        return ""
    return WRONG if told else UNSIGNED


def events(call: Call, payload: Any) -> Said:
    return github_shaped(call.header("x-gogs-event"), payload)
