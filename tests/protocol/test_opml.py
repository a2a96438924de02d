"""Lists of feeds: what every reader writes is read, and what we write is read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.errors import ParseError
from lifestream.protocol import opml
from lifestream.protocol.opml import Outline

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20).map(lambda text: " ".join(text.split()))


@given(title=WORDS, names=st.lists(WORDS, min_size=1, max_size=5), private=st.booleans())
def test_what_is_written_is_read_back(title: str, names: list[str], private: bool) -> None:
    outlines = tuple(
        Outline(
            f"https://{n}.example/feed?a=1&b=2", opml._legal(name), "https://x.example/", f"s-{n}", "photo", private
        )
        for n, name in enumerate(names)
    )
    assert opml.read(opml.write(title, "Mara", outlines)) == outlines


def test_folders_are_walked_and_each_address_counts_once() -> None:
    found = opml.read(
        b"""<?xml version="1.0"?><opml version="1.1"><head/><body>
        <outline text="Friends"><outline type="rss" text="Jo" XMLURL="https://jo.example/feed"/>
        <outline text="Again" xmlUrl="https://jo.example/feed"/><outline text="no feed" htmlUrl="https://x.example/"/>
        </outline><outline title="T" text="t" xmlUrl=" https://t.example/ " htmlUrl="https://t.example/about"/>
        </body></opml>"""
    )
    assert found == (
        Outline("https://jo.example/feed", "Jo"),
        Outline("https://t.example/", "T", "https://t.example/about"),
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not OPML"),
        (b"{}", "not OPML"),
        (b"<opml><body>", "not OPML"),
        (b"<rss/>", "<rss>"),
        (b"<opml><body><outline text='x'/></body></opml>", "no feed"),
        (b"<!DOCTYPE o [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><opml><outline text='&x;'/></opml>", "not OPML"),
    ],
    ids=["nothing", "json", "cut off", "rss", "no feeds", "an entity"],
)
def test_what_is_no_list_of_feeds_is_said(body: bytes, words: str) -> None:
    with pytest.raises(ParseError, match=words):
        opml.read(body)
