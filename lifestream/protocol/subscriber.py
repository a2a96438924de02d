"""Our side at other people's hubs (W3C WebSub 5 and 7): what to ask, what to confirm, when to renew, whom to believe.

Every subscription has a callback and a secret of its own; the callback says which one a request is about, never what
the request says of itself (WebSub 7).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from lifestream.protocol.links import web_address
from lifestream.protocol.signatures import check_hub_signature

LEASE_ASKED = timedelta(days=10)
LEASE_SHORTEST = timedelta(minutes=5)
LEASE_LONGEST = timedelta(days=14)
"""A hub that dies keeps its promises only on paper: no lease is believed for longer."""

TOKEN_BYTES = 24
SECRET_BYTES = 32
"""Of randomness in a callback and a secret; a secret must stay under 200 bytes (WebSub 5.1)."""

HOPE_ATTEMPTS = 3
"""So often a hub is asked before another one is, if the feed names several."""
LONGEST_REST = 86_400.0
"""Seconds; a hub's Retry-After counts for no more."""
LEAVE_ATTEMPTS = 5
ASK_AGAIN_AFTER_DENIAL = timedelta(days=1)

_RETRIES = tuple(
    timedelta(seconds=seconds) for seconds in (30, 120, 600, 1800, 3600, 2 * 3600, 6 * 3600, 12 * 3600, 24 * 3600)
)
_CHALLENGE = re.compile(r"[\x21-\x7e]{1,512}")


# -- asking -----------------------------------------------------------------------------------


def subscribe_form(
    topic: str, callback: str, secret: str, lease: timedelta = LEASE_ASKED, *, old_hub: bool = False
) -> list[tuple[str, str]]:
    """`old_hub` adds what PubSubHubbub 0.3 insists on. Not at once: hubs that know both then sign with sha1."""
    return [
        *_form("subscribe", topic, callback),
        *([("hub.verify", "async")] if old_hub else []),
        ("hub.lease_seconds", str(int(lease.total_seconds()))),
        ("hub.secret", secret),
    ]


def unsubscribe_form(topic: str, callback: str) -> list[tuple[str, str]]:
    return _form("unsubscribe", topic, callback)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The hub will verify; nothing is subscribed yet."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """The same form is to be sent to `url` (WebSub 5.1.2)."""

    url: str


@dataclass(frozen=True, slots=True)
class Refused:
    why: str
    retry_after: float | None = None


def judge_response(
    status: int, *, hub_url: str, location: str = "", reason: str = "", retry_after: float | None = None
) -> Accepted | Redirect | Refused:
    """What a hub's answer to our form means. WebSub wants 202; older hubs say 204 or 200, and redirect with 301 or 302.

    `reason` is the answer's text: of a refusal it is for people.
    """
    if 200 <= status < 300:
        return Accepted()
    if status in (301, 302, 307, 308) and location and (url := web_address(location, hub_url)):
        return Redirect(url)
    said = " ".join(reason.split())[:200]
    why = f"The hub answered {status}" + (f": {said}" if said else ".")
    return Refused(why, retry_after if status in (429, 503) else None)


def secure_first(hubs: Sequence[str]) -> list[str]:
    """Without those that are there by https, too: a secret should go no other way (WebSub 8.2)."""
    secure = {hub.partition(":")[2] for hub in hubs if hub.lower().startswith("https:")}
    return [hub for hub in hubs if hub.lower().startswith("https:") or hub.partition(":")[2] not in secure]


def standing(state: str, attempts: int) -> Literal["holds", "hopes", "fails"]:
    """What there is to expect of a subscription in this state that the hub was asked for so often."""
    if state == "active":
        return "holds"
    return "fails" if state == "denied" or attempts >= HOPE_ATTEMPTS else "hopes"


def retry_at(attempts: int, now: datetime, jitter: float) -> datetime:
    """When to ask again, after `attempts` that came to nothing: after half a minute, in the end once a day."""
    delay = _RETRIES[min(max(attempts - 1, 0), len(_RETRIES) - 1)]
    return now + delay * (0.8 + 0.4 * jitter)


# -- being verified ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Expected:
    """What we know of a callback: its topic, and whether the subscription is wanted: pending or active."""

    topic: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class Confirm:
    """To be answered 200 with the challenge as the body, exactly. `lease_seconds` as granted, if it is a number."""

    challenge: str
    mode: Literal["subscribe", "unsubscribe"]
    lease_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """The hub will not push this, or will no longer. To be answered 200."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """To be answered 404 (WebSub 5.3.1)."""

    reason: str


def answer_verification(
    params: Sequence[tuple[str, str]], raw_query: str, expected: Expected | None
) -> Confirm | Denied | Refuse:
    """Judges a hub's GET to our callback. `expected` is None for a callback we do not know (any more).

    0.3 hubs verify again before a lease ends, so a wanted subscription is confirmed however often a hub asks. So is
    leaving one that is not wanted, known or not.
    """
    asked = dict(reversed(params))  # of several the first counts
    mode = asked.get("hub.mode", "")
    if mode not in ("subscribe", "unsubscribe", "denied"):
        return Refuse("hub.mode is none that is known here.")
    if expected and not _names_topic(asked, raw_query, expected.topic):
        return Refuse("This callback is not for that topic.")
    wanted = expected is not None and expected.wanted
    if wanted == (mode == "unsubscribe"):
        return Refuse("That was not asked for.")
    if mode == "denied":
        return Denied(_one_line(asked.get("hub.reason", "")))
    challenge = asked.get("hub.challenge", "")
    if not _CHALLENGE.fullmatch(challenge):
        return Refuse("hub.challenge is missing or unusable.")
    if mode == "unsubscribe":  # a lease is to be ignored here (WebSub 5.3)
        return Confirm(challenge, "unsubscribe")
    return Confirm(challenge, "subscribe", _seconds(asked.get("hub.lease_seconds", "")))


def clamp_lease(granted: int | None) -> timedelta:
    """How long to believe in a subscription. A lease that is absent or absurd counts as the one we asked for."""
    if granted is None or granted <= 0:
        return LEASE_ASKED
    return max(LEASE_SHORTEST, timedelta(seconds=min(granted, int(LEASE_LONGEST.total_seconds()))))


def renew_at(granted_at: datetime, lease: timedelta, jitter: float) -> datetime:
    """At about three quarters of the lease, so that a failed renewal has time to be tried again."""
    return granted_at + max(lease * (0.7 + 0.1 * jitter), LEASE_SHORTEST)


# -- being pushed to --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Use:
    """The body is the hub's: take it as it is."""

    status: int = 202


@dataclass(frozen=True, slots=True)
class Hint:
    """Believe nothing of it, and look at the topic."""

    why: str
    status: int = 202


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing follows from it. A wrong signature is answered 2xx all the same (WebSub 7.1.2)."""

    why: str
    status: int = 202


def judge_notification(signature: str | None, body: bytes, secret: str, state: str) -> Use | Hint | Ignore:
    """What to make of a POST to a callback, whose subscription has this secret ("" for none) and state.

    A missing signature is told apart from a wrong one, because a hub that cannot sign is worth a look at the topic,
    while whoever guesses signatures gets neither a look nor an answer to learn from.
    """
    if state in ("leaving", "ended"):
        return Ignore("no longer subscribed", status=410)
    if not secret:
        return Hint("no secret was agreed")
    verdict = check_hub_signature(signature, body, secret)
    if verdict == "wrong":
        return Ignore("the signature is wrong")
    if verdict == "missing":
        return Hint("the signature is missing", status=403)
    return Use() if body.strip() else Hint("the body is empty")


def _form(mode: str, topic: str, callback: str) -> list[tuple[str, str]]:
    return [("hub.mode", mode), ("hub.topic", topic), ("hub.callback", callback)]


def _names_topic(asked: dict[str, str], raw_query: str, topic: str) -> bool:
    """Some hubs put the topic into the query unencoded: what it means then is only in the query as it came."""
    if asked.get("hub.topic") == topic:
        return True
    return f"&hub.topic={topic}&" in f"&{raw_query}&"


def _seconds(text: str) -> int | None:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text[:1000]).split())[:200]
