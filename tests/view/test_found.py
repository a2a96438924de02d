import re

from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from lifestream.view.found import marked

META = '<p class="meta">harbour</p>'


def test_words_are_marked_as_the_search_finds_them() -> None:
    assert marked("<p>The Harbours, again.</p>", "harbour again") == (
        "<p>The <mark>Harbours</mark>, <mark>again</mark>.</p>"
    )
    assert marked("<p>Café</p>", "cafe") == "<p><mark>Café</mark></p>"
    assert marked("<p>overharbour</p>", "harbour") == "<p>overharbour</p>"
    assert marked("<p>nothing</p>", "!") == "<p>nothing</p>"


def test_markup_is_not_searched() -> None:
    card = '<a href="/harbour" title="a > harbour">x</a><svg><text>harbour</text></svg>'
    assert marked(card, "harbour href") == card
    assert marked(META + "<p>harbour</p>", "harbour") == META + "<p><mark>harbour</mark></p>"
    assert marked("<p>&amp; &lt;amp&gt;</p>", "amp lt") == "<p>&amp; &lt;<mark>amp</mark>&gt;</p>"


@given(st.text("<>&\"'/=abc é", max_size=40), st.text("abc&<", min_size=1, max_size=5))
def test_marking_adds_marks_and_changes_nothing_else(text: str, query: str) -> None:
    card = f'<p title="{escape(text)}">{escape(text)}</p>'
    assert re.sub("</?mark>", "", marked(card, query)) == card
