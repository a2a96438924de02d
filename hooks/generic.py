"""Anything else: Standard Webhooks (https://www.standardwebhooks.com), `X-Hub-Signature-256`, or a token.

What is sent becomes a note: `title`, `text` (also `content`, `message`, `body`), `url` (also `link`), `kind`, `tags`,
`published`, as JSON, perhaps under `data`, or as the fields of a form; or plain text.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from lifestream.protocol import adapter
from lifestream.protocol.adapter import (
    Call,
    Event,
    Ignored,
    Said,
    address_token,
    fields,
    find,
    hub_signature,
    standard_signature,
    text,
)
from lifestream.types import KINDS, Kind

DELIVERY = ("webhook-id",)
SAME_FOR = timedelta(minutes=10)
"""After that, the same words are said again and not a delivery repeated."""
SET_UP = """\
Whoever sends to it proves itself in one of these ways:
  Standard Webhooks     the signing key {secret}
  X-Hub-Signature-256   sha256= and the HMAC of the body, with the secret {secret}
  Authorization         Bearer {secret}
  without a header      {url}?token={quoted}
For example:
  curl -H 'Authorization: Bearer {secret}' --json '{{"title": "It works"}}' {url}"""


def read(call: Call) -> Any:
    if call.header("content-type").lower().startswith("text/plain"):
        return {"text": call.body.decode("utf-8", "replace")}
    if not call.body:
        return {}
    if call.is_form and "payload" not in fields(call):
        return fields(call)
    return adapter.read(call)


def doubt(call: Call, secrets: Sequence[str], now: datetime) -> str:
    if "webhook-signature" in call.headers:
        return standard_signature(call, secrets, now)
    if "x-hub-signature-256" in call.headers:
        return hub_signature(call, "x-hub-signature-256", secrets)
    return address_token(call, secrets)


def events(call: Call, payload: Any) -> Said:
    said = payload
    if isinstance(find(payload, "data"), dict) and not (text(payload, "title") or text(payload, "text")):
        said = find(payload, "data")
    title, words, url = (
        text(said, "title"),
        _first(said, "text", "content", "message", "body"),
        _first(said, "url", "link"),
    )
    if not (title or words or url):
        return Ignored("there is no title, text or url in it")
    kind: Kind = next((one for one in KINDS if one == text(said, "kind")), "note")
    tags = find(said, "tags")
    known = text(said, "id") or call.header("webhook-id")
    return [
        Event(
            key=known,
            title=title,
            kind=kind,
            url=url,
            text=words,
            tags=tuple(one for one in tags if isinstance(one, str)) if isinstance(tags, list) else (),
            published=text(said, "published"),
            updated=text(said, "updated"),
        )
    ]


def _first(said: Any, *names: str) -> str:
    return next((found for name in names if (found := text(said, name))), "")
