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

from lifestream.parse import parse
from lifestream.protocol.links import parse_link_header
from lifestream.types import Author, Feed, Location, Media
from tests.fakes import AppClient
from tests.living import on_sqlite
from tests.stories import deletes, edits, has_source, shows_to, writes

ATOM = "{http://www.w3.org/2005/Atom}"


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


async def test_feedparser_reads_it_too(client: AppClient) -> None:
    await writes(client.site, "One", content_html="<p>Hello</p>")
    await writes(client.site, "Two", url="https://me.example/2")
    read = feedparser.parse(io.BytesIO((await get(client)).content))
    assert not read.bozo
    assert [one.title for one in read.entries] == ["Two", "One"]
    assert read.entries[1].content[0].value == "<p>Hello</p>"
    assert read.entries[0].link == "https://me.example/2"
    assert read.feed.title == "Mara's stream"


async def test_hub_and_self_are_in_the_document_and_in_the_headers(client: AppClient) -> None:
    base = client.site.config.base_url
    for path in ("/feed.atom", "/sources/notes/feed.atom"):
        answer = await get(client, path)
        read = parse(answer.content, answer.headers["content-type"], base + path)
        assert (read.hubs, read.self_url) == ((base + "/hub",), base + path)
        links = {rel: link.url for link in parse_link_header([answer.headers["link"]], base) for rel in link.rels}
        assert links == {"hub": base + "/hub", "self": base + path}
        assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
        assert answer.headers["access-control-allow-origin"] == "*"


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


@on_sqlite
async def test_an_empty_feed_is_a_feed(client: AppClient) -> None:
    assert (await feed(client)).entries == ()


@on_sqlite
async def test_head_has_the_headers_alone(client: AppClient) -> None:
    answer = await client.head("/feed.atom")
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
    etree.fromstring((await get(client)).content)


@pytest.mark.parametrize("kind", ["note", "like"])
@on_sqlite
async def test_an_entry_without_an_address_links_to_its_page_here(client: AppClient, kind: str) -> None:
    stored = await writes(client.site, "one", kind=kind)
    (entry,) = (await feed(client)).entries
    assert entry.link == f"{client.site.config.base_url}/entries/{stored.id}"
