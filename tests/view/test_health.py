"""How a source is doing: its state, who comes first, what is wrong since when, and what is drawn of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lifestream.types import Source
from lifestream.view.calendar import Span
from lifestream.view.health import (
    SLOTS,
    Delay,
    Look,
    Standing,
    Try,
    arrivals,
    bars,
    day_said,
    guess,
    in_order,
    lasting,
    lease_of,
    plot_of,
    sentence,
    since,
    state_of,
    trouble_of,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = Span(NOON - timedelta(hours=12), NOON + timedelta(hours=12))
HOUR = timedelta(hours=1)
HELD = Standing("https://hub.example/", "active", NOON, NOON - 2 * HOUR, NOON + 6 * HOUR, NOON + HOUR, 0, "")
REFUSED = replace(HELD, attempts=6, last_error="The hub answered 404: callback not reachable")


def source(number: int = 1, **changed: Any) -> Source:
    plain = Source(
        id=number, slug=f"s{number}", title=f"S{number}", url="https://s.example/", site_url="", feed_id=number,
        feed_url="https://s.example/feed", topic=None, kind="other", visibility="public", state="active",
        delivery="websub", hub_choice="auto", hub_url="https://hub.example/", lease_expires=None, last_push=NOON,
        last_fetch=NOON, last_entry=None, last_error=None, entry_count=3,
    )  # fmt: skip
    return replace(plain, **changed)


@pytest.mark.parametrize(
    ("changed", "standing", "state"),
    [
        ({}, HELD, "fine"),
        ({"last_push": None}, HELD, "waiting"),
        ({"state": "pending", "delivery": "polling"}, None, "waiting"),
        ({"delivery": "polling", "last_push": None}, None, "fine"),
        ({"state": "paused", "last_error": "x"}, REFUSED, "paused"),
        ({"state": "failing"}, None, "needs"),
        ({"state": "denied", "delivery": "polling"}, replace(HELD, state="denied"), "needs"),
        ({"last_error": "silent"}, HELD, "needs"),
        ({}, REFUSED, "needs"),
        ({}, replace(HELD, attempts=2), "fine"),
    ],
)
def test_waiting_is_no_fault_and_a_fault_is_never_hidden(
    changed: dict[str, Any], standing: Standing | None, state: str
) -> None:
    assert state_of(source(**changed), standing) == state


def test_who_needs_the_owner_comes_first_then_who_waits_then_by_the_last_entry() -> None:
    found = [source(1), source(2, last_entry=NOON - HOUR), source(3, last_entry=NOON), source(4), source(5)]
    states = {1: "fine", 2: "paused", 3: "fine", 4: "waiting", 5: "needs"}
    assert [one.id for one in in_order(states, found)] == [5, 4, 3, 2, 1]  # type: ignore[arg-type]


def test_the_sentence_counts_who_needs_nothing() -> None:
    assert sentence(["fine", "waiting", "needs"]) == "2 of 3 sources are fine."
    assert sentence(["paused", "needs"]) == "1 of 2 sources is fine."
    assert (sentence(["fine"]), sentence(["fine"] * 2)) == ("Your source is fine.", "All 2 sources are fine.")
    assert sentence([]) == "No sources yet."
    local = {"feed_id": None, "delivery": "local"}
    every = [source(1), source(2, delivery="polling"), source(3, **local), source(4, **local), source(5, **local)]
    assert arrivals(every, ["s3"]) == (
        "1 is pushed to you, 1 is checked on a timer, 1 calls a webhook, 2 are written here."
    )


def test_what_is_wrong_says_what_happens_meanwhile_and_what_can_be_done() -> None:
    look = Look(NOON, 900)
    failing = trouble_of(source(state="failing", last_error="It is down."), None, look, "12:15")
    assert (failing.what, failing.meanwhile) == ("It is down.", "It is looked at again by itself at 12:15.")
    refused = trouble_of(source(), REFUSED, look, "12:15")
    assert refused.title == "’s hub has refused us"
    assert refused.what == (
        "We asked to renew the lease 6 times in vain. The hub answered 404: callback not reachable."
    )
    assert refused.meanwhile == "It is still pushed until the lease ends."
    assert [one.does for one in refused.actions] == ["subscribe", "poll"]
    lost = trouble_of(source(delivery="polling"), replace(REFUSED, state="pending", last_error="x refused"), look, "")
    assert lost.title == "’s hub has not answered"
    assert lost.meanwhile == "Entries still arrive: the feed is checked every 15 min."
    mute = trouble_of(source(delivery="polling"), replace(REFUSED, state="pending", last_error=""), None, "")
    assert mute.title == "’s hub does not call back"
    assert trouble_of(source(state="denied"), None, look, "").title == "’s hub has refused us"
    silent = trouble_of(source(missed_looks=2, last_error="It told nothing."), HELD, look, "")
    assert silent.title == "’s hub has fallen silent"
    moved = trouble_of(source(last_error="It has moved for good."), HELD, look, "")
    assert (moved.title, [one.does for one in moved.actions]) == (" has moved", ["refresh"])
    assert trouble_of(source(state="failing"), None, look, "").meanwhile.startswith("It is not looked at again")


def test_since_when_is_the_first_of_the_failures_that_last() -> None:
    assert since([Try(NOON, False), Try(NOON - HOUR, False), Try(NOON - 2 * HOUR, True), Try(DAY.start, False)]) == (
        NOON - HOUR, 2,
    )  # fmt: skip
    assert since([Try(NOON, True)]) == (None, 0)


def test_the_cause_is_guessed_from_the_hubs_words() -> None:
    said = "The hub answered 404: callback not reachable"
    assert "LIFESTREAM_BASE_URL" in guess(said, "http://127.0.0.1:8000", "https://hub.example/")
    assert guess(said, "https://mara.example", "https://hub.example/").startswith("It calls https://mara.example/push/")
    assert "firewall" in guess(said, "http://127.0.0.1:8000", "http://localhost:9/")
    assert guess("The hub answered 503.", "", "").startswith("It has trouble of its own")
    assert guess("hub.example refused the connection.", "", "") == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.012, "12 ms"), (0.7, "0.7 s"), (9.96, "10.0 s"), (42, "42 s"), (1860, "31 min"), (9 * 3600, "9 h"),
     (4 * 86400, "4 days")],
)  # fmt: skip
def test_a_while_is_told_in_a_persons_units(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


def test_a_lease_runs_out() -> None:
    held = lease_of(HELD, NOON)
    assert held and (held.share, held.words) == (75.0, "6 h")
    days = lease_of(replace(HELD, expires_at=NOON + timedelta(days=9, hours=17)), NOON)
    assert days and days.words == "9 d 17 h"
    for lapsed in (replace(HELD, expires_at=NOON), replace(HELD, state="pending", expires_at=None)):
        found = lease_of(lapsed, NOON)
        assert found and (found.share, found.words) == (0.0, "Lapsed")
    never = lease_of(replace(HELD, state="pending", verified_at=None), NOON)
    assert never and never.words == "None yet"
    assert lease_of(None, NOON) is None


def test_bars_stand_on_the_line_and_failures_hang_below_it() -> None:
    counts = [0] * SLOTS
    counts[0], counts[47] = 1, 1000
    assert bars(counts) == "M2.5 18v-6M237.5 18v-17"
    assert bars(counts, down=True) == "M2.5 20v6M237.5 20v6"
    assert bars([]) == ""
    assert (day_said(counts, []), day_said([1], [1, 2])) == ("1,001 entries", "1 entry, 3 failures")


def test_delays_are_drawn_where_their_hour_and_their_logarithm_are() -> None:
    plot = plot_of([Delay(NOON, 100.0), Delay(DAY.start, 10.0), Delay(NOON, 1000.0)], DAY)
    assert plot and plot.labels == ("1 s", "0.1 s", "10 ms")
    assert plot.lines == "M0 8H1000M0 70H1000M0 132H1000"
    assert plot.dots == {"12": "M500.0 70.0h.01M500.0 8.0h.01", "00": "M0.0 132.0h.01"}
    assert (plot.count, plot.half, plot.most) == (3, "0.1 s", "0.9 s")


@pytest.mark.parametrize("took", [0.0, 1.0, 99.0, 1e9])
def test_one_delay_of_any_size_is_on_the_plot(took: float) -> None:
    plot = plot_of([Delay(NOON, took)], DAY)
    assert plot and len(plot.labels) >= 3
    height = float(plot.dots["12"].split()[1].partition("h")[0])
    assert 8 <= height <= 132
    assert plot_of([], DAY) is None
