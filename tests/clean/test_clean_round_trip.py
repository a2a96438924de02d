"""What is clean stays as it is: cleaned once more, or written into our own feed and read back."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifestream.clean.entries import clean, identify
from lifestream.clean.html import clean_html
from lifestream.parse import parse
from lifestream.types import Author, Entry, Feed, Kind, Location, Media, RawEntry, Text
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


KINDS = ("photo", "audio", "reply", "listen", "watch", "release", "like", "checkin", "event", "code", "follow")
KEPT = (
    "kind", "title", "url", "content_html", "author", "published", "updated", "tags", "media", "location",
    "in_reply_to", "language",
)  # fmt: skip


@on_sqlite
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=WORDS, words=WORDS, tag=WORDS, name=WORDS, published=MOMENTS, kind=st.sampled_from(KINDS))
async def test_an_entry_that_is_written_is_read_back(
    client: AppClient, title: str, words: str, tag: str, name: str, published: datetime, kind: Kind
) -> None:
    entry = Entry(
        kind=kind,
        title=" ".join(title.split()),
        url="https://me.example/walk?a=1&b=2",
        content_html=clean_html(f"<p>¶ <b>{words}</b></p>", URL),
        summary="¶",
        author=Author(" ".join(name.split()), "https://me.example/", "https://me.example/face.jpg"),
        published=published.replace(microsecond=0),
        updated=published.replace(microsecond=0) + timedelta(hours=1),
        tags=(f"t {' '.join(tag.split())}",),
        media=(
            Media("image/jpeg", "https://me.example/1.jpg", 640, 480, f"a {' '.join(name.split())}"),
            Media("image/png", "https://me.example/2", 64, 48, "", "https://me.example/small"),
        ),
        location=Location(51.5, -0.12, f"in {' '.join(name.split())}"),
        in_reply_to="https://you.example/?a&b" if kind == "reply" else "",
        language="pt-BR",
    )
    stored = await writes(client.site, **{name: getattr(entry, name) for name in Entry.__dataclass_fields__})
    documents = {path: (await client.get(path)).content for path in ("/feed.atom", "/feed.rss", "/feed.json")}
    await deletes(client.site, stored)
    for path, document in documents.items():
        feed = parse(document, "", URL)
        assert not feed.damaged
        read = clean(identify(feed, URL)[0], feed, URL, None, NOW)
        for field in KEPT:
            assert getattr(read, field) == getattr(entry, field), (path, field)
