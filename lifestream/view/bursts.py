"""Bursts: what came close together from one place is one card. A pure function over entries, newest first.

A burst begins and ends within one of the owner's days, so that a day, its count and its page agree; what stands between
its members does not part them. It stands where its newest member does.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from lifestream.types import Entry, Stored
from lifestream.view import words
from lifestream.view.cards import warning_of

MOST = 100
"""Members of one group; more make a further group."""

Family = Literal["listen", "code", "like", "follow", "photo"]
DayOf = Callable[[Stored], date]
Place = tuple[datetime, int]
"""Where an entry stands in the stream: `ordered_at`, and its row where that is the same."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`least` entries with one key make a group, when no two neighbours are further apart than `gap` seconds."""

    least: int
    gap: int


RULES: dict[str, Rule] = {
    "listen": Rule(3, 20 * 60),
    "code": Rule(2, 60 * 60),
    "like": Rule(3, 60 * 60),
    "follow": Rule(3, 60 * 60),
    "photo": Rule(2, 15 * 60),
}
"""By kind; the other kinds never group."""


def key_of(stored: Stored) -> str:
    """What entries must share to be one group; empty for those that stay single, as what stands behind a warning."""
    kind = stored.entry.kind
    if kind not in RULES or warning_of(stored.entry):
        return ""
    if kind == "code":
        repository = stored.entry.data.get("repository")
        return f"code:{stored.source.slug}:{repository}" if isinstance(repository, str) and repository else ""
    return f"{kind}:{stored.source.slug}"


def gap_of(stored: Stored) -> int:
    rule = RULES.get(stored.entry.kind)
    return rule.gap if rule else 0


def place_of(stored: Stored) -> Place:
    return stored.ordered_at, stored.row


@dataclass(frozen=True, slots=True)
class Group:
    """Entries shown as one card. `members` are newest first."""

    key: str
    members: tuple[Stored, ...]

    @property
    def kind(self) -> str:
        return self.newest.entry.kind

    @property
    def newest(self) -> Stored:
        return self.members[0]

    @property
    def oldest(self) -> Stored:
        return self.members[-1]

    @property
    def id(self) -> str:
        """Its oldest member's: it stays while the group grows."""
        return self.oldest.id

    @property
    def gap(self) -> int:
        return gap_of(self.newest)


Item = Stored | Group
"""What one card shows."""


def gathered(entries: Iterable[Stored], day_of: DayOf) -> list[Item]:
    """The cards of `entries`, which are newest first; so are the cards."""
    cards: list[tuple[int, Item]] = []
    for numbered in _runs(entries, day_of):
        members = tuple(one for _, one in numbered)
        key = key_of(members[0])
        if key and len(members) >= RULES[members[0].entry.kind].least:
            cards.append((numbered[0][0], Group(key, members)))
        else:
            cards += numbered
    cards.sort(key=lambda card: card[0])
    return [item for _, item in cards]


def unfinished(entries: Sequence[Stored], day_of: DayOf) -> list[tuple[Stored, ...]]:
    """The runs in `entries` that what comes after the last of them may go on with."""
    if not entries:
        return []
    last = entries[-1]
    latest = {key_of(run[-1][1]): tuple(one for _, one in run) for run in _runs(entries, day_of)}
    return [
        run
        for key, run in latest.items()
        if key
        and len(run) < MOST
        and day_of(run[-1]) == day_of(last)
        and _near(run[-1].ordered_at, last.ordered_at, gap_of(run[-1]))
    ]


def rest_of(run: Sequence[Stored], following: Iterable[Stored], day_of: DayOf) -> list[Stored]:
    """What of `following` belongs to `run`, which ends above them; nothing if they are too few to be a group."""
    rest: list[Stored] = []
    last = run[-1]
    for one in following:
        if key_of(one) != key_of(last):
            continue
        if len(run) + len(rest) == MOST or not _goes_on(last, one, day_of):
            break
        rest.append(one)
        last = one
    return rest if len(run) + len(rest) >= RULES[last.entry.kind].least else []


def _runs(entries: Iterable[Stored], day_of: DayOf) -> list[list[tuple[int, Stored]]]:
    """The entries, numbered, with those of one key together as long as they are near each other."""
    runs: list[list[tuple[int, Stored]]] = []
    growing: dict[str, list[tuple[int, Stored]]] = {}
    for number, one in enumerate(entries):
        key = key_of(one)
        run = growing.get(key) if key else None
        if run and len(run) < MOST and _goes_on(run[-1][1], one, day_of):
            run.append((number, one))
            continue
        run = [(number, one)]
        runs.append(run)
        growing[key] = run
    return runs


def _goes_on(newer: Stored, older: Stored, day_of: DayOf) -> bool:
    return _near(newer.ordered_at, older.ordered_at, gap_of(newer)) and day_of(newer) == day_of(older)


def _near(newer: datetime, older: datetime, gap: int) -> bool:
    return newer - older <= timedelta(seconds=gap)


# -- what a group is about --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listening:
    """Whom a group of listens is by, most played first; the album that most of it is from, if one is; how long."""

    artists: tuple[str, ...]
    album: str
    minutes: int


def listening(group: Group) -> Listening:
    artists = Counter(artist for one in group.members if (artist := text_of(one, "artist")))
    albums = Counter(album for one in group.members if (album := text_of(one, "album")))
    album, plays = albums.most_common(1)[0] if albums else ("", 0)
    minutes = round((group.newest.ordered_at - group.oldest.ordered_at).total_seconds() / 60)
    return Listening(
        tuple(artist for artist, _ in artists.most_common()), album if plays * 2 > len(group.members) else "", minutes
    )


def amount_of(entry: Entry) -> int:
    """How many of its kind an entry counts for: a push as many as its commits, photos as many as there are."""
    if entry.kind == "code":
        commits = entry.data.get("commits")
        return max(1, len(commits)) if isinstance(commits, list | tuple) else 1
    if entry.kind == "photo":
        return max(1, sum(one.type.startswith("image") for one in entry.media))
    return 1


def text_of(stored: Stored, name: str) -> str:
    value = stored.entry.data.get(name)
    return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Told:
    """A group in words: what it is, and a second line."""

    title: str
    more: str


def told(group: Group, lang: str) -> Told:
    match group.kind:
        case "listen":
            return _told_listens(group, lang)
        case "code":
            return _told_pushes(group)
        case "photo":
            amount = sum(amount_of(one.entry) for one in group.members)
            return Told(words.counted(amount, "photo", "photos"), _titles(group, lang))
        case kind:
            doing = words.DOINGS[kind]
            return Told(f"{doing.verb.capitalize()} {doing.counted(len(group.members))}", _titles(group, lang))


def _told_listens(group: Group, lang: str) -> Told:
    heard = listening(group)
    by = ""
    if len(heard.artists) == 2:
        by = f" by {words.listed(heard.artists, lang)}"
    elif heard.artists:
        others = len(heard.artists) - 1
        by = f" by {heard.artists[0]}" + (f" and {others} others" if others else "")
    about = [f"Mostly the album {heard.album}"] if heard.album else []
    if heard.minutes:
        about.append(words.counted(heard.minutes, "minute", "minutes"))
    return Told(words.counted(len(group.members), "track", "tracks") + by, ", ".join(about))


def _told_pushes(group: Group) -> Told:
    commits = words.counted(sum(amount_of(one.entry) for one in group.members), "commit", "commits")
    branches = {text_of(one, "branch") for one in group.members}
    branch = f" {branches.pop()}" if len(branches) == 1 else ""
    return Told(
        f"{commits} to {text_of(group.newest, 'repository')}{branch}",
        f"in {words.counted(len(group.members), 'push', 'pushes')}",
    )


def _titles(group: Group, lang: str) -> str:
    """The first two titles, "and 6 more"."""
    titles = [_title(one) for one in group.members if _title(one)]
    first, more = titles[:2], len(group.members) - 2
    if not first:
        return ""
    return words.listed([*first, f"{more} more"] if more > 0 and len(first) == 2 else first, lang)


def _title(stored: Stored) -> str:
    return stored.entry.title or stored.entry.summary
