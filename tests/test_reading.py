"""Documents that are large or broken are read elsewhere, and come back packed."""

from datetime import UTC, datetime

import pytest

from lifestream import reading
from lifestream.clean.columns import columns
from lifestream.clean.entries import clean, identify
from lifestream.errors import ParseError, ParseTimeout
from lifestream.parse import parse
from lifestream.parse.packed import SLICE, Packed
from lifestream.reading import IN_PLACE, clean_in_worker, read_document

URL = "https://b.example/feed"
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SMALL = b'<feed xmlns="http://www.w3.org/2005/Atom"><title>Small</title></feed>'
LARGE = (
    b"<rss><channel><title>Large</title><item><description>"
    + b"x" * IN_PLACE
    + b"</description></item></channel></rss>"
)
BROKEN = b"<rss><channel><title>Broken</title><item><title>AT&T</title></item></channel></rss>"


def many(count: int) -> bytes:
    """A document of so many entries, each with a picture and a link."""
    one = "".join(
        f"<entry><id>urn:{number}</id><title>Entry {number}</title><link href='/{number}'/>"
        f"<updated>2026-01-10T10:00:{number % 60:02}Z</updated><content type='html'>&lt;b&gt;{number}&lt;/b&gt; "
        f"&lt;img src='/{number}.jpg'&gt; {'words ' * 20}</content></entry>"
        for number in range(count)
    )
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><title>Many</title>{one}</feed>'.encode()


async def test_a_small_document_is_read_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "in_worker", None)
    assert (await read_document(SMALL, "", URL)).feed.title == "Small"


async def test_large_and_broken_documents_are_read_in_the_worker() -> None:
    assert (await read_document(LARGE, "", URL)).feed.title == "Large"
    broken = (await read_document(BROKEN, "", URL)).feed
    assert (broken.title, broken.damaged) == ("Broken", True)


async def test_what_is_no_feed_is_refused_from_the_worker_too() -> None:
    with pytest.raises(ParseError, match="HTML page"):
        await read_document(b"<!doctype html>" + b"x" * IN_PLACE, "", URL)


async def test_what_was_read_elsewhere_is_what_would_have_been_read_here() -> None:
    body = many(3 * SLICE + 7)
    here, there = parse(body, "", URL), await read_document(body, "", URL)
    assert isinstance(there.feed.entries, Packed)
    assert list(there.feed.entries) == list(here.entries)
    assert there.items == identify(here, URL)


async def test_entries_are_cleaned_elsewhere_as_they_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "AT_ONCE", SLICE)
    read = await read_document(many(3 * SLICE), "", URL)
    wanted = read.items[SLICE // 2 : -2][::-1]
    cleaned = await clean_in_worker(read.feed, URL, wanted, None, NOW)
    assert len(cleaned) == 3
    assert [one for packed in cleaned for one in packed] == [
        columns(clean(item, read.feed, URL, None, NOW)) for item in wanted
    ]


async def test_cleaning_is_given_up_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CLEAN_WITHIN", 0.0)
    read = await read_document(many(SLICE), "", URL)
    with pytest.raises(ParseTimeout):
        await clean_in_worker(read.feed, URL, read.items, None, NOW)
