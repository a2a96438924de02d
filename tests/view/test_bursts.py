"""What makes a group, as facts about lists of entries."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.types import Entry, Kind, Media, SourceName, Stored
from lifestream.view import bursts
from lifestream.view.bursts import Group, gathered, rest_of, told, unfinished

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def day_of(stored: Stored) -> Any:
    return stored.ordered_at.date()


def made(kind: Kind, minutes_ago: float, slug: str = "a", row: int = 0, **fields: Any) -> Stored:
    at = NOON - minutes_ago * MINUTE
    entry = Entry(kind=kind, **fields)
    return Stored(f"{kind}{minutes_ago:g}{slug}", 1, 1, SourceName(slug, slug, ""), entry, at, at, row=row)


def song(minutes_ago: float, artist: str = "Ana Reis", album: str = "") -> Stored:
    return made("listen", minutes_ago, data={"track": "Janela", "artist": artist, "album": album})


def push(minutes_ago: float, repository: str = "tidepool", commits: int = 1) -> Stored:
    data = {"repository": repository, "branch": "main", "commits": [{"id": "1"}] * commits}
    return made("code", minutes_ago, data=data)


def shape(*entries: Stored) -> list[int]:
    """How many entries each card has."""
    return [len(one.members) if isinstance(one, Group) else 1 for one in gathered(entries, day_of)]


def test_three_listens_near_each_other_are_one_card_and_two_are_not() -> None:
    assert shape(song(0), song(20), song(40)) == [3]
    assert shape(song(0), song(20)) == [1, 1]
    assert shape(song(0), song(20), song(40.1)) == [1, 1, 1]


@pytest.mark.parametrize(("kind", "least", "gap"), [(kind, *(rule.least, rule.gap)) for kind, rule in [
    (kind, bursts.RULES[kind]) for kind in ("listen", "like", "follow", "photo")
]])  # fmt: skip
def test_each_kind_has_its_own_number_and_gap(kind: Kind, least: int, gap: int) -> None:
    near = [made(kind, number * gap / 60) for number in range(least)]
    far = [made(kind, number * (gap + 1) / 60) for number in range(least)]
    assert shape(*near) == [least]
    assert shape(*near[:-1]) == [1] * (least - 1)
    assert shape(*far) == [1] * least


def test_pushes_group_by_repository() -> None:
    assert shape(push(0), push(1, "letters"), push(59), push(60, "letters")) == [2, 2]
    assert shape(push(0), push(1, "letters")) == [1, 1]
    assert shape(made("code", 0), made("code", 1)) == [1, 1], "nobody knows of which repository they are"


@pytest.mark.parametrize("kind", ["article", "note", "release", "video", "checkin", "other"])
def test_what_deserves_a_card_of_its_own_never_groups(kind: Kind) -> None:
    assert shape(*(made(kind, number) for number in range(5))) == [1] * 5


@pytest.mark.parametrize("data", [{"content_warning": "Spiders"}, {"sensitive": True}], ids=["warned", "sensitive"])
def test_what_stands_behind_a_warning_never_groups(data: dict[str, Any]) -> None:
    assert shape(*(made("photo", number, data=data) for number in range(3))) == [1] * 3
    assert shape(made("photo", 0), made("photo", 1, data=data), made("photo", 2)) == [2, 1]


def test_what_stands_between_does_not_part_a_group_and_keeps_its_place() -> None:
    cards = gathered([song(0), made("note", 1), song(2), made("note", 3), song(4), made("note", 5)], day_of)
    assert [one.id for one in cards] == ["listen4a", "note1a", "note3a", "note5a"]
    group = cards[0]
    assert isinstance(group, Group)
    assert (group.newest.id, group.oldest.id, group.key, group.gap) == ("listen0a", "listen4a", "listen:a", 1200)


def test_sources_do_not_mix() -> None:
    assert shape(*(made("like", number, slug) for number, slug in enumerate("ababab"))) == [3, 3]


def test_midnight_parts() -> None:
    late = [song(12 * 60 + minutes) for minutes in (-6, -3, 0, 3, 6, 9)]
    assert shape(*late) == [3, 3]


def test_a_group_has_at_most_a_hundred_members() -> None:
    assert shape(*(song(number) for number in range(bursts.MOST + 3))) == [100, 3]


def test_a_group_that_grows_keeps_its_id() -> None:
    songs = [song(number) for number in range(6)]
    first, later = gathered(songs[2:], day_of)[0], gathered(songs, day_of)[0]
    assert first.id == later.id == songs[-1].id


def test_the_end_of_a_page_leaves_open_what_may_go_on() -> None:
    entries = [song(0), song(10), push(11), made("note", 29)]
    assert [run[0].entry.kind for run in unfinished(entries, day_of)] == ["listen", "code"]
    assert [run[0].entry.kind for run in unfinished([*entries, made("note", 31)], day_of)] == ["code"]
    assert unfinished([], day_of) == []


def test_the_rest_of_a_group_is_taken_only_if_there_is_a_group() -> None:
    assert rest_of([song(0)], [song(10), song(20), song(60)], day_of) == [song(10), song(20)]
    assert rest_of([song(0)], [song(10), song(60)], day_of) == []
    assert rest_of([push(0)], [push(1, "letters"), push(2)], day_of) == [push(2)]
    many = [song(number) for number in range(300)]
    assert len(rest_of(many[:90], many[90:], day_of)) == 10


KINDS: list[Kind] = ["listen", "note", "photo", "like", "code"]
streams = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 3000), st.sampled_from("ab")), max_size=60)


@given(streams)
def test_every_entry_is_on_exactly_one_card_and_cards_are_newest_first(drawn: list[tuple[Kind, int, str]]) -> None:
    entries = [
        made(kind, minutes, slug, row, data={"repository": "r"}) for row, (kind, minutes, slug) in enumerate(drawn)
    ]
    entries.sort(key=bursts.place_of, reverse=True)
    cards = gathered(entries, day_of)
    newest = [one.newest if isinstance(one, Group) else one for one in cards]
    assert newest == sorted(newest, key=bursts.place_of, reverse=True)
    members = [member for one in cards for member in (one.members if isinstance(one, Group) else (one,))]
    assert sorted(members, key=bursts.place_of, reverse=True) == entries
    for one in cards:
        if isinstance(one, Group):
            assert len({bursts.key_of(member) for member in one.members}) == 1
            assert len({day_of(member) for member in one.members}) == 1


# -- in words ---------------------------------------------------------------------------------


def group(*entries: Stored) -> Group:
    (found,) = gathered(entries, day_of)
    assert isinstance(found, Group)
    return found


def test_a_group_of_listens_names_who_was_played_most() -> None:
    played = [song(number, artist, album) for number, (artist, album) in enumerate([
        ("Salt Marsh Radio", "Estuary"), ("Ana Reis", ""), ("Salt Marsh Radio", "Estuary"), ("The Ferry", "Estuary"),
        ("Salt Marsh Radio", "Estuary"),
    ])]  # fmt: skip
    said = told(group(*played), "en")
    assert (said.title, said.more) == (
        "5 tracks by Salt Marsh Radio and 2 others",
        "Mostly the album Estuary, 4 minutes",
    )
    assert told(group(*played[:3]), "en").title == "3 tracks by Salt Marsh Radio and Ana Reis"
    assert told(group(song(0), song(0), song(0)), "en").title == "3 tracks by Ana Reis"
    nameless = [made("listen", number) for number in range(3)]
    assert told(group(*nameless), "en").title == "3 tracks"


def test_pushes_add_their_commits() -> None:
    said = told(group(push(0, commits=2), push(5, commits=3)), "en")
    assert (said.title, said.more) == ("5 commits to tidepool main", "in 2 pushes")


def test_likes_show_two_titles_and_count_the_rest() -> None:
    likes = [made("like", number, title=f"Title {number}") for number in range(8)]
    said = told(group(*likes), "en")
    assert (said.title, said.more) == ("Liked 8 things", "Title 0, Title 1 and 6 more")


def test_photos_count_pictures() -> None:
    pictures = tuple(Media("image/jpeg", f"https://a.example/{number}") for number in range(3))
    assert told(group(made("photo", 0, media=pictures), made("photo", 1)), "en").title == "4 photos"
