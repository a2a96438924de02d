"""The handshake with a hub, as the log tells it: each step with its time, a failed one with the other side's words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifestream.handshake import WATCHED, Handshake, Known, Step, handshake_of
from lifestream.store.exchanges import Kept
from lifestream.subscribe import VERIFY_WITHIN
from lifestream.types import Source
from lifestream.view.health import Standing

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HELD = Standing("https://hub.example/", "active", NOON, NOON + 2 * SECOND, NOON + timedelta(days=10), None, 0, "")
SOURCE = Source(
    id=1, slug="blog", title="Blog", url="https://b.example/", site_url="", feed_id=1, feed_url="https://b.example/feed",
    topic="https://b.example/feed", kind="other", visibility="public", state="active", delivery="websub",
    hub_choice="auto", hub_url="https://hub.example/", lease_expires=None, last_push=None, last_fetch=NOON,
    last_entry=None, last_error=None, entry_count=3,
)  # fmt: skip


def told(seconds: float, direction: Any, what: str, outcome: str = "ok", detail: str = "", status: int = 202) -> Kept:
    return Kept(
        id=int(seconds * 10), at=NOON + seconds * SECOND, slug="blog", title="Blog", about="", direction=direction,
        what=what, method="POST", url="https://hub.example/", status=status, took=96.0, outcome=outcome, detail=detail,
        alike=0, steps=(), wire=None,
    )  # fmt: skip


FOUND, ASKED = told(0, "out", "discovery"), told(1, "out", "subscribe")
CHECKED = told(2, "in", "challenge", detail="subscribe confirmed")


def shaken(
    *exchanges: Kept, after: timedelta = 44 * SECOND, standing: Standing | None = HELD, **changed: Any
) -> Handshake:
    newest_first = sorted(exchanges, key=lambda one: one.at, reverse=True)
    source = replace(SOURCE, **changed)
    return handshake_of(Known(source, standing, NOON, newest_first, "https://mara.example", NOON + after))


def names(handshake: Handshake) -> list[tuple[str, str]]:
    return [(row.verdict, row.name) for row in handshake.steps]


def last(handshake: Handshake) -> Step:
    return handshake.steps[-1]


def test_every_step_has_its_time_and_the_last_one_waits() -> None:
    found = shaken(FOUND, ASKED, CHECKED)
    assert names(found) == [
        ("ok", "Found the hub"), ("ok", "Asked to be told"), ("ok", "The hub checked it was us"), ("ok", "Subscribed"),
        ("now", "Waiting for the first push"),
    ]  # fmt: skip
    assert [row.at for row in found.steps[:4]] == [FOUND.at, ASKED.at, CHECKED.at, HELD.verified_at]
    assert (found.steps[1].took, found.steps[3].until, last(found).waited) == (96.0, HELD.expires_at, 42 * SECOND)
    assert found.waits and [one.does for one in found.actions] == ["ping", "refresh"]


def test_nobody_watches_for_days() -> None:
    assert not shaken(FOUND, ASKED, CHECKED, after=WATCHED + 3 * SECOND).waits
    assert not shaken(FOUND, ASKED, CHECKED, state="paused").waits


def test_the_first_push_ends_it() -> None:
    found = shaken(FOUND, ASKED, CHECKED, told(9, "out", "ping"), told(10, "in", "push", detail="1 new"))
    assert names(found)[-2:] == [("ok", "Asked for a test push"), ("ok", "Pushed")]
    assert not found.waits
    refused = shaken(FOUND, ASKED, CHECKED, told(10, "in", "push", "refused", "the signature is wrong"))
    assert (last(refused).verdict, last(refused).detail) == ("bad", "the signature is wrong")
    pinged = told(10, "in", "ping", detail="told")
    assert last(shaken(FOUND, ASKED, CHECKED, pinged)).verdict == "now", "anybody may ping"
    assert last(shaken(FOUND, ASKED, CHECKED, pinged, delivery="rsscloud")).detail == "told"


def test_a_hub_that_refuses_keeps_its_row_with_its_words_our_guess_and_what_to_do() -> None:
    words = "The hub answered 403: no, thank you"
    waiting = replace(HELD, state="pending", verified_at=None, expires_at=None, due_at=NOON)
    found = shaken(FOUND, told(1, "out", "subscribe", "failed", words, 403), standing=waiting, delivery="polling")
    assert names(found) == [("ok", "Found the hub"), ("bad", "Asked to be told")]
    assert (last(found).detail, last(found).cause, last(found).again) == (words, "It may serve some sites only.", NOON)
    assert not found.waits and [one.does for one in found.actions] == ["subscribe", "poll", "refresh"]


def test_a_hub_that_does_not_call_back_is_waited_for_and_then_suspected() -> None:
    pending = replace(HELD, state="pending", verified_at=None, expires_at=None)
    waiting = shaken(FOUND, ASKED, standing=pending)
    assert (last(waiting).verdict, last(waiting).waited, waiting.waits) == ("now", 43 * SECOND, True)
    late = shaken(FOUND, ASKED, standing=pending, after=VERIFY_WITHIN + 2 * SECOND)
    assert last(late).verdict == "bad" and "https://mara.example/push/" in last(late).cause
    assert not late.waits


@pytest.mark.parametrize("what", ["challenge", "denial"])
def test_a_refused_check_and_a_denial_are_bad(what: str) -> None:
    pending = replace(HELD, state="denied")
    found = shaken(FOUND, ASKED, told(2, "in", what, "refused", "not for you"), standing=pending)
    assert (last(found).verdict, last(found).detail) == ("bad", "not for you")


def test_a_renewal_that_fails_hides_nothing_of_what_still_holds() -> None:
    renewal = told(20, "out", "renewal", "failed", "The hub answered 500.")
    found = shaken(FOUND, ASKED, CHECKED, renewal, last_push=NOON)
    assert names(found) == [
        ("ok", "Found the hub"), ("bad", "Asked to renew"), ("ok", "Subscribed"), ("ok", "Pushed"),
    ]  # fmt: skip


def test_without_a_hub_there_is_no_handshake_to_wait_for() -> None:
    found = shaken(FOUND, standing=None, hub_url=None, delivery="polling")
    assert names(found) == [("ok", "Found the feed"), ("ok", "Checked on a timer")]
    assert not found.waits and [one.does for one in found.actions] == ["refresh"]
    pinged = shaken(FOUND, standing=None, hub_url=None, delivery="hub")
    assert last(pinged).name == "It pings our hub"


def test_what_is_not_found_yet_is_looked_for_and_what_cannot_be_read_says_why() -> None:
    looking = shaken(standing=None, hub_url=None, feed_url=None, state="pending")
    assert names(looking) == [("now", "Looking for the feed")] and looking.waits
    failed = shaken(FOUND, standing=None, hub_url=None, feed_url=None, state="failing", last_error="It is gone.")
    assert (names(failed), last(failed).detail) == ([("bad", "The feed cannot be read")], "It is gone.")
    assert last(failed).again == NOON and not failed.waits
    assert names(shaken(FOUND, standing=None))[-1] == ("now", "Asking to be told")
    assert [one.does for one in shaken(FOUND, ASKED, CHECKED, state="paused").actions] == ["resume"]
