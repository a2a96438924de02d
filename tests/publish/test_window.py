"""The window: it says the same as the log does for every position that it covers."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from lifestream.publish import window
from lifestream.publish.window import Window
from lifestream.types import Entry, SourceName, Stored

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def change(seq: int, id: str, *, quiet: bool = False, deleted: bool = False, size: int = 0) -> Stored:
    entry = Entry(content_html="x" * size)
    return Stored(id, seq, seq, SourceName("blog", "", ""), entry, NOW, NOW, quiet=quiet, deleted=deleted)


CHANGES = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans(), st.booleans()), max_size=30)


@given(CHANGES)
def test_it_holds_each_entry_at_its_latest_change_and_no_quiet_arrivals(said: list[tuple[str, bool, bool]]) -> None:
    here, log = Window(), {}
    for seq, (id, quiet, deleted) in enumerate(said, 1):
        log[id] = change(seq, id, quiet=quiet, deleted=deleted)
        here.add(log[id])
    told = sorted((one for one in log.values() if one.deleted or not one.quiet), key=lambda one: one.seq)
    for position in range(len(said) + 1):
        assert list(here.after(position)) == [one for one in told if one.seq > position]


def test_it_forgets_the_oldest_and_says_from_where_on_it_knows() -> None:
    here = Window()
    for seq in range(1, window.MOST + 11):
        here.add(change(seq, str(seq)))
    assert here.base == 10
    assert len(list(here.after(here.base))) == window.MOST


def test_long_entries_make_it_short() -> None:
    here = Window()
    for seq in range(1, 101):
        here.add(change(seq, str(seq), size=100_000))
    kept = list(here.after(here.base))
    assert sum(len(one.entry.content_html) for one in kept) <= window.MOST_BYTES
    assert [one.seq for one in kept] == list(range(here.base + 1, 101))
