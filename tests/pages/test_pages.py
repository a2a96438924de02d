"""The public pages as a browser without script gets them."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

import pytest

from lifestream.types import Location, Media
from tests.fakes import AppClient
from tests.living import on_sqlite
from tests.stories import deletes, edits, gets_history, has_source, writes


class Page(HTMLParser):
    """What is on a page: its tags with their attributes, the entries it shows in their order, and where it links."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.status = answer.status_code
        self.headers = answer.headers
        self.text = answer.text
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def ids(self) -> list[str]:
        return [one["data-id"] for one in self.all("article")]

    @property
    def older(self) -> str | None:
        return next((one["href"] for one in self.all("a") if one.get("rel") == "next"), None)

    @property
    def main(self) -> dict[str, str]:
        return self.all("main")[0]


async def get(client: AppClient, path: str = "/") -> Page:
    return Page(await client.get(path))


async def test_the_timeline_is_newest_first(client: AppClient) -> None:
    made = [(await writes(client.site, f"number {number}")).id for number in range(3)]
    page = await get(client)
    assert page.status == 200
    assert page.ids == made[::-1]
    assert all(f"number {number}" in page.text for number in range(3))


@on_sqlite
async def test_newest_means_published_unless_that_cannot_be(client: AppClient) -> None:
    now = datetime.now(UTC)
    old = await writes(client.site, "old", published=now - timedelta(days=300))
    future = await writes(client.site, "from the future", published=now + timedelta(days=300))
    ancient = await writes(client.site, "from 1970", published=datetime(1970, 1, 1, tzinfo=UTC))
    assert (await get(client)).ids == [ancient.id, future.id, old.id]


async def test_paging_shows_every_entry_once(client: AppClient) -> None:
    await gets_history(client.site, *(f"{number}" for number in range(120)))
    seen: list[str] = []
    path: str | None = "/"
    pages = 0
    while path:
        page = await get(client, path)
        seen += page.ids
        path = page.older
        pages += 1
    assert pages == 3
    assert len(seen) == len(set(seen)) == 120


@on_sqlite
async def test_an_entry_that_comes_while_somebody_pages_moves_nothing(client: AppClient) -> None:
    await gets_history(client.site, *(f"{number}" for number in range(60)))
    first = await get(client)
    await writes(client.site, "new")
    assert first.older
    second = await get(client, first.older)
    assert len(second.ids) == 10
    assert not set(first.ids) & set(second.ids)


@on_sqlite
async def test_filters_are_links_and_can_be_combined(client: AppClient) -> None:
    await has_source(client.site, "diary")
    here = Location(51.5, -0.12, "London")
    cat = await writes(client.site, "A kitten", kind="photo", tags=("kitten",), location=here)
    dog = await writes(client.site, "A puppy", "diary", kind="photo", tags=("puppy",))
    for query, found in (
        ("kind=photo", {cat.id, dog.id}), ("source=diary", {dog.id}), ("tag=Kitten", {cat.id}),
        ("near=51.5,-0.12,10", {cat.id}), ("q=puppy", {dog.id}), ("kind=note", set()),
        ("kind=photo&source=notes&tag=kitten&near=51.5,-0.1,10&q=kitten", {cat.id}), ("kind=&q=", {cat.id, dog.id}),
    ):  # fmt: skip
        page = await get(client, "/?" + query)
        assert (page.status, set(page.ids)) == (200, found), query
    assert "/?tag=kitten" in [one.get("href") for one in (await get(client)).all("a")]


@pytest.mark.parametrize("query", ["kind=sandwich", "near=1,2", "before=x", "q=" + "x" * 300])
@on_sqlite
async def test_a_filter_that_makes_no_sense_is_said_on_a_page(client: AppClient, query: str) -> None:
    page = await get(client, "/?" + query)
    assert page.status == 400
    assert page.headers["content-type"].startswith("text/html")


@on_sqlite
async def test_the_page_says_where_its_stream_goes_on(client: AppClient) -> None:
    stored = await writes(client.site, "one", tags=("x",))
    page = await get(client, "/?tag=x&kind=note&before=")
    assert page.main["data-position"] == str(stored.seq)
    assert page.main["data-live-url"] == "/live?kind=note&tag=x"
    older = await get(client, "/?before=MS4x")
    assert "data-live-url" not in older.main, "history does not move"


async def test_an_entry_has_a_page_of_its_own(client: AppClient) -> None:
    stored = await writes(client.site, "A <walk>", content_html="<p>Through the park</p>", url="https://me.example/w")
    page = await get(client, f"/entries/{stored.id}")
    assert page.status == 200
    assert page.ids == [stored.id]
    assert "A &lt;walk&gt;" in page.text and "<p>Through the park</p>" in page.text
    base = client.site.config.base_url
    assert {"rel": "canonical", "href": f"{base}/entries/{stored.id}"} in page.all("link")
    edited = await edits(client.site, stored, title="A run")
    assert "A run" in (await get(client, f"/entries/{edited.id}")).text


async def test_a_deleted_entry_is_410_with_words_of_its_own(client: AppClient) -> None:
    stored = await writes(client.site, "secret words")
    await deletes(client.site, stored)
    page = await get(client, f"/entries/{stored.id}")
    assert page.status == 410
    assert "deleted" in page.text and "secret words" not in page.text
    assert (await get(client)).ids == []


@on_sqlite
async def test_what_is_not_there_is_404_on_a_page(client: AppClient) -> None:
    for path in ("/entries/nothing", "/sources/nothing", "/nothing", "/entries/%00", "/static/nothing.js"):
        page = await get(client, path)
        assert page.status == 404, path
        assert page.headers["content-type"].startswith("text/html"), path


@on_sqlite
async def test_a_source_has_a_page_of_its_own(client: AppClient) -> None:
    await has_source(client.site, "diary")
    dear = await writes(client.site, "dear diary", "diary")
    await writes(client.site, "a note")
    page = await get(client, "/sources/diary")
    assert page.ids == [dear.id]
    assert page.main["data-live-url"] == "/live?source=diary"
    assert "/sources/diary" in [one.get("href") for one in (await get(client, "/sources")).all("a")]


@on_sqlite
async def test_a_private_source_is_nowhere_for_strangers(client: AppClient) -> None:
    await has_source(client.site, "diary", "private")
    secret = await writes(client.site, "dear diary", "diary")
    for path in ("/", "/sources", "/?source=diary", "/?q=dear"):
        page = await get(client, path)
        assert "dear diary" not in page.text
        assert secret.id not in page.text
    assert (await get(client, "/sources/diary")).status == 404
    assert (await get(client, f"/entries/{secret.id}")).status == 404


async def everything(client: AppClient) -> list[Page]:
    await writes(
        client.site, "All at once", kind="photo", content_html="<p>x</p>",
        media=(Media("image/jpeg", "https://me.example/1.jpg", 640, 480, "a tree", "https://me.example/1t.jpg"),
               Media("audio/mpeg", "https://me.example/1.mp3"), Media("video/mp4", "https://me.example/1.mp4")),
        location=Location(51.5, -0.12), tags=("x",), url="https://me.example/",
    )  # fmt: skip
    (article,) = (await get(client)).ids
    paths = ["/", f"/entries/{article}", "/sources", "/sources/notes", "/hub", "/login", "/nothing"]
    return [await get(client, path) for path in paths]


@on_sqlite
async def test_nothing_on_a_page_is_loaded_from_elsewhere(client: AppClient) -> None:
    for page in await everything(client):
        for tag, attributes in page.tags:
            if tag in ("script", "img", "iframe", "source", "embed", "object"):
                for name in ("src", "srcset", "data"):
                    assert not urlsplit(attributes.get(name, "")).netloc, (tag, attributes)
            if tag == "link" and {"stylesheet", "icon", "modulepreload", "preload", "manifest"} & set(
                attributes.get("rel", "").split()
            ):
                assert not urlsplit(attributes["href"]).netloc, attributes


@on_sqlite
async def test_the_pages_keep_to_their_own_policy(client: AppClient) -> None:
    for page in await everything(client):
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert not page.all("style")
        for tag, attributes in page.tags:
            assert "style" not in attributes, (tag, attributes)
            assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
            assert not attributes.get("href", "").startswith("javascript:")
            if tag == "script" and attributes.get("type") != "application/ld+json":
                assert attributes["src"].startswith("/static/")
        assert not re.search(r"<script(?! type=.application/ld.json.)[^>]*>[^<]", page.text)


@on_sqlite
async def test_assets_are_there_and_kept_for_ever(client: AppClient) -> None:
    page = await get(client)
    assets = [one["src"] for one in page.all("script")]
    assets += [one["href"] for one in page.all("link") if one.get("rel") in ("stylesheet", "icon")]
    assert len(assets) >= 3
    for asset in assets:
        answer = await client.get(asset)
        assert answer.status_code == 200, asset
        assert "immutable" in answer.headers["cache-control"], asset


@on_sqlite
async def test_hub_and_feed_can_be_found_from_the_page(client: AppClient) -> None:
    page = await get(client)
    base = client.site.config.base_url
    links = {(one.get("rel"), one.get("href")) for one in page.all("link")}
    assert ("alternate", "/feed.atom") in links
    assert ("hub", f"{base}/hub") in links
    assert f'<{base}/hub>; rel="hub"' in page.headers["link"]


@on_sqlite
async def test_an_empty_stream_says_what_to_do(client: AppClient) -> None:
    page = await get(client)
    assert page.status == 200
    assert "set-up link" in page.text


@on_sqlite
async def test_head_is_get_without_the_page(client: AppClient) -> None:
    for path in ("/", "/sources", "/hub"):
        answer = await client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


@on_sqlite
async def test_the_processes_health_can_be_asked(client: AppClient) -> None:
    assert (await client.get("/healthz")).text == "ok\n"
    assert (await client.get("/readyz")).status_code == 200
    for task in client.app.state.tasks:
        task.cancel()

    async def noticed() -> bool:
        return (await client.get("/readyz")).status_code == 503

    assert await noticed() or await noticed()


async def test_many_who_come_to_an_empty_stream_do_not_wait_for_each_other(client: AppClient) -> None:
    async with asyncio.timeout(20):
        answers = await asyncio.gather(*(client.get("/") for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}


@on_sqlite
async def test_what_stands_behind_a_warning_is_named_by_the_warning_wherever_it_is_linked(client: AppClient) -> None:
    now = client.site.now()
    warned = {"content_warning": "Spiders", "sensitive": True}
    await writes(client.site, "Eight eyes", kind="article", summary="All of them on me", data=warned, published=now)
    plain = await writes(client.site, "Plain", kind="article", published=now - timedelta(minutes=5))
    for path in ("/", f"/entries/{plain.id}"):
        aside = re.sub(r"<article.*?</article>", "", (await get(client, path)).text, flags=re.S)
        assert "Spiders" in aside and "Eight eyes" not in aside, path
