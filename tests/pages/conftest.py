"""What the tests in a browser share. Their marks say `loop_scope="module"`: a browser lives in one event loop."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from lifestream.config import Config
from tests.living import Living, living
from tests.pages.browser import chromium


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def stream(config: Config) -> AsyncIterator[Living]:
    """A site that is served, where nothing happens but what a test does."""
    async with living(config, background=False) as stream:
        yield stream
