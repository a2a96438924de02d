"""What others wrote, as real processes: Flask-WebSub as a hub that pushes to us, npm's pubsubhubbub as a subscriber."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select

from lifestream.config import Config
from lifestream.store.tables import HubSubscriberRow
from tests.documents import atom, entry
from tests.fakes import Publisher, comes, serving
from tests.living import Living, living, on_sqlite

pytestmark = on_sqlite

FLASK_HUB = Path(__file__).parents[2] / "bench" / "peers" / "flask_hub.py"
SUBSCRIBER = """
const subscriber = require("pubsubhubbub").createServer({callbackUrl: "http://127.0.0.1:" + process.argv[1]});
subscriber.on("listen", () => subscriber.subscribe(process.argv[2], process.argv[3], error => error && fail(error)));
subscriber.on("subscribe", data => console.log("subscribed " + data.topic));
subscriber.on("feed", data => console.log("given " + data.topic + " " + data.feed.toString("base64")));
subscriber.on("error", fail);
subscriber.on("denied", fail);
function fail(error) { console.log("failed " + JSON.stringify(error)); process.exit(1); }
subscriber.listen(Number(process.argv[1]));
"""


@asynccontextmanager
async def process(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.kill()
        await running.wait()


async def line(running: asyncio.subprocess.Process) -> str:
    assert running.stdout is not None
    return (await asyncio.wait_for(running.stdout.readline(), 20)).decode().strip()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def test_a_feed_is_pushed_to_us_by_flask_websubs_hub(config: Config) -> None:
    port, publisher = free_port(), Publisher()
    hub = f"http://127.0.0.1:{port}/hub"
    async with serving(publisher.app) as at, process(sys.executable, str(FLASK_HUB), str(port)) as running:
        assert await line(running) == "ready"
        publisher.publish("/feed", atom(entry(1)))
        publisher.headers["/feed"] = {"Link": f'<{hub}>; rel="hub", <{at}/feed>; rel="self"'}
        async with living(config) as stream, httpx2.AsyncClient(verify=False) as http:
            source = await stream.adds(at + "/feed")
            assert (source["delivery"], source["hub_url"]) == ("websub", hub)
            publisher.publish("/feed", atom(entry(2), entry(1)))
            answer = await http.post(hub, data={"hub.mode": "publish", "hub.topic": at + "/feed"})
            assert answer.status_code == 202
            await stream.shows("Post 2", "Post 1")
            assert (await stream.becomes("blog", lambda one: one["last_push"]))["delivery"] == "websub"


async def test_npms_pubsubhubbub_is_given_what_is_new(config: Config) -> None:
    node = shutil.which("node")
    found = node and subprocess.run(
        [node, "-e", 'require("pubsubhubbub")'], capture_output=True, env=os.environ, cwd=Path(__file__).parent
    )
    if not node or not found or found.returncode:
        missing_npm()
        return
    port = free_port()
    async with living(config) as stream:
        topic = stream.url + "/feed.atom"
        async with process(node, "-e", SUBSCRIBER, str(port), topic, stream.hub) as running:
            assert await line(running) == f"subscribed {topic}"
            await comes(lambda: subscribed(stream))
            await stream.posts("hello")
            assert (await line(running)).startswith(f"given {topic} ")


def missing_npm() -> None:
    """Not from an index at test time: nothing here leaves the machine."""

    warnings.warn("SKIPPED: npm's pubsubhubbub is not in NODE_PATH", stacklevel=2)
    pytest.skip("npm's pubsubhubbub is not in NODE_PATH")


async def subscribed(stream: Living) -> bool:
    async with stream.site.store.read() as db:
        return (await db.execute(select(HubSubscriberRow.id))).first() is not None
