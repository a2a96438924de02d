"""A hub that fell silent, noticed by what our own polls find behind it. No clock waits for anything.

A poll that finds entries although the source is pushed counts them as missed, at once. A push that comes soon after
takes that back: then the poll was merely first. Two such polls with no push between them, and the hub is silent.
"""

from datetime import datetime, timedelta

LATE = timedelta(minutes=5)
"""After the poll. What comes later still is another push, and the entry was missed."""
SILENT_AFTER = 2


def is_silent(looks: int) -> bool:
    """`looks`: how many polls found something since the last push."""
    return looks >= SILENT_AFTER


def asks_anew(looks: int) -> bool:
    """Whether to ask the hub again now: at 2, 4, 8, … such polls, so that a hub that stays silent is not pestered."""
    return is_silent(looks) and looks & (looks - 1) == 0


def sentence(hub_url: str, since: datetime | None) -> str:
    when = f" since {since:%Y-%m-%d %H:%M} UTC" if since else ""
    return f"The hub {hub_url} has told nothing{when}; asked it again, and looking by ourselves meanwhile."
