"""The words by which a text is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.clean.words import LONGEST, folded, found_in, query_words, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Soft paws, SOFT!", ["soft", "paws", "soft"]),
        ("Caf\u00e9 cre\u0300me Stra\u00dfe \u0130zmir", ["cafe", "creme", "strasse", "izmir"]),
        ("snake_case and kebab-case v2.0", ["snake", "case", "and", "kebab", "case", "v2", "0"]),
        ("\u732b\u304c\u3044\u308b cat", ["\u732b", "\u304b\u3099"[:1], "\u3044", "\u308b", "cat"]),
        ("\u041c\u043e\u0441\u043a\u0432\u0430", ["\u043c\u043e\u0441\u043a\u0432\u0430"]),
        ("go\u2192on \u732bcat\u2605dog", ["go", "on", "\u732b", "cat", "dog"]),
        ("lone \ud800 half", ["lone", "half"]),
        ("\ufb01ne \u2460", ["fine", "1"]),
        ("", []),
        ("\U0001f600 !!!", []),
    ],
)
def test_case_accents_and_signs_do_not_matter(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_a_word_has_an_end() -> None:
    assert words_of("x" * 1000) == ["x" * LONGEST]
    assert words_of("\u0416" * 1000) == ["\u0436" * LONGEST]


@pytest.mark.parametrize(
    ("query", "found"),
    [("soft", True), ("PAW", True), ("soft paw", True), ("aws", False), ("soft dog", False), ("caf\u00e9", True)],
)
def test_each_word_of_the_query_begins_a_word_of_the_text(query: str, found: bool) -> None:
    assert found_in(query_words(query), folded("Soft paws in the cafe")) is found


@given(st.text())
def test_every_text_is_found_by_its_own_words(text: str) -> None:
    words = words_of(text)
    assert found_in(query_words(text), folded(text))
    assert words_of(" ".join(words)) == words
