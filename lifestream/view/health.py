"""How a source is doing, for its owner: its state in a word, what is wrong and what to do, how long things take, what
came in the last day. Pure: values in, words and the geometry of SVG out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, floor, log2, log10
from statistics import median, quantiles
from typing import Literal
from urllib.parse import urlsplit

from lifestream.protocol.silence import is_silent
from lifestream.protocol.subscriber import HOPE_ATTEMPTS
from lifestream.types import Source
from lifestream.view.calendar import Span
from lifestream.view.words import counted

State = Literal["needs", "waiting", "fine", "paused"]
PUSHED = ("websub", "rsscloud")
SLOT = timedelta(minutes=30)
SLOTS = 48
CALLED_BACK = ("callback", "call back", "reach", "verif", "challenge")
"""Words of a hub that could not ask us whether it was us."""
CAUSES = {
    "401": "It wants to know who asks, or keeps programs out.", "403": "It may serve some sites only.",
    "404": "It may have moved, or be no hub any more.", "410": "It says that it is gone for good.",
    "429": "It was asked too often; the next try waits as long as it says.",
    "5": "It has trouble of its own, which mostly passes by itself.",
}  # fmt: skip
HERE = ("localhost", "127.0.0.1", "::1")
WIDE, HIGH = 1000, 140
"""Of the plot of delays."""
EDGE = 8
"""Above its first line and below its last."""
DECADES = ("1 ms", "10 ms", "0.1 s", "1 s", "10 s", "100 s")
AXIS, TALLEST, STEP = 19, 17, 5
"""Of the bars of a day, which is 240 wide and 26 high: what came stands on the line, what failed hangs below it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Our subscription at the hub of a source, or at its cloud."""

    hub_url: str
    state: str
    asked_at: datetime | None
    verified_at: datetime | None
    expires_at: datetime | None
    due_at: datetime | None
    attempts: int
    last_error: str

    @property
    def in_vain(self) -> bool:
        """It was asked for so often without success that the owner should know."""
        return self.state == "denied" or self.attempts >= HOPE_ATTEMPTS


@dataclass(frozen=True, slots=True)
class Look:
    """When a source's feed is fetched next, and the seconds between two polls."""

    due_at: datetime | None
    interval: int


@dataclass(frozen=True, slots=True)
class Try:
    """One of our requests for a source, as the log has it."""

    at: datetime
    ok: bool


@dataclass(frozen=True, slots=True)
class Action:
    """What the owner can do: a form's last word for the source, or, where it has a `link`, a page."""

    words: str
    does: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a source. `tries`: of which of our requests the log tells since when."""

    title: str
    what: str
    meanwhile: str
    tries: tuple[str, ...]
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class Lease:
    """What is left of a subscription: `share` of a hundred, and in words."""

    share: float
    words: str


@dataclass(frozen=True, slots=True)
class Delay:
    """A push: when it came, in the owner's zone, and the milliseconds until it was on the page."""

    at: datetime
    took: float


@dataclass(frozen=True, slots=True)
class Plot:
    """Delays on a log scale over the owner's day. `labels` from the top; `dots` are paths by their hour."""

    labels: tuple[str, ...]
    lines: str
    dots: Mapping[str, str]
    count: int
    half: str
    most: str


# -- state ------------------------------------------------------------------------------------


def state_of(source: Source, standing: Standing | None) -> State:
    """A fault needs the owner; that nothing has been published yet is none."""
    if source.state == "paused":
        return "paused"
    if source.last_error or source.state in ("failing", "denied") or (standing and standing.in_vain):
        return "needs"
    if source.state == "pending" or (source.delivery in PUSHED and source.last_push is None):
        return "waiting"
    return "fine"


def in_order(states: Mapping[int, State], sources: Iterable[Source]) -> list[Source]:
    """Who needs the owner, who waits, the rest by their last entry."""
    by_entry = sorted(sources, key=lambda one: -one.last_entry.timestamp() if one.last_entry else 0.0)
    rank = {"needs": 0, "waiting": 1}
    return sorted(by_entry, key=lambda one: rank.get(states[one.id], 2))


def sentence(states: Sequence[State]) -> str:
    """ "12 of 14 sources are fine." """
    every, needy = len(states), states.count("needs")
    if not every:
        return "No sources yet."
    if needy:
        return f"{every - needy} of {counted(every, 'source', 'sources')} {'is' if every - needy == 1 else 'are'} fine."
    return "Your source is fine." if every == 1 else f"All {every} sources are fine."


def arrivals(sources: Iterable[Source], hooked: Iterable[str]) -> str:
    """How entries come, in a sentence."""
    hooked, every = set(hooked), list(sources)
    local = [one for one in every if one.local]
    hooks = sum(one.slug in hooked for one in local)
    polled = sum(one.delivery == "polling" for one in every)
    parts = [
        (len(every) - len(local) - polled, "is pushed to you", "are pushed to you"),
        (polled, "is checked on a timer", "are checked on a timer"),
        (hooks, "calls a webhook", "call a webhook"),
        (len(local) - hooks, "is written here", "are written here"),
    ]
    return ", ".join(counted(number, one, many) for number, one, many in parts if number) + "."


# -- what is wrong ----------------------------------------------------------------------------


def trouble_of(source: Source, standing: Standing | None, look: Look | None, clock: str) -> Trouble:
    """Of a source that needs its owner. `clock` is the time of the next look in words, empty for none."""
    if source.state == "failing":
        return Trouble(
            " does not answer as it should", source.last_error or "No reason was given.",
            f"It is looked at again by itself at {clock}." if clock else "It is not looked at again until you say so.",
            ("discovery", "fetch"), (Action("Look now", "refresh"), Action("Pause", "pause")),
        )  # fmt: skip
    checked = f"Entries still arrive: the feed is checked {every_so_often(look)}."
    hub_actions = (Action("Ask the hub again", "subscribe"), Action("Keep checking instead", "poll"))
    if standing and standing.in_vain or source.state == "denied":
        return _no_subscription(source, standing, checked, hub_actions)
    if source.delivery in PUSHED and is_silent(source.missed_looks):
        what = source.last_error or ""
        return Trouble("’s hub has fallen silent", what, checked, ("subscribe", "renewal"), hub_actions)
    what = source.last_error or ""
    title = " has moved" if "moved" in what else " needs a look"
    return Trouble(title, what, checked, ("fetch",), (Action("Look now", "refresh"),))


def _no_subscription(source: Source, standing: Standing | None, checked: str, actions: tuple[Action, ...]) -> Trouble:
    if source.state == "denied" or standing is None:
        what = source.last_error or "The hub gave no reason."
        return Trouble("’s hub has refused us", what, checked, ("denial", "subscribe", "renewal"), actions)
    if not standing.last_error:
        what = "It takes our request, and then does not call back to check that it was us."
        return Trouble("’s hub does not call back", what, checked, ("subscribe", "renewal"), actions)
    refused = standing.last_error.startswith("The hub answered")
    title = "’s hub has refused us" if refused else "’s hub has not answered"
    asked = "to renew the lease" if standing.state == "active" else "to be told"
    what = f"We asked {asked} {counted(standing.attempts, 'time', 'times')} in vain. {sentence_of(standing.last_error)}"
    still = "It is still pushed until the lease ends." if standing.state == "active" else checked
    return Trouble(title, what, still, ("subscribe", "renewal"), actions)


def sentence_of(words: str) -> str:
    return words if words.endswith((".", "…")) else f"{words}."


def since(tries: Iterable[Try]) -> tuple[datetime | None, int]:
    """When the run of failures began that lasts to this day, and how many they are. `tries` come newest first."""
    began, count = None, 0
    for one in tries:
        if one.ok:
            break
        began, count = one.at, count + 1
    return began, count


def guess(words: str, base_url: str, hub_url: str | None) -> str:
    """Our guess at why a hub refuses us, from what it said; empty where its words say it all."""
    said = words.casefold()
    if any(sign in said for sign in CALLED_BACK):
        if urlsplit(base_url).hostname in HERE and urlsplit(hub_url or "").hostname not in HERE:
            return f"It is told to call {base_url}, which is this machine itself: set LIFESTREAM_BASE_URL."
        return f"It calls {base_url}/push/…; a firewall, a proxy or an old DNS record may keep it out."
    return next((cause for sign, cause in CAUSES.items() if f"answered {sign}" in said), "")


# -- the cells of a row -----------------------------------------------------------------------


def every_so_often(look: Look | None) -> str:
    """ "every 30 min"."""
    return f"every {lasting(look.interval)}" if look and look.interval else "on a timer"


def lasting(seconds: float) -> str:
    """How long something took or takes, in a person's units: "12 ms", "0.7 s", "31 min", "9 h", "4 days"."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for most, unit, of in ((90, "s", 1), (90 * 60, "min", 60), (36 * 3600, "h", 3600)):
        if seconds < most:
            return f"{seconds / of:.0f} {unit}"
    return counted(round(seconds / 86400), "day", "days")


def lease_of(standing: Standing | None, now: datetime) -> Lease | None:
    """None where there is nothing that could run out."""
    if standing is None:
        return None
    ends, began = standing.expires_at, standing.verified_at
    if standing.state != "active" or ends is None or ends <= now:
        return Lease(0.0, "Lapsed" if began else "None yet")
    left = ends - now
    hours = int(left.total_seconds()) // 3600
    words = f"{hours // 24} d {hours % 24} h" if hours >= 24 else f"{hours} h" if hours else "less than 1 h"
    whole = ends - began if began and began < ends else left
    return Lease(round(min(left / whole, 1.0) * 100, 1), words)


def bars(counts: Sequence[int], *, down: bool = False) -> str:
    """A path of bars, one for each half hour: as high as the logarithm of what they count. `down`: below the line."""
    start, sign, tallest = (AXIS + 1, "", 26 - AXIS - 1) if down else (AXIS - 1, "-", TALLEST)
    return "".join(
        f"M{slot * STEP + STEP / 2:g} {start}v{sign}{min(tallest, 6 + 4 * log2(count)):.3g}"
        for slot, count in enumerate(counts)
        if count
    )


def day_said(came: Sequence[int], failed: Sequence[int]) -> str:
    """What the bars of a day show."""
    parts = [counted(sum(came), "entry", "entries")]
    if any(failed):
        parts.append(counted(sum(failed), "failure", "failures"))
    return ", ".join(parts)


# -- delays -----------------------------------------------------------------------------------


def plot_of(delays: Sequence[Delay], day: Span) -> Plot | None:
    """None where nothing was pushed on this day."""
    if not delays:
        return None
    took = [min(max(one.took, 1.0), 10.0 ** (len(DECADES) - 1)) for one in delays]
    low = min(floor(log10(min(took))), len(DECADES) - 3)
    high = max(ceil(log10(max(took))), low + 2)
    dots: dict[str, str] = {}
    for delay, ms in zip(delays, took, strict=True):
        x = (delay.at - day.start) / (day.end - day.start) * WIDE
        y = _height(log10(ms), low, high)
        dots[f"{delay.at:%H}"] = dots.get(f"{delay.at:%H}", "") + f"M{x:.1f} {y:.1f}h.01"
    levels = range(high, low - 1, -1)
    exact = [one.took for one in delays]
    return Plot(
        labels=tuple(DECADES[level] for level in levels),
        lines="".join(f"M0 {_height(level, low, high):g}H{WIDE}" for level in levels),
        dots=dots,
        count=len(delays),
        half=lasting(median(exact) / 1000),
        most=lasting((quantiles(exact, n=20, method="inclusive")[-1] if len(exact) > 1 else exact[0]) / 1000),
    )


def _height(level: float, low: int, high: int) -> float:
    return HIGH - EDGE - (level - low) / (high - low) * (HIGH - 2 * EDGE)
