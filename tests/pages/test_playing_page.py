"""What plays just now has a small place on the page: there from the start, kept up live, gone when it is over."""

from datetime import timedelta

import pytest
from playwright.async_api import Browser, expect

from lifestream.config import Config
from lifestream.protocol.listens import Listen, Track
from lifestream.store import bells, listens
from tests.fakes import AppClient
from tests.living import Living, living, on_sqlite
from tests.pages.browser import complaints_of


async def plays(stream: Living | AppClient, title: str) -> None:
    async with stream.site.store.begin(rings=[bells.LOG]) as db:
        await listens.play(db, Track("Björk & Co", title, album="Homogenic", seconds=300), stream.site.now())


@on_sqlite
async def test_the_page_comes_with_what_plays_and_never_from_before(client: AppClient) -> None:
    assert 'id="playing" hidden>' in (await client.get("/")).text
    await plays(client, "<Jóga>")
    page = (await client.get("/")).text
    assert "<bdi>&lt;Jóga&gt;</bdi> by <bdi>Björk &amp; Co</bdi>" in page
    ends = client.site.now() + timedelta(seconds=300)
    assert f'title="Homogenic" data-until="{ends:%Y-%m-%dT%H:%M}' in page
    await plays(client, "Hunter")
    assert "<bdi>Hunter</bdi>" in (await client.get("/")).text
    assert "Hunter" not in (await client.get("/?before=MA")).text
    async with client.site.store.begin() as db:
        await listens.record(db, [Listen(Track("Björk & Co", "Hunter"), client.site.now())], client.site.now())
    assert 'id="playing" hidden>' in (await client.get("/")).text


@on_sqlite
@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="module")
async def test_an_open_page_tells_what_begins_and_what_ends(config: Config, browser: Browser) -> None:
    async with living(config, background=False) as stream:
        await plays(stream, "Jóga")
        page = await browser.new_page()
        complaints = complaints_of(page, stream.url)
        await page.goto(stream.url)
        place = page.locator("#playing")
        await expect(place).to_have_text("Playing: Jóga by Björk & Co")
        await plays(stream, "Hunter")
        await expect(place).to_have_text("Playing: Hunter by Björk & Co")
        await expect(place).to_have_attribute("title", "Homogenic")
        async with stream.site.store.begin(rings=[bells.LOG]) as db:
            await listens.over(db, {Track("Björk & Co", "Hunter").key})
        await expect(place).to_be_hidden()
        assert complaints == []
        await page.close()


@on_sqlite
@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="module")
async def test_what_a_page_came_with_is_over_when_it_ends(config: Config, browser: Browser) -> None:
    """Also where nothing is told live: long polling, or no connection."""
    async with living(config, background=False) as stream:
        await plays(stream, "Jóga")
        page = await browser.new_page()
        await page.clock.install()
        await page.route("**/live.js*", lambda route: route.abort())
        await page.goto(stream.url)
        place = page.locator("#playing")
        await expect(place).to_be_visible()
        await page.clock.fast_forward(301_000)
        await expect(place).to_be_hidden()
        await page.close()
