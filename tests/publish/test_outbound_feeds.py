"""Our own feeds: well-formed, complete, the same bytes until something changes, and nothing private in them."""

import io
import re
from datetime import UTC, datetime
from typing import Any

import feedparser
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from lifestream.clean.entries import clean, identify
from lifestream.parse import parse
from lifestream.protocol.links import parse_link_header
from lifestream.protocol.topics import Topic
from lifestream.publish.outbound_feeds import topic_of
from lifestream.types import Author, Cloud, Feed, Location, Media
from tests.fakes import AppClient
from tests.living import on_sqlite
from tests.stories import deletes, edits, has_source, shows_to, writes

ATOM = "{http://www.w3.org/2005/Atom}"
FORMATS = {
    "atom": "application/atom+xml; charset=utf-8",
    "rss": "application/rss+xml; charset=utf-8",
    "json": "application/feed+json",
}
in_each_format = pytest.mark.parametrize("format", FORMATS)


async def get(client: AppClient, path: str = "/feed.atom", **headers: str) -> Any:
    return await client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


async def feed(client: AppClient, path: str = "/feed.atom") -> Feed:
    answer = await get(client, path)
    assert answer.status_code == 200
    read = parse(answer.content, answer.headers["content-type"], str(answer.url))
    assert not read.damaged
    return read


def titles(read: Feed) -> list[str]:
    return [one.title.value for one in read.entries if one.title]


async def test_what_was_written_can_be_read_back(client: AppClient) -> None:
    when = datetime(2026, 3, 21, 14, 31, tzinfo=UTC)
    stored = await writes(
        client.site, "A <walk> & more", kind="photo", url="https://me.example/walk?a=1&b=2", published=when,
        content_html='<p>Through <a href="https://x.example/?a&amp;b">the</a> park</p>', summary="Through the park",
        tags=("park", "ünï"), author=Author("Mara", "https://me.example/"),
        location=Location(51.5, -0.12, "London"), media=(Media("image/jpeg", "https://me.example/1.jpg", 640, 480),),
    )  # fmt: skip
    (entry,) = (await feed(client)).entries
    assert entry.title and entry.title.value == "A <walk> & more"
    assert entry.link == "https://me.example/walk?a=1&b=2"
    assert entry.content and entry.content.value == stored.entry.content_html
    assert entry.content.html
    assert entry.published == "2026-03-21T14:31:00Z"
    assert entry.tags == ("park", "ünï")
    assert entry.author and (entry.author.name, entry.author.url) == ("Mara", "https://me.example/")
    assert entry.location and (entry.location.lat, entry.location.lon) == (51.5, -0.12)
    assert [one.url for one in entry.media] == ["https://me.example/1.jpg"]
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", entry.id)


@pytest.mark.parametrize("format", ["atom", "rss"])
@on_sqlite
async def test_feedparser_reads_it_too(client: AppClient, format: str) -> None:
    song = Media("audio/mpeg", "https://me.example/2.mp3")
    await writes(client.site, "One", content_html="<p>Hello</p>", location=Location(51.5, -0.12))
    await writes(client.site, "Two", url="https://me.example/2", author=Author("Anna"), tags=("a", "b"), media=(song,))
    read = feedparser.parse(io.BytesIO((await get(client, f"/feed.{format}")).content))
    assert not read.bozo
    assert [one.title for one in read.entries] == ["Two", "One"]
    two, one = read.entries
    assert one.content[0].value == "<p>Hello</p>"
    assert (one.where["type"], one.where["coordinates"]) == ("Point", (-0.12, 51.5))
    assert (two.link, two.author, [tag.term for tag in two.tags]) == ("https://me.example/2", "Anna", ["a", "b"])
    assert [one.href for one in two.enclosures] == ["https://me.example/2.mp3"]
    assert read.feed.title == "Mara's stream"


async def test_a_json_feed_is_what_its_specification_says(client: AppClient) -> None:
    picture = Media("image/jpeg", "https://me.example/1.jpg", 640, 480, "A cat")
    await writes(client.site, "", summary="Only words", media=(picture,), tags=("cat",))
    read = (await get(client, "/feed.json")).json()
    assert read["version"] == "https://jsonfeed.org/version/1.1"
    assert read["hubs"] == [{"type": "WebSub", "url": client.site.config.hub_url}]
    assert read["authors"] == [{"name": "Mara"}]
    (item,) = read["items"]
    assert (item["content_text"], item["image"], item["tags"]) == ("Only words", "https://me.example/1.jpg", ["cat"])
    assert item["attachments"] == [
        {"url": "https://me.example/1.jpg", "mime_type": "image/jpeg", "title": "A cat"}
    ]  # fmt: skip
    assert "title" not in item and "date_modified" not in item


async def test_an_rss_feed_names_a_cloud_and_the_source_of_each_entry(client: AppClient) -> None:
    await writes(client.site, "One")
    answer = await get(client, "/feed.rss")
    cloud = parse(answer.content, "", "").cloud
    assert cloud == Cloud("127.0.0.1", 8000, "/rsscloud/pleaseNotify", "http-post")
    source = etree.fromstring(answer.content).find("channel/item/source")
    assert (source.text, source.get("url")) == ("Notes", f"{client.site.config.base_url}/sources/notes/feed.rss")
    assert etree.fromstring((await get(client, "/sources/notes/feed.rss")).content).find("channel/item/source") is None


@in_each_format
@on_sqlite
async def test_hub_and_self_are_in_the_document_and_in_the_headers(client: AppClient, format: str) -> None:
    base = client.site.config.base_url
    for path in (f"/feed.{format}", f"/sources/notes/feed.{format}", f"/feed.{format}?kind=note&tag=cat"):
        answer = await get(client, path)
        read = parse(answer.content, answer.headers["content-type"], base + path)
        assert (read.hubs, read.self_url) == ((base + "/hub",), base + path)
        links = {rel: link.url for link in parse_link_header([answer.headers["link"]], base) for rel in link.rels}
        assert links == {"hub": base + "/hub", "self": base + path}
        assert answer.headers["content-type"] == FORMATS[format]
        assert answer.headers["access-control-allow-origin"] == "*"


@in_each_format
@on_sqlite
async def test_every_spelling_of_a_filter_is_answered_with_the_one_address(client: AppClient, format: str) -> None:
    await writes(client.site, "One", tags=("cat",))
    one = await get(client, f"/feed.{format}?kind=note&tag=cat")
    for spelling in ("tag=Cat&kind=note", "kind=note&tag=CAT&source=&utm_source=x", "tag=cat&q=&kind=note"):
        other = await get(client, f"/feed.{format}?{spelling}")
        assert (other.content, other.headers["etag"]) == (one.content, one.headers["etag"]), spelling
    by_source = await get(client, f"/sources/notes/feed.{format}")
    assert (await get(client, f"/feed.{format}?source=notes")).content == by_source.content
    assert (await get(client, f"/feed.{format}?kind=sandwich")).status_code == 400
    assert (await get(client, f"/feed.{format}?source=nobody&kind=note")).status_code == 404


@in_each_format
async def test_a_feed_shows_what_the_page_with_its_filter_shows(client: AppClient, format: str) -> None:
    await has_source(client.site, "diary")
    here = Location(51.5, -0.12, "London")
    await writes(client.site, "A kitten", kind="photo", tags=("Kitten",), location=here)
    await writes(client.site, "A puppy", "diary", kind="photo")
    for query, found in (
        ("kind=photo", ["A puppy", "A kitten"]), ("tag=kitten", ["A kitten"]), ("near=51.5,-0.12,10", ["A kitten"]),
        ("q=PUPPY", ["A puppy"]), ("kind=photo&source=diary", ["A puppy"]), ("kind=note", []),
    ):  # fmt: skip
        assert titles(await feed(client, f"/feed.{format}?{query}")) == found, query


@in_each_format
@on_sqlite
async def test_what_was_done_and_to_what_is_told(client: AppClient, format: str) -> None:
    about = {"url": "https://you.example/cat", "title": "A cat", "author": "Jo", "type": "photo"}
    await writes(client.site, "Mara liked a cat", kind="like", content_html="<p>Lovely</p>", data={"about": about})
    read = await feed(client, f"/feed.{format}")
    (item,) = identify(read, "https://me.example/")
    entry = clean(item, read, "https://me.example/", None, client.site.now())
    assert (entry.kind, entry.verb, entry.data["about"]) == ("like", "like", about)


async def test_what_leaves_a_filtered_feed_is_told_by_a_tombstone(client: AppClient) -> None:
    cat = await writes(client.site, "A cat", tags=("cat",))
    dog = await writes(client.site, "A dog", tags=("dog",))
    kitten = await writes(client.site, "A kitten", tags=("cat",))
    path = "/feed.atom?tag=cat"
    known = {entry.title.value: entry.id for entry in (await feed(client, path)).entries if entry.title}
    assert (await feed(client, path)).tombstones == ()
    await edits(client.site, cat, tags=("lion",))
    await deletes(client.site, kitten)
    read = await feed(client, path)
    assert titles(read) == []
    assert {gone.ref for gone in read.tombstones} == {known["A cat"], known["A kitten"]}
    assert titles(await feed(client)) == ["A dog", "A cat"]
    await edits(client.site, dog, tags=("cat",))
    assert titles(await feed(client, path)) == ["A dog"]


@on_sqlite
async def test_an_address_of_a_feed_of_ours_is_known_for_what_it_is(client: AppClient) -> None:
    config = client.site.config
    base = config.base_url
    for url, path in (
        (f"{base}/feed.atom", "/feed.atom"),
        (f"{base.replace('http:', 'https:')}/feed.atom", "/feed.atom"),
        (f"{base}/feed.rss?tag=Cat&kind=photo", "/feed.rss?kind=photo&tag=cat"),
        (f"{base}/feed.json?source=blog", "/sources/blog/feed.json"),
        (f"{base}/sources/blog/feed.json", "/sources/blog/feed.json"),
        (f"{base}/sources/blog/feed.json?q=x", "/feed.json?q=x&source=blog"),
        (f"{base}/feed.atom?kind=sandwich", ""),
        (f"{base}/feed.atom?near=1", ""),
        (f"{base}/feed.xml", ""),
        (f"{base}/sources/a/b/feed.atom", ""),
        ("https://elsewhere.example/feed.atom", ""),
        ("http://[/feed.atom", ""),
        ("", ""),
    ):
        topic = topic_of(config, url)
        assert (topic.path if topic else "") == path, url
    moved = config.model_copy(update={"base_url": "https://me.example/stream"})
    assert topic_of(moved, "http://ME.example:80/stream/feed.atom") == Topic()
    assert topic_of(moved, "https://me.example/feed.atom") is None


async def test_the_feed_has_all_that_atom_demands(client: AppClient) -> None:
    await writes(client.site, "", content_html="<p>Words without a title</p>", summary="Words without a title")
    root = etree.fromstring((await get(client)).content)
    assert root.tag == ATOM + "feed"
    for parent in (root, root.find(ATOM + "entry")):
        for name in ("id", "title", "updated"):
            assert parent.findtext(ATOM + name), f"{parent.tag} {name}"
    assert root.find(ATOM + "author") is not None


@on_sqlite
async def test_a_sources_feed_holds_that_source_only(client: AppClient) -> None:
    await has_source(client.site, "diary")
    await writes(client.site, "dear diary", "diary")
    await writes(client.site, "a note")
    assert titles(await feed(client)) == ["a note", "dear diary"]
    assert titles(await feed(client, "/sources/diary/feed.atom")) == ["dear diary"]
    assert (await get(client, "/sources/nobody/feed.atom")).status_code == 404


async def test_deleted_entries_are_told_by_tombstones(client: AppClient) -> None:
    one = await writes(client.site, "one")
    await writes(client.site, "two")
    told = {entry.title.value: entry.id for entry in (await feed(client)).entries if entry.title}
    await deletes(client.site, one)
    for path in ("/feed.atom", "/sources/notes/feed.atom"):
        read = await feed(client, path)
        assert titles(read) == ["two"]
        assert [gone.ref for gone in read.tombstones] == [told["one"]]
        assert datetime.fromisoformat(read.tombstones[0].when) <= client.site.now()


async def test_nothing_private_is_in_a_feed_but_that_it_is_gone(client: AppClient) -> None:
    await has_source(client.site, "diary")
    await has_source(client.site, "secrets", "private")
    one = await writes(client.site, "was public", "diary")
    gone = await writes(client.site, "was always secret", "secrets")
    await deletes(client.site, gone)
    await writes(client.site, "is secret", "secrets")
    await shows_to(client.site, "diary", "private")
    await edits(client.site, one, title="edited in private")
    answer = await get(client)
    assert b"secret" not in answer.content and b"in private" not in answer.content
    read = await feed(client)
    assert read.entries == ()
    assert len(read.tombstones) == 1, "only what the public had is said to be gone"
    for slug in ("diary", "secrets"):
        for key in ({}, await client.token("owner")):
            assert (await client.get(f"/sources/{slug}/feed.atom", headers=key)).status_code == 404
    assert b"secret" not in (await client.get("/feed.atom", headers=await client.token("owner"))).content


async def test_the_bytes_stay_until_something_changes(client: AppClient) -> None:
    one = await writes(client.site, "one")
    first = await get(client)
    again = await get(client)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    await edits(client.site, one, title="better")
    edited = await get(client)
    assert edited.headers["etag"] != first.headers["etag"]
    await deletes(client.site, one)
    assert (await get(client)).headers["etag"] not in (first.headers["etag"], edited.headers["etag"])


async def test_who_has_it_is_told_304(client: AppClient) -> None:
    await writes(client.site, "one")
    etag = (await get(client)).headers["etag"]
    assert etag != (await get(client, "/feed.rss")).headers["etag"]
    for given_tag in (etag, f"W/{etag}", f'"x", {etag}', f'"x",W/{etag} , "y"'):
        answer = await get(client, if_none_match=given_tag)
        assert (answer.status_code, answer.content) == (304, b""), given_tag
        assert answer.headers["etag"] == etag
    assert (await get(client, if_none_match='"x"')).status_code == 200
    await writes(client.site, "two")
    assert (await get(client, if_none_match=etag)).status_code == 200


@on_sqlite
async def test_a_feed_holds_the_newest_fifty(client: AppClient) -> None:
    for number in range(60):
        await writes(client.site, f"{number}")
    assert titles(await feed(client)) == [f"{number}" for number in range(59, 9, -1)]


@in_each_format
@on_sqlite
async def test_an_empty_feed_is_a_feed(client: AppClient, format: str) -> None:
    assert (await feed(client, f"/feed.{format}")).entries == ()


@in_each_format
@on_sqlite
async def test_head_has_the_headers_alone(client: AppClient, format: str) -> None:
    answer = await client.head(f"/feed.{format}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["etag"]


TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=40)


@on_sqlite
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=TEXT, words=TEXT, tag=TEXT)
async def test_whatever_the_words_are_the_feed_is_well_formed(
    client: AppClient, title: str, words: str, tag: str
) -> None:
    await writes(client.site, title, summary=words, content_html=words, tags=(tag,), in_reply_to=words)
    for path in ("/feed.atom", "/feed.rss"):
        etree.fromstring((await get(client, path)).content)
    assert (await get(client, "/feed.json")).json()


@in_each_format
@on_sqlite
async def test_an_entry_without_an_address_links_to_its_page_here(client: AppClient, format: str) -> None:
    stored = await writes(client.site, "one")
    (entry,) = (await feed(client, f"/feed.{format}")).entries
    assert entry.link == f"{client.site.config.base_url}/entries/{stored.id}"
