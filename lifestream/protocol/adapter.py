"""The words a webhook adapter is written in: what came (`Call`), what it says (`Event`, `Played`, `Playing`, `Stopped`,
`Ping`, `Ignored`), and the ways of signing that senders share. docs/write-an-adapter.md shows how a file in `hooks/`
uses them.

Nothing here raises, whatever a sender wrote: what is not there, or is of another kind, is empty. But `read` does.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any, Literal
from urllib.parse import parse_qsl

import orjson

from lifestream.errors import InvalidInput
from lifestream.protocol.listens import Track
from lifestream.protocol.signatures import check_hub_signature
from lifestream.types import Author, Kind

TOLERANCE = 300
"""Seconds that a signed moment may be away from ours (Standard Webhooks, "Verifying webhook authenticity")."""
MOST_FIELDS = 1000
UNSIGNED = "it carries no signature"
WRONG = "its signature is not made with this hook's secret"


@dataclass(frozen=True, slots=True)
class Call:
    """A request at a hook's address. Names of headers are in lower case."""

    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)

    def header(self, name: str) -> str:
        return self.headers.get(name, "").strip()

    def first(self, *names: str) -> str:
        """The first of these headers that has something in it."""
        return next((value for name in names if (value := self.header(name))), "")

    @property
    def is_form(self) -> bool:
        return self.header("content-type").partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"

    @property
    def text(self) -> bytes:
        """The JSON: the body, or the `payload` of a form."""
        return fields(self).get("payload", "").encode() if self.is_form else self.body


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, as its sender tells it: plain text, addresses as they came."""

    key: str
    """What it is the same entry as: a later event with this key changes the entry. Empty: it is always a new one."""
    title: str
    kind: Kind = "code"
    url: str = ""
    text: str = ""
    author: Author | None = None
    tags: tuple[str, ...] = ()
    published: str = ""
    updated: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    private: bool = False
    """The public may not see it where it happened, so it may not see it here."""
    change: Literal["new", "edit", "gone"] = "new"
    """An edit and an end count only where the entry is here."""
    burst: str = ""
    """What a push is to: pushes to one branch that follow each other become one entry."""


@dataclass(frozen=True, slots=True)
class Played:
    """A track that was heard, as far as scrobblers count it (`protocol.listens.counts`); it began `ago` seconds ago."""

    track: Track
    ago: int


@dataclass(frozen=True, slots=True)
class Playing:
    track: Track


@dataclass(frozen=True, slots=True)
class Stopped:
    track: Track


@dataclass(frozen=True, slots=True)
class Ping:
    """The sender tries whether the hook works."""


@dataclass(frozen=True, slots=True)
class Ignored:
    why: str


Said = Sequence[Event] | Played | Playing | Stopped | Ping | Ignored


# -- what a sender wrote ----------------------------------------------------------------------


def read(call: Call) -> Any:
    """The JSON in the body, or in the form field `payload`. Raises InvalidInput for anything else."""
    try:
        return orjson.loads(call.text)
    except orjson.JSONDecodeError:
        raise InvalidInput("The body is neither JSON nor a form with JSON in its field `payload`.") from None


def fields(call: Call) -> dict[str, str]:
    """The fields of a form; none where there are too many."""
    try:
        text = call.body.decode("utf-8", "replace")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="replace"))
    except ValueError:
        return {}


def find(value: Any, *path: str) -> Any:
    """What is at `path` in nested objects; None where nothing is."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text(value: Any, *path: str) -> str:
    """The string there, or a number as one."""
    found = find(value, *path)
    if isinstance(found, bool) or not isinstance(found, str | int):
        return ""
    return str(found).replace("\0", "")


def number(value: Any, *path: str) -> float:
    """The number there, also where it is written as a string; 0 for what is none."""
    try:
        found = float(text(value, *path) or find(value, *path))
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return found if isfinite(found) else 0.0


def items(value: Any, *path: str) -> list[dict[str, Any]]:
    """The objects in the list there."""
    found = find(value, *path)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


# -- who sent it: each says why a call is not believed, and nothing of one that is --------------


def hub_signature(call: Call, header: str, secrets: Sequence[str]) -> str:
    """`method=hex`, over the bytes of the body: GitHub, Bitbucket and many others."""
    verdicts = {check_hub_signature(call.header(header), call.body, secret) for secret in secrets}
    if "right" in verdicts:
        return ""
    return UNSIGNED if verdicts == {"missing"} else WRONG


def bare_signature(given: str, signed: bytes, secrets: Sequence[str]) -> str:
    """HMAC-SHA256 in bare hex: Gogs and its heirs."""
    if not given:
        return UNSIGNED
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return "" if is_any(given.lower(), expected) else WRONG


def standard_signature(call: Call, secrets: Sequence[str], now: datetime) -> str:
    """Standard Webhooks: `webhook-id`, `webhook-timestamp` and the body, with a key that is written `whsec_…`."""
    given = call.header("webhook-signature")
    if not given:
        return UNSIGNED
    stamp = call.header("webhook-timestamp")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
        return "its signature has no moment"
    signed = f"{call.header('webhook-id')}.{stamp}.".encode("utf-8", "surrogatepass") + call.body
    expected = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in _keys(secrets)]
    if not any([is_any(one.removeprefix("v1,"), expected) for one in given.split()[:20] if one.startswith("v1,")]):
        return WRONG
    if abs(now.timestamp() - int(stamp)) > TOLERANCE:
        return "it was signed more than five minutes ago, or by a clock that is wrong"
    return ""


def address_token(call: Call, secrets: Sequence[str]) -> str:
    """`Authorization: Bearer …`, or `?token=…` at the address: those who cannot sign."""
    kind, _, token = call.header("authorization").partition(" ")
    told = token.strip() if kind.lower() == "bearer" else call.query.get("token", "")
    if is_any(told, secrets):
        return ""
    return "its token is not this hook's secret" if told else UNSIGNED


def is_any(given: str, expected: Sequence[str]) -> bool:
    """In constant time. Nothing is never right."""
    told = given.encode("utf-8", "surrogatepass")
    return any([hmac.compare_digest(told, one.encode("utf-8", "surrogatepass")) for one in expected if one])


def _keys(secrets: Sequence[str]) -> list[bytes]:
    """After `whsec_` a key is in base64; without it, it may be, or may be meant as it stands."""
    keys = [secret.encode() for secret in secrets if not secret.startswith("whsec_")]
    for secret in secrets:
        with suppress(binascii.Error, ValueError):
            keys.append(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    return [key for key in keys if key]
