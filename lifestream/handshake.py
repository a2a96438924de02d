"""The handshake with a source's hub, step by step from the protocol log: found, asked, checked, subscribed, pushed.

Pure: what is known in, steps out. One that failed keeps its place, with the other side's words and our guess.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from lifestream.store.exchanges import Kept
from lifestream.subscribe import VERIFY_WITHIN
from lifestream.types import Source
from lifestream.view.health import Action, Standing, guess

WATCHED = timedelta(minutes=10)
"""So long the page waits for the first push together with who looks at it."""
TOLD_BY: tuple[tuple[str, str], ...] = (
    ("out", "discovery"), ("out", "fetch"), ("out", "subscribe"), ("out", "renewal"), ("out", "ping"),
    ("in", "challenge"), ("in", "denial"), ("in", "push"), ("in", "ping"),
)  # fmt: skip
"""Of which exchanges the newest are looked at."""
Verdict = Literal["ok", "bad", "now"]


@dataclass(frozen=True, slots=True)
class Step:
    """`until` is when what it says ends, `renews` when that is asked for anew, `again` when a failed one is
    tried again by itself; `took` are milliseconds."""

    verdict: Verdict
    name: str
    detail: str = ""
    cause: str = ""
    at: datetime | None = None
    took: float | None = None
    until: datetime | None = None
    renews: datetime | None = None
    again: datetime | None = None
    waited: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Handshake:
    """`waits`: more is to be expected soon. The first of `actions` is the one to take."""

    steps: tuple[Step, ...]
    actions: tuple[Action, ...]
    waits: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a source. `told` are its newest exchanges, newest first; `looks_at` is its next fetch."""

    source: Source
    standing: Standing | None
    looks_at: datetime | None
    told: Sequence[Kept]
    base_url: str
    now: datetime

    def newest(self, direction: str, *whats: str, since: datetime | None = None) -> Kept | None:
        fitting = (one for one in self.told if one.direction == direction and one.what in whats)
        return next((one for one in fitting if since is None or one.at >= since), None)


def handshake_of(known: Known) -> Handshake:
    source = known.source
    steps = [_found(known)]
    if source.hub_url:
        steps += _with_hub(known)
    elif steps[0].verdict == "ok":
        steps.append(_without_hub(known))
    waiting = [step for step in steps if step.verdict == "now" and (step.waited is None or step.waited < WATCHED)]
    return Handshake(tuple(steps), tuple(_actions(known, steps)), bool(waiting) and source.state != "paused")


def _found(known: Known) -> Step:
    """The feed, and the hub that it names."""
    source = known.source
    look = known.newest("out", "discovery") or known.newest("out", "fetch")
    at, took = (look.at, look.took) if look else (None, None)
    if source.state == "failing":
        words = source.last_error or "No reason was given."
        return Step("bad", "The feed cannot be read", words, at=at, took=took, again=known.looks_at)
    if source.feed_url is None:
        return Step("now", "Looking for the feed", source.url)
    if source.hub_url:
        return Step("ok", "Found the hub", f"{source.feed_url} is pushed by {source.hub_url}", at=at, took=took)
    return Step("ok", "Found the feed", source.feed_url, at=at, took=took)


def _without_hub(known: Known) -> Step:
    source = known.source
    if source.delivery == "hub":
        return Step("ok", "It pings our hub", "Each ping is a look at the feed.", at=source.last_push)
    detail = "It names no hub, so it is looked at from time to time; with more news, more often."
    return Step("ok", "Checked on a timer", detail, at=source.last_fetch)


def _with_hub(known: Known) -> list[Step]:
    asked = known.newest("out", "subscribe", "renewal")
    standing = known.standing
    holds = standing is not None and standing.state == "active"
    if asked is None and not holds:
        return [Step("now", "Asking to be told", known.source.hub_url or "")]
    steps = [_asked(known, asked)] if asked else []
    if steps and steps[0].verdict == "bad" and not holds:
        return steps
    steps += _checked(known, asked, holds)
    if standing and holds:
        steps += [_subscribed(standing), *_test_push(known, standing), _first_push(known, standing)]
    return steps


def _asked(known: Known, asked: Kept) -> Step:
    name = "Asked to be told" if asked.what == "subscribe" else "Asked to renew"
    if asked.outcome == "ok":
        detail = f"We asked {asked.url}; it answered {asked.status}"
        return Step("ok", name, detail, at=asked.at, took=asked.took)
    again = known.standing.due_at if known.standing else None
    return Step("bad", name, asked.detail, _guess(known, asked.detail), asked.at, asked.took, again=again)


def _checked(known: Known, asked: Kept | None, holds: bool) -> list[Step]:
    """Whether the hub called back to check; nothing where that is not in the log any more."""
    if asked is None:
        return []
    came = known.newest("in", "challenge", "denial", since=asked.at)
    if came and came.what == "denial":
        return [Step("bad", "The hub refused us", came.detail, _guess(known, came.detail), came.at, came.took)]
    if came:
        verdict: Verdict = "ok" if came.outcome == "ok" else "bad"
        cause = "" if verdict == "ok" else "It asked for something else than we had asked it."
        return [Step(verdict, "The hub checked it was us", came.detail, cause, came.at, came.took)]
    if holds:
        return []
    if known.now - asked.at < VERIFY_WITHIN:
        return [
            Step(
                "now",
                "Waiting for the hub to check it was us",
                "It calls us back, and we repeat what it says.",
                waited=known.now - asked.at,
            )
        ]
    return [Step("bad", "The hub has not called back", "It took the request.", _guess(known, "callback"))]


def _subscribed(standing: Standing) -> Step:
    return Step("ok", "Subscribed", at=standing.verified_at, until=standing.expires_at, renews=standing.due_at)


def _test_push(known: Known, standing: Standing) -> list[Step]:
    ping = known.newest("out", "ping", since=standing.verified_at)
    if ping is None:
        return []
    detail = f"It answered {ping.status}, and pushes what it finds new." if ping.outcome == "ok" else ping.detail
    return [Step("ok" if ping.outcome == "ok" else "bad", "Asked for a test push", detail, at=ping.at, took=ping.took)]


def _first_push(known: Known, standing: Standing) -> Step:
    push = known.newest("in", "ping" if known.source.delivery == "rsscloud" else "push")
    if push and push.outcome == "ok":
        return Step("ok", "Pushed", push.detail, at=push.at, took=push.took)
    if push:
        return Step("bad", "A push was refused", push.detail, "", push.at, push.took)
    if known.source.last_push:
        return Step("ok", "Pushed", at=known.source.last_push)
    detail = "Hubs speak only when something is published, so this can take days. Nothing is wrong."
    waited = known.now - standing.verified_at if standing.verified_at else None
    return Step("now", "Waiting for the first push", detail, waited=waited)


def _actions(known: Known, steps: Sequence[Step]) -> list[Action]:
    """Always a way not to wait; after a failure, what to do about it."""
    source = known.source
    if source.state == "paused":
        return [Action("Go on", "resume")]
    failed = any(step.verdict == "bad" for step in steps)
    holds = known.standing is not None and known.standing.state == "active"
    actions = []
    if failed and source.hub_url and steps[0].verdict == "ok":
        actions += [Action("Ask the hub again", "subscribe"), Action("Keep checking instead", "poll")]
    elif holds and source.delivery == "websub":
        actions.append(Action("Ask the hub for a test push", "ping"))
    actions.append(Action("Check the feed now", "refresh"))
    return actions


def _guess(known: Known, words: str) -> str:
    return guess(words, known.base_url, known.source.hub_url)
