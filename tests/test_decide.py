"""What becomes of an entry: each rule with the story that needs it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

import pytest

from lifestream.clean.dates import parse_date
from lifestream.clean.entries import Identified, identify, tombstone_identities
from lifestream.decide import (
    CHURN_LIMIT,
    FEW,
    Decision,
    Delete,
    Insert,
    Known,
    Skip,
    Update,
    absences,
    decide,
    decide_document,
    without_old_versions,
)
from lifestream.parse import parse
from lifestream.types import Feed, RawEntry, Text, Tombstone

HOSTILE = Path(__file__).parent / "parse" / "data" / "hostile"
URL = "https://b.example/feed"
SUNDAY, MONDAY, TUESDAY = "2026-01-04T10:00:00Z", "2026-01-05T10:00:00Z", "2026-01-06T10:00:00Z"


def item(
    title: str = "t", *, id: str = "urn:1", link: str = "/1", updated: str = "", published: str = ""
) -> Identified:
    raw = RawEntry(id=id, link=link, title=Text(title), updated=updated, published=published)
    return identify(Feed("atom", entries=(raw,)), URL)[0]


def known(of: Identified, **changes: object) -> Known:
    stored = Known("1", of.identity, of.digest, of.link_key, of.title_key, of.published, of.updated)
    return replace(stored, **changes)  # type: ignore[arg-type]


def document(
    items: list[Identified], stored: list[Known], gone: dict[str, datetime | None] | None = None
) -> list[Decision]:
    by_link: dict[str, list[Known]] = {}
    for one in stored:
        by_link.setdefault(one.link_key, []).append(one)
    return decide_document(items, gone or {}, {k.identity: k for k in stored}, by_link)


def test_what_is_not_known_is_inserted() -> None:
    assert decide(item(), None) == Insert(item())


def test_what_is_unchanged_is_skipped_whatever_its_dates() -> None:
    assert decide(item(updated=TUESDAY), known(item(updated=MONDAY))) == Skip(
        item(updated=TUESDAY), "unchanged", known(item(updated=MONDAY))
    )


def test_what_changed_is_updated_and_counted() -> None:
    old = known(item("old"), churn=2)
    assert decide(item("new"), old) == Update(item("new"), old, 3)


def test_an_older_version_never_overwrites_a_newer_one() -> None:
    assert isinstance(decide(item("old", updated=MONDAY), known(item("new", updated=TUESDAY))), Skip)
    assert isinstance(decide(item("new", updated=TUESDAY), known(item("old", updated=MONDAY))), Update)


def test_a_version_without_a_date_is_not_older() -> None:
    assert isinstance(decide(item("new"), known(item("old", updated=TUESDAY))), Update)


def test_a_document_of_the_past_changes_only_what_it_dates_later() -> None:
    old = known(item("old", updated=MONDAY))
    versions = [item("new", updated=TUESDAY), item("new", updated=MONDAY), item("new")]
    decided = without_old_versions([decide(version, old) for version in versions], {})
    assert [type(one) for one in decided] == [Update, Skip, Skip]


def test_a_document_of_the_past_does_not_change_what_was_published_later() -> None:
    old = known(item("old", published=MONDAY), updated=None)
    versions = [item("new", updated=TUESDAY), item("new", updated=SUNDAY)]
    decided = without_old_versions([Update(version, old, 1) for version in versions], {})
    assert [type(one) for one in decided] == [Update, Skip]


def test_a_document_of_the_past_deletes_only_what_it_dates_later() -> None:
    stored = [known(item(id=name, link="/" + name, published=MONDAY)) for name in "abc"]
    gone = {one.identity: when for one, when in zip(stored, (TUESDAY, SUNDAY, ""), strict=True)}
    stones = {identity: parse_date(when) for identity, when in gone.items()}
    assert without_old_versions(document([], stored, stones), stones) == [Delete(stored[0])]


def test_what_changes_at_every_fetch_is_left_alone_in_the_end() -> None:
    assert isinstance(decide(item("new"), known(item("old"), churn=CHURN_LIMIT - 1)), Update)
    assert isinstance(decide(item("new"), known(item("old"), churn=CHURN_LIMIT)), Skip)


def test_what_the_owner_deleted_stays_deleted() -> None:
    old = known(item("old", updated=MONDAY), deleted_by="owner")
    assert isinstance(decide(item("new", updated=TUESDAY), old), Skip)
    assert isinstance(document([item("new", updated=TUESDAY)], [old])[0], Skip)


@pytest.mark.parametrize(("updated", "outcome"), [(TUESDAY, Update), (MONDAY, Skip), ("", Skip)])
def test_what_its_publisher_deleted_comes_back_only_when_updated_since(updated: str, outcome: type[Decision]) -> None:
    old = known(item("old", updated=MONDAY), deleted_by="source")
    assert isinstance(decide(item("new", updated=updated), old), outcome)


def test_a_tombstone_deletes_what_is_known_once() -> None:
    old = known(item())
    assert document([], [old], {old.identity: None}) == [Delete(old)]
    assert document([], [replace(old, deleted_by="source")], {old.identity: None}) == []
    assert document([], [replace(old, deleted_by="owner")], {old.identity: None}) == []


def test_a_tombstone_for_what_nobody_knows_deletes_nothing() -> None:
    assert document([], [known(item())], {"somebody else's": None}) == []


def test_a_tombstone_wins_over_the_entry_in_its_document() -> None:
    old = known(item(updated=MONDAY))
    both = document([item("new", updated=MONDAY)], [old], {old.identity: datetime(2026, 1, 6, tzinfo=UTC)})
    assert [type(one) for one in both] == [Skip, Delete]


def test_an_entry_updated_after_its_tombstone_is_back() -> None:
    old = known(item("old", updated=MONDAY), deleted_by="source")
    back = document([item("new", updated=TUESDAY)], [old], {old.identity: datetime(2026, 1, 6, tzinfo=UTC)})
    assert [type(one) for one in back] == [Update]


def test_an_old_tombstone_does_not_delete_what_was_updated_since() -> None:
    old = known(item(updated=TUESDAY))
    assert document([], [old], {old.identity: datetime(2026, 1, 5, tzinfo=UTC)}) == []


def test_a_tombstone_older_than_the_post_deletes_nothing() -> None:
    """The post was never updated: it has its date of publication only."""
    one = item(published=MONDAY)
    old = replace(known(one), updated=None)
    stone = {one.identity: parse_date(SUNDAY)}
    assert document([], [old], stone) == []
    assert document([one], [old], stone) == [Skip(one, "unchanged", old)]
    assert document([one], [], stone) == [Insert(one)]
    later = {one.identity: parse_date(TUESDAY)}
    assert [type(found) for found in document([one], [old], later)] == [Skip, Delete]
    assert [type(found) for found in document([one], [old], {one.identity: None})] == [Skip, Delete]


def test_an_entry_whose_id_moved_is_the_same_entry() -> None:
    old = known(item(id="http://b.example/1", published=MONDAY))
    moved = item(id="https://b.example/1", published=MONDAY)
    assert document([moved], [old]) == [Skip(moved, "unchanged", old)]
    edited = item("edited", id="https://b.example/1", published=MONDAY)
    assert document([edited], [old]) == [Update(edited, old, 1)]


def test_without_dates_the_title_says_whether_an_id_moved() -> None:
    old = known(item(id="a"))
    assert isinstance(document([item(id="b")], [old])[0], Skip)
    assert isinstance(document([item("other", id="b")], [old])[0], Insert)


def test_a_song_heard_again_is_another_entry() -> None:
    first = known(item("A - B", id="user#1", published=MONDAY))
    assert isinstance(document([item("A - B", id="user#2", published=TUESDAY)], [first])[0], Insert)


def test_what_the_owner_deleted_stays_so_under_another_id_and_date() -> None:
    gone = known(item("Party", id="a", published=MONDAY), deleted_by="owner")
    again = replace(item("Party", id="b", published=TUESDAY), own_page=True)
    assert document([again], [gone]) == [Skip(again, "deleted by the owner", gone)]
    assert isinstance(document([item("Another", id="b", published=TUESDAY)], [gone])[0], Insert)
    next_year = replace(again, published=parse_date("2027-01-05"))
    assert document([next_year], [gone]) == [Insert(next_year)]


def test_what_happens_on_one_page_again_and_again_is_not_swallowed_by_one_that_was_deleted() -> None:
    gone = known(item("Live now", id="a", published=MONDAY), deleted_by="owner")
    assert isinstance(document([item("Live now", id="b", published=TUESDAY)], [gone])[0], Insert)


def nameless(*titles: str) -> list[Identified]:
    """Entries without id and date: the first one on a page that stays, the others on pages of their own."""
    links = ["/1", *(f"/other/{title}" for title in titles[1:])]
    raws = [RawEntry(link=link, title=Text(title)) for link, title in zip(links, titles, strict=True)]
    return identify(Feed("rss", entries=tuple(raws)), URL)


def test_a_new_title_on_a_page_of_its_own_is_an_edit() -> None:
    before, after = nameless("Tipo", "B"), nameless("Typo", "B")
    stored = [known(one) for one in before]
    assert document(after, stored)[0] == Update(after[0], stored[0], 1)
    other = known(before[0], identity="another", title_key="")
    assert isinstance(document(after, [*stored, other])[0], Insert)  # the page has had two already


def test_a_document_of_one_entry_says_nothing_of_its_page() -> None:
    before, after = nameless("Reading A"), nameless("Reading B")
    assert isinstance(document(after, [known(before[0])])[0], Insert)


def test_a_song_whose_first_play_the_owner_deleted_can_be_heard_again() -> None:
    track = "https://fm.example/artist/A/track/B"
    gone = known(item("A - B", id="user#1", link=track, published=MONDAY), deleted_by="owner")
    assert isinstance(document([item("A - B", id="user#2", link=track, published=TUESDAY)], [gone])[0], Insert)


def test_an_id_that_is_still_in_the_document_has_not_moved() -> None:
    one, other = item(id="a"), item(id="b")
    assert document([one, other], [known(one)]) == [Skip(one, "unchanged", known(one)), Insert(other)]


def test_an_entry_is_the_new_home_of_one_id_only() -> None:
    old = known(item(id="a"))
    assert [type(one) for one in document([item(id="b"), item(id="c")], [old])] == [Skip, Insert]


def test_a_feed_that_moves_to_https_brings_nothing_new() -> None:
    before, after = (identify(parse((HOSTILE / f"id-change-{n}.xml").read_bytes(), "", URL), URL) for n in (1, 2))
    assert not {one.identity for one in before} & {one.identity for one in after}
    assert {type(one) for one in document(after, [known(one) for one in before])} == {Skip}


def test_a_storm_of_dates_changes_nothing() -> None:
    (one,) = identify(parse((HOSTILE / "dates-update-storm.atom").read_bytes(), "", URL), URL)
    assert document([one], [known(one, updated=datetime(2026, 1, 1, tzinfo=UTC))])[0] == Skip(
        one, "unchanged", known(one, updated=datetime(2026, 1, 1, tzinfo=UTC))
    )


def test_a_tombstone_of_another_source_finds_nothing_here() -> None:
    gone = tombstone_identities(Feed("atom", tombstones=(Tombstone("tag:flickr.com,2005:/photo/1"),)))
    assert document([], [known(item())], gone) == []


def numbered(count: int) -> list[Identified]:
    return [item(id=f"urn:{number}", link=f"/{number}") for number in range(count)]


def test_what_a_complete_document_leaves_out_is_gone() -> None:
    here, gone = item(id="a", link="/a"), item(id="b", link="/b")
    new, moved, was = item(id="c", link="/c"), item("m", id="new", link="/m"), item("m", id="old", link="/m")
    stored = [known(here), known(gone), known(was)]
    decisions = document([here, new, moved], stored)
    assert absences(decisions, stored) == [Delete(known(gone), "absence")]


def test_what_a_tombstone_deletes_is_not_deleted_twice() -> None:
    stored = [known(item(id="a", link="/a")), known(item(id="b", link="/b"))]
    decisions = document([item(id="b", link="/b")], stored, {stored[0].identity: None})
    assert [one.by for one in [*decisions, *absences(decisions, stored)] if isinstance(one, Delete)] == ["source"]


def test_a_few_or_half_may_be_gone_at_once_and_no_more() -> None:
    for count, most in ((1, 1), (FEW, FEW), (2 * FEW, FEW), (100, 50)):
        stored = [known(one) for one in numbered(count)]
        assert len(absences(document(numbered(count)[most:], stored), stored)) == most
        if most < count:
            assert absences(document(numbered(count)[most + 1 :], stored), stored) == []


def test_what_was_absent_and_is_there_again_is_back() -> None:
    one = item()
    assert decide(one, known(one, deleted_by="absence")) == Update(one, known(one, deleted_by="absence"), 0)


def test_a_very_long_document_is_decided_in_its_own_time() -> None:
    items = identify(Feed("atom", entries=tuple(RawEntry(id=f"urn:{number}") for number in range(30_000))), "")
    began = process_time()
    assert len(decide_document(items, {}, {}, {})) == 30_000
    assert process_time() - began < 2
