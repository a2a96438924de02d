"""Players that call a webhook: what they play is told live, and what was heard is a listen like any other."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from lifestream.protocol.listens import counts
from lifestream.store import listens
from tests.fakes import AppClient
from tests.hooks.deliveries import SECRET, sample
from tests.living import on_sqlite


async def hooks(client: AppClient, adapter: str) -> None:
    values = {"adapter": adapter, "slug": "music", "secret": SECRET}
    answer = await client.post("/api/hooks", json=values, headers=await client.token("owner"))
    assert answer.json()["source"] == "listens"
    assert f"{client.site.config.base_url}/hooks/music?token={SECRET}" in answer.json()["set_up"]


async def tells(client: AppClient, name: str) -> str:
    """By the address alone, as these players can."""
    one = sample(name)
    headers = {header: value for header, value in one.headers.items() if header != "authorization"}
    assert (await client.post("/hooks/music", content=one.body, headers=headers)).status_code == 403
    answer = await client.post(f"/hooks/music?token={SECRET}", content=one.body, headers=headers)
    assert answer.status_code == 200
    return answer.text


async def playing(client: AppClient) -> str | None:
    async with client.site.store.read() as db:
        track, _ = await listens.playing(db, client.site.now())
    return track["track"] if track else None


async def heard(client: AppClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get("/api/entries")).json()["entries"]
    return found


@pytest.mark.parametrize(
    ("start", "end", "ago"),
    [
        ("jellyfin/playback-start.json", "jellyfin/playback-stop.json", 305),
        ("plex/media-play.form", "plex/media-scrobble.form", 274),
    ],
    ids=["jellyfin", "plex"],
)
async def test_what_plays_is_told_and_what_was_heard_is_a_listen(
    client: AppClient, start: str, end: str, ago: int
) -> None:
    await hooks(client, start.partition("/")[0])
    assert await tells(client, start) == "Now playing: Björk – Jóga.\n"
    assert await playing(client) == "Jóga" and await heard(client) == []
    assert await tells(client, end) == "Posted to listens: 1 new.\n"
    assert await playing(client) is None
    (entry,) = await heard(client)
    assert (entry["kind"], entry["source"]["slug"], entry["title"]) == ("listen", "listens", "Björk – Jóga")
    assert entry["data"]["album"] == "Homogenic" and entry["data"]["duration"] == 305
    began = client.site.now() - datetime.fromisoformat(entry["published"])
    assert timedelta(0) <= began - timedelta(seconds=ago) < timedelta(seconds=30)
    assert "seen before" in await tells(client, end)
    assert len(await heard(client)) == 1


@on_sqlite
@pytest.mark.parametrize("name", ["jellyfin/playback-stop-early.json", "plex/media-pause.json"])
async def test_what_was_stopped_too_early_is_no_listen_and_plays_no_more(client: AppClient, name: str) -> None:
    adapter = name.partition("/")[0]
    await hooks(client, adapter)
    await tells(client, "jellyfin/playback-start.json" if adapter == "jellyfin" else "plex/media-play.json")
    assert await playing(client) == "Jóga"
    assert await tells(client, name) == "Stopped: Björk – Jóga.\n"
    assert await playing(client) is None and await heard(client) == []


@on_sqlite
async def test_the_same_listen_by_webhook_and_by_scrobbler_is_one_entry(client: AppClient) -> None:
    await hooks(client, "jellyfin")
    await tells(client, "jellyfin/playback-stop.json")
    at = int(client.site.now().timestamp()) - 303
    track = {"artist_name": "Bjork", "track_name": "Joga"}
    said = {"listen_type": "single", "payload": [{"listened_at": at, "track_metadata": track}]}
    headers = {"Authorization": f"Token {(await client.token('write'))['Authorization'].partition(' ')[2]}"}
    assert (await client.post("/1/submit-listens", json=said, headers=headers)).status_code == 200
    assert len(await heard(client)) == 1


@pytest.mark.parametrize(
    ("played", "lasts", "counted"),
    [(100, 200, True), (99, 200, False), (240, 3600, True), (239, 3600, False), (30, 30, False), (16, 31, True),
     (15, 31, False), (240, 0, True), (239, 0, False)],
)  # fmt: skip
def test_a_track_counts_from_its_half_or_after_four_minutes(played: int, lasts: int, counted: bool) -> None:
    assert counts(played, lasts) is counted
