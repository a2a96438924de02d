"""Scrobblers as people run them, against a lifestream in a process of its own; and what it acknowledged outlives it."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from hashlib import md5
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.processes import SOON, Process, environ, lifestream

pytestmark = pytest.mark.slow

# pylast speaks https only: here the proxy that every public site has in front of it is part of the client.
PYLAST = """
import sys, httpx2, pylast
url, token, now = httpx2.URL(sys.argv[1]), sys.argv[2], int(sys.argv[3])

class Proxy(httpx2.HTTPTransport):
    def handle_request(self, request):
        request.url = request.url.copy_with(scheme="http")
        return super().handle_request(request)

def network(password):
    made = pylast.LastFMNetwork(api_key="any", api_secret="any", proxy={"https://": Proxy()})
    made.ws_server = (f"{url.host}:{url.port}", "/scrobble/2.0/")
    made.session_key = pylast.SessionKeyGenerator(made).get_session_key("Alice", pylast.md5(password))
    return made

player = network(token)
player.update_now_playing("Sigur Rós", "Svefn-g-englar", album="Ágætis byrjun", duration=600)
player.scrobble("Sigur Rós", "Svefn-g-englar", now - 60, album="Ágætis byrjun", duration=600)
player.scrobble_many(
    [{"artist": "A & B", "title": f"<{number}>", "timestamp": now - 600 - 60 * number} for number in range(60)]
)
print(player.get_authenticated_user().get_name())
try:
    network("wrong").scrobble("A", "B", now)
except pylast.WSError as error:
    print(error.status, error.details)
"""
LISTENBRAINZ = """
import sys, liblistenbrainz
from liblistenbrainz.errors import InvalidAuthTokenException, ListenBrainzAPIException
url, token, now = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = liblistenbrainz.ListenBrainz(url)
client.set_auth_token(token)

def listen(title, at=None, **more):
    return liblistenbrainz.Listen(track_name=title, artist_name="Björk", listened_at=at, **more)

client.submit_playing_now(listen("Jóga", additional_info={"duration": 300}))
print(client.get_playing_now("anybody").track_name)
client.submit_single_listen(listen("Jóga", now - 60, release_name="Homogenic", tags=["ice"], spotify_id="https://x.example/1"))
client.submit_multiple_listens([listen(f"Hunter {number}", now - 600 - 60 * number) for number in range(3)])
print([one.track_name for one in client.get_listens("anybody", count=2)])
try:
    client.submit_single_listen(listen("Tomorrow", now + 86400))
except ListenBrainzAPIException as error:
    print(error.status_code, error.message)
try:
    client.set_auth_token("wrong")
except InvalidAuthTokenException:
    print("invalid")
"""


@pytest.fixture
async def stream(tmp_path: Path) -> AsyncIterator[Process]:
    async with Process(tmp_path / "stream", author="Mara") as stream:
        yield stream


async def token_of(stream: Process, name: str = "player") -> str:
    return (await stream.run("token", "create", name, "--scope", "scrobble")).strip()


async def runs(program: str, url: str, token: str) -> list[str]:
    """Runs a client of its own; gives the lines that it prints."""
    command = [sys.executable, "-c", program, url, token, str(int(time.time()))]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=6 * SOON)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


async def titles(stream: Process, **query: Any) -> list[str]:
    async with stream.client() as client:
        answer = await client.get("/api/entries", params={"limit": 200} | query)
        return [one["title"] for one in answer.json()["entries"]]


async def test_pylast(stream: Process) -> None:
    async with stream.live() as live:
        said = await runs(PYLAST, stream.url, await token_of(stream))
        await live.entry(lambda entry: entry["title"] == "Sigur Rós – Svefn-g-englar")
        playing = [one["track"] for one in live.heard if one["type"] == "playing"]
    assert said == ["Mara", "4 Authentication Failed - You do not have permissions to access the service"]
    assert {"artist": "Sigur Rós", "track": "Svefn-g-englar", "album": "Ágætis byrjun"} in playing
    expected = ["Sigur Rós – Svefn-g-englar"] + [f"A & B – <{number}>" for number in range(60)]
    assert await titles(stream) == expected


async def test_liblistenbrainz(stream: Process) -> None:
    """It keeps only the host of the address that it is given: `/1` is at the root too."""
    said = await runs(LISTENBRAINZ, f"{stream.url}/scrobble", await token_of(stream))
    assert said == ["Jóga", "['Jóga', 'Hunter 0']", "400 Value for key listened_at is too high.", "invalid"]
    assert await titles(stream) == ["Björk – Jóga", "Björk – Hunter 0", "Björk – Hunter 1", "Björk – Hunter 2"]
    assert await titles(stream, tag="ice") == ["Björk – Jóga"]


class Mpdscribble:
    """Does what mpdscribble does: keeps a journal, shakes hands when told to, sends again until it hears OK."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url, self.user = url, user
        self.password = md5(password.encode()).hexdigest()
        self.journal: list[tuple[str, str, int]] = []
        self.session = self.now_playing = self.submit = ""
        self.handshakes = 0

    async def plays(self, http: httpx2.AsyncClient, artist: str, title: str) -> None:
        form = {"s": self.session, "a": artist, "t": title, "b": "", "l": "34", "n": "", "m": ""}
        assert (await http.post(self.now_playing, data=form)).text == "OK\n"

    async def flush(self, http: httpx2.AsyncClient) -> None:
        """Sends the journal, ten at a time."""
        while self.journal:
            if not self.session:
                await self.shake_hands(http)
            batch = self.journal[:10]
            form = {"s": self.session}
            for number, (artist, title, at) in enumerate(batch):
                row = {"a": artist, "t": title, "l": "34", "i": str(at), "o": "P", "r": "", "b": "", "n": "", "m": ""}
                form |= {f"{name}[{number}]": value for name, value in row.items()}
            said = (await http.post(self.submit, data=form)).text
            if said == "BADSESSION\n":
                self.session = ""
            else:
                assert said == "OK\n"
                del self.journal[: len(batch)]

    async def shake_hands(self, http: httpx2.AsyncClient) -> None:
        time_ = str(int(time.time()))
        proof = md5((self.password + time_).encode()).hexdigest()
        query = {"hs": "true", "p": "1.2", "c": "mdc", "v": "0.24", "u": self.user, "t": time_, "a": proof}
        answer = (await http.get(self.url, params=query)).text
        assert answer.startswith("OK\n"), answer
        _, self.session, self.now_playing, self.submit = answer.splitlines()
        self.handshakes += 1


async def test_mpdscribble_and_kill_9_in_the_middle(stream: Process) -> None:
    player = Mpdscribble(f"{stream.url}/scrobble/", "alice", await token_of(stream))
    now = int(time.time())
    queue = [("Sigur Rós", f"track {number}", now - 60 * (24 - number)) for number in range(24)]
    newest_first = [f"{artist} – {title}" for artist, title, _ in reversed(queue)]
    async with stream.client() as http:
        await player.shake_hands(http)
        await player.plays(http, "Sigur Rós", "Svefn-g-englar")
        player.journal = queue[:12]
        await player.flush(http)
        stream.kill()
        await stream.start()
        assert await titles(stream) == newest_first[12:], "what was answered with OK is there"
        player.journal = queue[8:]
        await player.flush(http)
    assert player.handshakes == 1, "its session outlived the process"
    assert await titles(stream) == newest_first


async def test_no_secret_of_a_scrobbler_reaches_the_log(stream: Process) -> None:
    token = await token_of(stream)
    player = Mpdscribble(f"{stream.url}/scrobble/", "alice", token)
    async with stream.client() as http:
        await player.shake_hands(http)
        for query in ({"token": token}, {"token": "wrong"}):
            await http.get("/scrobble/1/validate-token", params=query)
        form = {"method": "track.scrobble", "sk": player.session, "artist": "A", "track": "T"}
        await http.post("/scrobble/2.0/", params=form, data={"timestamp": str(int(time.time()))})
        await http.get(f"/scrobble/{token}")
    assert token not in stream.log() and player.session not in stream.log()
    assert "listens" in stream.log()


async def test_a_new_token_for_scrobblers_comes_with_what_to_tell_them(tmp_path: Path) -> None:
    settings = environ(data_dir=str(tmp_path), base_url="https://stream.example")
    command = ("token", "create", "phone", "--scope", "scrobble")
    ended = await asyncio.to_thread(lifestream, *command, cwd=tmp_path, env=settings)
    assert ended.stdout.startswith("ls_") and ended.stdout.count("\n") == 1
    assert "API URL     https://stream.example/scrobble\n" in ended.stderr
    assert "API URL   https://stream.example/scrobble/2.0/\n" in ended.stderr
    assert ended.stdout.strip() not in ended.stderr
