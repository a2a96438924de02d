"""What is undone and taken out of a text before anybody reads it, and nothing besides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.parse.document import safe_text
from lifestream.parse.encodings import undouble

ILLEGAL = {*map(chr, range(0x20)), *map(chr, range(0xD800, 0xE000)), "\ufffe", "\uffff"} - set("\t\n\r")
edges = st.sampled_from([*"\x00\x08\t\n\x0b\r\x1f \x7f\x80\ud7ff\ud800\udfff\ue000\ufffd\ufffe\uffff\U0001fffe한ﬀa"])


@given(st.lists(edges, max_size=8).map("".join))
def test_what_xml_cannot_hold_is_taken_out_and_nothing_else(text: str) -> None:
    assert safe_text(text) == "".join(character for character in text if character not in ILLEGAL)


@pytest.mark.parametrize(
    "text", ["é", "café", "‘q“ é", "ÃÃ é", "ÀÂÃÄÅÆÇÈÉÊËÌÎÑÒÓÔÕÖ×ØÙÚÛÜÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ"]
)
def test_utf_8_that_was_encoded_once_more_is_undone(text: str) -> None:
    assert undouble(text.encode().decode("windows-1252").encode()) == text.encode()


@pytest.mark.parametrize("text", ["SÃO PAULO é", "Ã", "Ã© 中", "Ãé", "aƒb", ""])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert undouble(text.encode()) == text.encode()


@given(st.text(st.sampled_from("Ã€éa¿ÿŒˆƒ中Â©”\x81\xa0"), max_size=6))
def test_what_is_undone_had_to_be(text: str) -> None:
    """By the definition: all of it fits into windows-1252, and is UTF-8 there."""
    body = text.encode()
    try:
        once = text.encode("windows-1252")
        once.decode()
    except UnicodeError:
        once = body
    assert undouble(body) == (once if "Ã" in text else body)
