"""The main job: a post on a static blog is on the open page a moment after the blog was published.

Pelican builds the blog, any web server serves it, one lifestream is its hub, another one follows it, and a browser
looks at that: each a process of its own, with nothing between them but HTTP.
"""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.e2e.processes import SOON, Process, curl
from tests.fakes import comes, serving
from tests.pages.browser import chromium, complaints_of

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SETTINGS = '''
from markdown_it import MarkdownIt
from pelican.readers import BaseReader


class Reader(BaseReader):
    """Markdown as Pelican has it, by a package that is here already."""

    enabled, file_extensions = True, ["md"]

    def read(self, path):
        head, _, text = open(path, encoding="utf-8").read().partition("\\n\\n")
        pairs = (line.partition(": ") for line in head.splitlines())
        metadata = {{name.lower(): self.process_metadata(name.lower(), value) for name, _, value in pairs}}
        return MarkdownIt().render(text), metadata


SITENAME, SITEURL, AUTHOR, TIMEZONE = "Mara writes", "{url}", "Mara", "Europe/Lisbon"
FEED_ALL_ATOM = "feeds/all.atom.xml"
READERS = {{"md": Reader}}
'''


class Blog:
    """A Pelican site in `folder`, served at `url`."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.feed = f"{url}/feeds/all.atom.xml"
        (folder / "content").mkdir()
        (folder / "pelicanconf.py").write_text(SETTINGS.format(url=url))

    def write(self, slug: str, title: str, text: str, day: int) -> None:
        words = f"Title: {title}\nSlug: {slug}\nDate: 2026-01-{day:02} 10:00\n\n{text}\n"
        (self.folder / "content" / f"{slug}.md").write_text(words)

    def build(self) -> None:
        command = [sys.executable, "-m", "pelican", "content", "-o", "output", "-s", "pelicanconf.py"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=60)


class HubLinks:
    """Names the hub in each feed's header, as one line in a web server's configuration does."""

    def __init__(self, app: ASGIApp, hub: list[str]) -> None:
        self.app, self.hub = app, hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_links(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["path"].endswith(".atom.xml"):
                host = dict(scope["headers"])[b"host"].decode()
                links = f'<{self.hub[0]}>; rel="hub", <http://{host}{scope["path"]}>; rel="self"'
                message["headers"] = [*message["headers"], (b"link", links.encode())]
            await send(message)

        await self.app(scope, receive, with_links)


@asynccontextmanager
async def blog_with_hub(folder: Path) -> AsyncIterator[tuple[Blog, str]]:
    """The blog with one old post, and the address of the hub that it names."""
    (folder / "output").mkdir(parents=True)
    hub: list[str] = []
    files = StaticFiles(directory=folder / "output", html=True)
    app = Starlette(routes=[Mount("/", files)], middleware=[Middleware(HubLinks, hub=hub)])
    async with serving(app) as url, Process(folder.parent / "hub", hub_topics=url) as hub_process:
        hub.append(f"{hub_process.url}/")
        blog = Blog(folder, url)
        blog.write("harbour", "The harbour at five", "Nobody talks before the first boat is *in*.", day=1)
        blog.build()
        yield blog, hub[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


async def source(client: httpx2.AsyncClient, slug: str) -> dict[str, Any]:
    answer = await client.get(f"/api/sources/{slug}")
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


async def test_a_post_is_on_the_open_page_a_moment_after_the_blog_was_published(
    tmp_path: Path, database: str, browser: Browser
) -> None:
    async with (
        blog_with_hub(tmp_path / "blog") as (blog, hub),
        Process(tmp_path, database_url=database, author="Mara", timezone="Europe/Lisbon") as stream,
        stream.client("owner") as client,
        await browser.new_page() as page,
    ):
        await stream.run("source", "add", blog.url, "--slug", "blog")

        async def pushed() -> bool:
            return bool((await source(client, "blog"))["state"] == "active")

        await comes(pushed, within=SOON)
        followed = await source(client, "blog")
        assert (followed["delivery"], followed["hub_url"], followed["topic"]) == ("websub", hub, blog.feed)
        assert (followed["feed_url"], followed["entry_count"]) == (blog.feed, 1)

        await page.add_init_script(
            "window.violations = [];"
            "addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective));"
        )
        complaints = complaints_of(page, stream.url)
        await page.goto(stream.url)
        await expect(page.locator("#live")).to_have_attribute("data-state", "live")
        await expect(page.locator("article")).to_have_count(1)
        await page.evaluate("window.same = 'document'")

        # A new post
        blog.write("maps", "Maps that are wrong", "An old map is a *letter*.", day=2)
        blog.build()
        assert await curl("-d", "hub.mode=publish", "-d", f"hub.url={blog.feed}", hub) == "204"
        post = page.locator("article", has_text="Maps that are wrong")
        await expect(post).to_be_visible()
        await expect(post).to_contain_text("An old map is a letter.")
        assert (await source(client, "blog"))["last_push"], "it came by the hub's push"

        # An edited one
        blog.write("maps", "Maps that are wrong", "An old map is a *decision*.", day=2)
        blog.build()
        assert await curl("-d", "hub.mode=publish", "-d", f"hub.url={blog.feed}", hub) == "204"
        await expect(post).to_contain_text("An old map is a decision.")
        await expect(page.locator("article")).to_have_count(2)

        # A deleted one
        id = await post.get_attribute("data-id")
        assert (await client.delete(f"/api/entries/{id}")).status_code == 204
        await expect(page.locator(f"#e-{id}")).to_have_text("This entry was deleted.")
        await expect(page.locator("article")).to_have_count(1)

        assert await page.evaluate("window.same") == "document", "the page was loaded once"
        assert await page.evaluate("window.violations") == []
        assert complaints == []

        # A removed source
        assert (await client.delete("/api/sources/blog")).status_code == 204
        await expect(page.locator("article")).to_have_count(0)
        await expect(page.get_by_text("This entry was deleted.")).to_have_count(2)
        assert complaints == []


async def test_the_page_is_whole_without_javascript(tmp_path: Path, browser: Browser) -> None:
    async with Process(tmp_path / "stream") as stream, await browser.new_page(java_script_enabled=False) as page:
        await stream.run("post", "Herons again.", "--title", "Low water")
        complaints = complaints_of(page, stream.url)
        await page.goto(stream.url)
        await expect(page.locator("article", has_text="Herons again.")).to_be_visible()
        await expect(page.locator("#live")).to_contain_text("As of")
        await page.get_by_role("link", name="Reload").click()
        await page.locator("article .u-url").first.click()
        await expect(page.locator("article", has_text="Low water")).to_be_visible()
        await page.goto(stream.url)
        await page.get_by_label("Search").fill("herons")
        await page.get_by_role("button", name="Search").click()
        await expect(page.locator("article")).to_have_count(1)
        assert complaints == []
