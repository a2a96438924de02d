from datetime import date

import pytest

from lifestream.types import KINDS
from lifestream.view import words
from lifestream.view.sentence import of_past_day, of_quiet_day, of_today, text_of

SATURDAY = date(2026, 11, 21)


def today(amounts: dict[str, int], author: str = "Mara", lang: str = "en") -> str:
    return text_of(of_today(amounts, author=author, lang=lang))


def test_a_day_is_told_in_one_sentence() -> None:
    assert (
        today({"listen": 22, "photo": 3, "code": 5})
        == "Today Mara took 3 photos, pushed 5 commits and played 22 songs."
    )
    assert today({"note": 2, "listen": 1}) == "Today Mara wrote 2 notes and played 1 song."
    assert today({"article": 1}) == "Today Mara wrote 1 post."


def test_the_most_telling_kinds_come_first_and_there_are_at_most_three() -> None:
    everything = dict.fromkeys(KINDS, 2)
    assert today(everything) == "Today Mara wrote 2 posts, published 2 releases and took 2 photos."


def test_without_a_name_the_sentence_is_neutral() -> None:
    assert today({"photo": 3, "listen": 1}, author="") == "Today: 3 photos and 1 song."


def test_lists_are_written_as_where_the_owner_lives() -> None:
    amounts = {"photo": 3, "code": 5, "listen": 22}
    assert "5 commits and played" in today(amounts, lang="en-GB")
    assert "5 commits, and played" in today(amounts, lang="en-US")
    assert "5 commits and played" in today(amounts, lang="pt-PT"), "the words are English, so the list is"


@pytest.mark.parametrize(("last", "when"), [
    (date(2026, 11, 20), "Yesterday"), (date(2026, 11, 16), "On Monday"), (date(2026, 11, 14), "On 14 November 2026"),
])  # fmt: skip
def test_a_quiet_day_tells_of_the_last_one(last: date, when: str) -> None:
    said = of_quiet_day(last, {"photo": 2}, SATURDAY, author="Mara", lang="en")
    assert text_of(said) == f"Nothing yet today. {when} Mara took 2 photos."


def test_the_past_is_told_in_the_past_tense() -> None:
    said = of_past_day(SATURDAY, {"note": 1200}, author="Mara", lang="en")
    assert text_of(said) == "On Saturday 21 November 2026 Mara wrote 1,200 notes."
    assert "nothing happened" in text_of(of_past_day(SATURDAY, {}, author="Mara", lang="en"))


def test_every_number_is_a_part_that_knows_how_to_change() -> None:
    part = next(part for part in of_today({"photo": 3}, author="Mara", lang="en") if part.kind)
    assert (part.kind, part.text, part.one, part.many) == ("photo", "3 photos", "photo", "photos")


def test_there_is_a_word_for_what_is_done_with_every_kind() -> None:
    assert set(words.DOINGS) == set(KINDS) == set(words.LABELS) == set(words.PLURALS)
