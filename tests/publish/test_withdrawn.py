"""Whoever may see private things no longer, because his token or session ended, is shown none from that moment."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from lifestream.admin import set_password
from lifestream.config import Config
from lifestream.site import Site
from lifestream.store import owner
from lifestream.store.database import Store
from tests.living import Living, living, on_sqlite


async def by_the_api(stream: Living) -> None:
    answer = await stream.http.delete("/api/tokens/reader", headers=await stream.owners())
    assert answer.status_code == 204


async def by_another_process(stream: Living) -> None:
    """As the command does it."""
    store = Store(stream.config.database_url, stream.config.sqlite_path)
    async with store.begin() as db:
        await owner.revoke_token(db, "reader")
    await store.aclose()


async def by_a_new_password(stream: Living) -> None:
    other = Site.open(stream.config)
    await set_password(other, "correct horse battery")
    await other.aclose()


@on_sqlite
@pytest.mark.parametrize("ends", [by_the_api, by_another_process, by_a_new_password])
async def test_a_private_stream_ends_when_a_key_does(config: Config, ends: Callable[[Living], Awaitable[None]]) -> None:
    async with living(config, background=False) as stream:
        async with stream.site.store.begin() as db:
            token = await owner.create_token(db, "reader", "read", stream.site.now())
        address = stream.url.replace("http", "ws") + "/live"
        headers = {"Authorization": f"Bearer {token}"}
        async with connect(address) as anybody, connect(address, additional_headers=headers) as his:
            await stream.posts("before")
            while b"before" not in await his.recv(decode=False):
                pass
            await ends(stream)
            with pytest.raises(ConnectionClosed):
                async with asyncio.timeout(10):
                    while True:
                        await his.recv()
            assert his.close_code == 1012
            await stream.posts("after")
            while b"after" not in await anybody.recv(decode=False):
                pass
