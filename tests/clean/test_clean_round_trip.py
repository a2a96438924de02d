"""What is clean stays as it is: cleaned once more, or written into our own feed and read back."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifestream.clean.entries import clean, identify
from lifestream.clean.html import clean_html
from lifestream.parse import parse
from lifestream.types import Author, Entry, Feed, Location, Media, RawEntry, Text
from tests.fakes import AppClient
from tests.living import on_sqlite
from tests.stories import deletes, writes

DATA = Path(__file__).parent / "data"
SAMPLES = sorted(path for path in DATA.iterdir() if ".expected" not in path.name)
URL = "https://b.example/feed"
NOW = datetime(2026, 1, 6, tzinfo=UTC)
WORDS = st.text("aé中 <>&\"';/=#“”ß", min_size=1, max_size=30).filter(str.strip)
MOMENTS = st.datetimes(datetime(1996, 1, 1), datetime(2025, 1, 1), timezones=st.just(timezone(timedelta(hours=1))))


def cleaned_again(entry: Entry) -> Entry:
    raw = RawEntry(
        id="1",
        link=entry.url or "",
        title=Text(entry.title) if entry.title else None,
        content=Text(entry.content_html, html=True) if entry.content_html else None,
        published=entry.published.isoformat() if entry.published else "",
        author=entry.author,
        tags=entry.tags,
        media=entry.media,
        location=entry.location,
        in_reply_to=entry.in_reply_to,
        language=entry.language,
        data=entry.data,
    )
    feed = Feed("atom", entries=(raw,))
    return clean(identify(feed, URL)[0], feed, URL, None, NOW)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_cleaning_twice_changes_nothing(sample: Path) -> None:
    feed = parse(sample.read_bytes(), "", URL)
    for item in identify(feed, URL):
        once = clean(item, feed, URL, None, NOW)
        twice = cleaned_again(once)
        for field in ("content_html", "url", "published", "author", "tags", "media", "location", "in_reply_to"):
            assert getattr(twice, field) == getattr(once, field), field
        assert (twice.title, dict(twice.data)) == (once.title, dict(once.data)) or once.kind in ("code", "release")


@on_sqlite
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=WORDS, words=WORDS, tag=WORDS, name=WORDS, published=MOMENTS)
async def test_an_entry_that_is_written_is_read_back(
    client: AppClient, title: str, words: str, tag: str, name: str, published: datetime
) -> None:
    entry = Entry(
        kind="photo",
        title=" ".join(title.split()),
        url="https://me.example/walk?a=1&b=2",
        content_html=clean_html(f"<p>¶ <b>{words}</b></p>", URL),
        summary="¶",
        author=Author(" ".join(name.split()), "https://me.example/"),
        published=published.replace(microsecond=0),
        tags=(f"t {' '.join(tag.split())}",),
        media=(Media("image/jpeg", "https://me.example/1.jpg"),),
        location=Location(51.5, -0.12),
    )
    stored = await writes(client.site, **{name: getattr(entry, name) for name in Entry.__dataclass_fields__})
    feed = parse((await client.get("/feed.atom")).content, "", URL)
    read = clean(identify(feed, URL)[0], feed, URL, None, NOW)
    await deletes(client.site, stored)
    for field in ("kind", "title", "url", "content_html", "author", "published", "tags", "media", "location"):
        assert getattr(read, field) == getattr(entry, field), field
