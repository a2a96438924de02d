"""A static file at its hashed address may be kept for ever; at any other, by nobody."""

import pytest

from lifestream import static_files
from tests.fakes import AppClient
from tests.living import on_sqlite

KEPT = "public, max-age=31536000, immutable"


@on_sqlite
async def test_what_stands_beside_a_file_has_the_same_hash_in_its_address(client: AppClient) -> None:
    folder = static_files.address("style.css").removesuffix("style.css")
    for name in ("style.css", "live.js", "timeline.js", "icons.svg", "vendor/fonts/bricolage.woff2"):
        answer = await client.get(folder + name)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, KEPT), name


@on_sqlite
@pytest.mark.parametrize("path", ["/static/live.js", "/static/~0123456789ab/live.js"])
async def test_a_file_under_another_hash_is_given_and_not_kept(client: AppClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


@on_sqlite
@pytest.mark.parametrize(
    "path", ["nothing.js", "~0123456789ab/nothing.js", "~/%2e%2e%2f%2e%2e%2fpyproject.toml", "~0123456789ab/", ""]
)
async def test_there_is_nothing_else(client: AppClient, path: str) -> None:
    answer = await client.get(f"/static/{path}")
    assert answer.status_code == 404
    assert "immutable" not in answer.headers.get("cache-control", "")
