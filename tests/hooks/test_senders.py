"""The senders do what they say with a hub on a real socket, and their callers go on whatever becomes of it."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tests.conftest import missing_service
from tests.fakes import SOON, serving

TOP = Path(__file__).parents[2]
SENDERS = TOP / "hooks" / "senders"
SCRIPTS = ("publish", "post-receive", "publish-site", "mpd-listens")
SHELL = shutil.which("dash") or shutil.which("sh") or "sh"
FEED = "https://blog.example/feed.xml"
ODD = ["https://blog.example/an odd/größe.xml?a=1&b=2;c=%20#d", "https://blog.example/'\"$(id)`id`\\n*+{1}[2]"]

Ended = subprocess.CompletedProcess[str]


@dataclass
class Hub:
    """Takes what it is sent, and says `status` to it; to the first so many requests it says 503."""

    url: str = ""
    status: int = 204
    busy_for: int = 0
    requests: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        self.requests.append((request.url.path, dict(request.headers), (await request.body()).decode()))
        return Response(status_code=503 if len(self.requests) <= self.busy_for else self.status)

    @property
    def pings(self) -> list[list[str]]:
        """The feeds that each ping named."""
        forms = [parse_qsl(body, keep_blank_values=True, strict_parsing=True) for _, _, body in self.requests]
        assert all(form[0] == ("hub.mode", "publish") for form in forms)
        assert all(headers["content-type"] == "application/x-www-form-urlencoded" for _, headers, _ in self.requests)
        return [[value for name, value in form if name == "hub.url"] for form in forms]

    @property
    def listens(self) -> list[dict[str, Any]]:
        """What was submitted, but for what just began to play."""
        said = [json.loads(body) for _, _, body in self.requests]
        return [one for listens in said if listens["listen_type"] == "single" for one in listens["payload"]]


@asynccontextmanager
async def a_hub(status: int = 204) -> AsyncIterator[Hub]:
    hub = Hub(status=status)
    async with serving(Starlette(routes=[Route("/{path:path}", hub.answer, methods=["POST"])])) as url:
        hub.url = f"{url}/"
        yield hub


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with a_hub() as hub:
        yield hub


@contextmanager
def nobody_answers(listens: bool) -> Iterator[str]:
    """An address where nobody listens, or where connections are taken and nothing is ever said."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        if listens:
            deaf.listen()
        yield f"http://127.0.0.1:{deaf.getsockname()[1]}/"


@pytest.fixture(params=["down", "hanging", "answering 500"])
async def failing_hub(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    if request.param == "answering 500":
        async with a_hub(status=500) as hub:
            yield hub.url
    else:
        with nobody_answers(listens=request.param == "hanging") as url:
            yield url


@pytest.fixture(params=["curl", "wget"])
def only(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A PATH with one of the two programs that speak HTTP."""
    return path_with(tmp_path, request.param)


def path_with(tmp_path: Path, *programs: str) -> str:
    """A PATH with these programs, and what every system has."""
    folder = tmp_path / "path"
    folder.mkdir()
    for name in (*programs, "awk"):
        if (program := shutil.which(name)) is None:
            missing_service("hooks/senders", f"{name} is not installed")
        else:
            (folder / name).symlink_to(program)
    return str(folder)


async def run(*command: str | Path, within: str = "5", cwd: Path = TOP, **environ: str) -> Ended:
    """Runs a command to its end, which must come soon."""
    return await asyncio.to_thread(
        subprocess.run, list(map(str, command)), env=os.environ | {"LIFESTREAM_TIMEOUT": within} | environ, cwd=cwd,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SOON,
    )  # fmt: skip


async def send(script: str, *arguments: str | Path, within: str = "5", **environ: str) -> Ended:
    return await run(SHELL, SENDERS / script, *arguments, within=within, **environ)


def was_quiet(ended: Ended) -> bool:
    return (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


# All of them


@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_sender_is_plain_sh_and_can_be_run(script: str) -> None:
    assert was_quiet(await run(SHELL, "-n", SENDERS / script))
    assert os.access(SENDERS / script, os.X_OK)
    assert (SENDERS / script).read_text().startswith("#!/bin/sh\n")


def test_every_sender_says_how_it_is_installed_and_is_in_the_guide() -> None:
    files = [path for path in SENDERS.iterdir() if path.is_file()]
    guide = (TOP / "docs" / "senders.md").read_text()
    assert [path.name for path in files if "\n# Install" not in path.read_text()] == []
    assert [path.name for path in files if f"`{path.name}`" not in guide] == []


@pytest.mark.parametrize("script", ["publish", "publish-site", "mpd-listens"])
async def test_a_sender_that_is_called_wrongly_says_one_line_and_fails_nobody(script: str) -> None:
    ended = await send(script, "https://stream.example/")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.count("\n") == 1


# publish


async def test_publish_names_all_feeds_in_one_ping(hub: Hub, only: str) -> None:
    feeds = [FEED, "https://blog.example/notes.xml", *ODD]
    assert was_quiet(await send("publish", hub.url, *feeds, PATH=only))
    assert hub.pings == [feeds]


async def test_publish_sends_many_feeds_in_several_pings(hub: Hub) -> None:
    feeds = [f"https://blog.example/{number}.xml" for number in range(120)]
    assert was_quiet(await send("publish", hub.url, *feeds))
    assert [len(ping) for ping in hub.pings] == [50, 50, 20]
    assert [feed for ping in hub.pings for feed in ping] == feeds


async def test_publish_is_quiet_when_the_hub_fails(failing_hub: str, only: str) -> None:
    assert was_quiet(await send("publish", failing_hub, FEED, within="0.2", PATH=only))


async def test_a_ping_goes_where_the_hubs_address_redirects(hub: Hub) -> None:
    moved = Starlette(routes=[Route("/", lambda request: RedirectResponse(hub.url, 301), methods=["POST"])])
    async with serving(moved) as url:
        assert was_quiet(await send("publish", url, FEED))
    assert hub.pings == [[FEED]]


async def test_publish_says_so_where_nothing_speaks_http(hub: Hub, tmp_path: Path) -> None:
    ended = await send("publish", hub.url, FEED, PATH=path_with(tmp_path))
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr == "publish: there is neither curl nor wget here\n"


async def test_publish_tells_a_person_at_a_terminal_what_went_wrong() -> None:
    terminal, its_end = os.openpty()
    with nobody_answers(listens=False) as url:
        command = [SHELL, str(SENDERS / "publish"), url, FEED]
        assert await asyncio.to_thread(subprocess.call, command, stderr=its_end, timeout=SOON) == 0
    assert f"{url} was not told".encode() in os.read(terminal, 1000)
    os.close(terminal)
    os.close(its_end)


# post-receive


@dataclass
class Repository:
    """A bare repository with the hook, and a clone that pushes to it."""

    bare: Path
    clone: Path

    async def git(self, *arguments: str, within: str = "5") -> Ended:
        who = {"GIT_AUTHOR_NAME": "Mara", "GIT_AUTHOR_EMAIL": "mara@example.org"}
        who |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()}
        nobody_elses = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        ended = await run("git", *arguments, cwd=self.clone, within=within, **who, **nobody_elses)
        assert ended.returncode == 0, ended.stderr
        return ended

    async def tell(self, hub: str, *feeds: str) -> None:
        await self.git("-C", str(self.bare), "config", "lifestream.hub", hub)
        for feed in feeds:
            await self.git("-C", str(self.bare), "config", "--add", "lifestream.feed", feed)

    async def push(self, ref: str = "main", within: str = "5") -> Ended:
        await self.git("commit", "--quiet", "--allow-empty", "-m", "Read tables whose year has two digits")
        return await self.git("push", "--quiet", str(self.bare), f"HEAD:{ref}", within=within)


@pytest.fixture
async def repository(tmp_path: Path) -> Repository:
    if shutil.which("git") is None:
        missing_service("post-receive", "git is not installed")
    there = Repository(tmp_path / "tide pool.git", tmp_path / "clone")
    there.clone.mkdir()
    await there.git("init", "--quiet", "--bare", "--template=", str(there.bare))
    await there.git("init", "--quiet", "--initial-branch=main")
    (there.bare / "hooks").mkdir()
    for name in ("post-receive", "publish"):
        shutil.copy(SENDERS / name, there.bare / "hooks")
    return there


def linked(repository: Repository) -> None:
    """Installed the other way: the hook is a link to where the senders lie together."""
    for name in ("post-receive", "publish"):
        (repository.bare / "hooks" / name).unlink()
    (repository.bare / "hooks" / "post-receive").symlink_to(SENDERS / "post-receive")


@pytest.mark.parametrize("install", [lambda repository: None, linked], ids=["copied", "linked"])
async def test_a_push_tells_the_hub_of_the_repositorys_feeds(
    hub: Hub, repository: Repository, install: Callable[[Repository], None]
) -> None:
    install(repository)
    feeds = ["https://git.example/?p=tide pool.git;a=atom", "https://git.example/tidepool/atom/?h=main"]
    await repository.tell(hub.url, *feeds)
    assert was_quiet(await repository.push())
    assert hub.pings == [feeds]


async def test_a_push_succeeds_when_the_hub_fails(failing_hub: str, repository: Repository) -> None:
    await repository.tell(failing_hub, FEED)
    assert was_quiet(await repository.push(within="0.2"))


async def test_a_push_that_nobody_reads_of_tells_nobody(hub: Hub, repository: Repository) -> None:
    await repository.tell(hub.url, FEED)
    assert was_quiet(await repository.push("refs/notes/review"))
    assert hub.pings == []


async def test_a_repository_without_a_feed_or_a_hub_is_left_alone(hub: Hub, repository: Repository) -> None:
    assert was_quiet(await repository.push())
    await repository.tell(hub.url)
    assert was_quiet(await repository.push())
    assert hub.pings == []


# publish-site


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """What a site generator wrote."""
    folder = tmp_path / "my site"
    files = {
        "index.xml": '<?xml version="1.0"?>\n<feed\n  xmlns="http://www.w3.org/2005/Atom"/>',
        "tag/größe & 100%/feed.xml": '<rss version="2.0"/>',
        "old.rdf": '<rdf:RDF xmlns="http://purl.org/rss/1.0/"/>',
        "feed.json": '{"version": "https://jsonfeed.org/version/1.1"}',
        "sitemap.xml": '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"/>',
        "search.json": '["a post"]',
        "post/index.html": "<rss is a tag> <feed>",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("base", ["https://blog.example", "https://blog.example/"])
async def test_publish_site_names_the_feeds_that_it_finds(hub: Hub, site: Path, base: str) -> None:
    assert was_quiet(await send("publish-site", hub.url, base, site))
    (ping,) = hub.pings
    assert set(ping) == {
        "https://blog.example/index.xml", "https://blog.example/tag/gr%C3%B6%C3%9Fe%20&%20100%25/feed.xml",
        "https://blog.example/old.rdf", "https://blog.example/feed.json",
    }  # fmt: skip


async def test_publish_site_is_quiet_when_the_hub_fails(failing_hub: str, site: Path) -> None:
    assert was_quiet(await send("publish-site", failing_hub, "https://blog.example", site, within="0.2"))


async def test_publish_site_tells_nobody_of_a_site_without_a_feed(hub: Hub, tmp_path: Path) -> None:
    assert was_quiet(await send("publish-site", hub.url, "https://blog.example", tmp_path))
    assert hub.pings == []


async def test_publish_site_says_so_when_there_is_no_such_folder(hub: Hub, tmp_path: Path) -> None:
    ended = await send("publish-site", hub.url, "https://blog.example", tmp_path / "gone")
    assert (ended.returncode, ended.stderr.count("\n")) == (0, 1)
    assert hub.pings == []


# mpd-listens

MPC = """#!{python} -IS
# MPD as mpc shows it: each time that it is asked for its status, the next of the scenes has come.
import json, pathlib, sys
story = pathlib.Path({story!r})
at, scenes = json.loads(story.read_text())
if sys.argv[1] == "idleloop":
    print("player\\n" * (len(scenes) - 2), end="")
else:
    song, state = scenes[at][1:]
    if song:
        line = sys.argv[sys.argv.index("--format") + 1]
        for name in ("file", "time", "artist", "title", "album"):
            line = line.replace("%" + name + "%", song.get(name, ""))
        print(line + "\\n[" + state + "] #1/2   0:05/3:20 (2%)")
    print("volume: 50%   repeat: off   random: off   single: off   consume: off")
    story.write_text(json.dumps([at + 1, scenes]))
"""
DATE = """#!{python} -IS
import json, pathlib
at, scenes = json.loads(pathlib.Path({story!r}).read_text())
print(scenes[at][0])
"""
NOON = 1_793_000_000
Song = dict[str, str]
JOGA = {"file": "bjork/joga.flac", "time": "5:05", "artist": "Björk", "title": "Jóga", "album": "Homogenic"}
ODDITY = {"file": "o.ogg", "time": "1:00", "artist": 'A "\\" B', "title": "a\tb 100% $(id) `id`", "album": ""}
RADIO = {"file": "https://radio.example/", "artist": "Low", "title": "Words"}


@dataclass
class Player:
    """mpc and date on a PATH, and a token."""

    folder: Path

    def plays(self, *scenes: tuple[int, Song | None, str]) -> None:
        """What is on at which second after noon, and whether it is playing; the last second is when MPD ends."""
        story = self.folder / "story"
        story.write_text(json.dumps([0, [(NOON + second, song, state) for second, song, state in scenes]]))
        for name, program in (("mpc", MPC), ("date", DATE)):
            (self.folder / name).write_text(program.format(python=sys.executable, story=str(story)))
            (self.folder / name).chmod(0o755)

    @property
    def token(self) -> Path:
        token = self.folder / "token"
        token.touch(0o600)
        token.write_text("ls_low-water\n")
        return token

    async def submit(self, url: str, within: str = "5") -> Ended:
        return await send("mpd-listens", url, self.token, within=within, PATH=f"{self.folder}:{os.environ['PATH']}")


@pytest.fixture
def player(tmp_path: Path) -> Player:
    if shutil.which("curl") is None:
        missing_service("mpd-listens", "curl is not installed")
    return Player(tmp_path)


async def test_what_mpd_played_is_submitted_with_the_time_at_which_it_began(hub: Hub, player: Player) -> None:
    player.plays((0, JOGA, "playing"), (305, ODDITY, "playing"), (365, None, ""), (400, None, ""))
    assert was_quiet(await player.submit(hub.url))
    info = {"media_player": "MPD", "submission_client": "mpd-listens"}
    assert hub.listens == [
        {"listened_at": NOON, "track_metadata": {
            "artist_name": "Björk", "track_name": "Jóga", "release_name": "Homogenic",
            "additional_info": info | {"duration": 305},
        }},
        {"listened_at": NOON + 305, "track_metadata": {
            "artist_name": 'A "\\" B', "track_name": "ab 100% $(id) `id`", "additional_info": info | {"duration": 60},
        }},
    ]  # fmt: skip
    assert {path for path, _, _ in hub.requests} == {"/scrobble/1/submit-listens"}
    assert {headers["authorization"] for _, headers, _ in hub.requests} == {"Token ls_low-water"}
    assert {headers["content-type"] for _, headers, _ in hub.requests} == {"application/json"}


async def test_what_begins_to_play_is_told_at_once(hub: Hub, player: Player) -> None:
    player.plays((0, JOGA, "paused"), (9, JOGA, "playing"), (12, None, ""))
    await player.submit(hub.url)
    said = [json.loads(body) for _, _, body in hub.requests]
    assert [one["listen_type"] for one in said] == ["playing_now"]
    (playing,) = said[0]["payload"]
    assert playing["track_metadata"]["track_name"] == "Jóga"
    assert "listened_at" not in playing


@pytest.mark.parametrize(
    "scenes, began",
    [
        ([(0, JOGA, "playing"), (150, None, "")], []),
        ([(0, JOGA, "playing"), (153, None, "")], [0]),
        ([(0, JOGA, "playing"), (100, JOGA, "paused"), (900, JOGA, "playing"), (953, None, "")], [0]),
        ([(0, JOGA, "playing"), (100, JOGA, "paused"), (900, None, "")], []),
        ([(0, JOGA, "paused"), (900, JOGA, "playing"), (1100, None, "")], [900]),
        ([(0, JOGA, "playing"), (305, JOGA, "playing"), (610, None, "")], [0, 305]),
        ([(0, JOGA | {"time": "70:00"}, "playing"), (240, None, "")], [0]),
        ([(0, JOGA | {"time": "0:30"}, "playing"), (30, None, "")], []),
        ([(0, RADIO, "playing"), (31, RADIO | {"title": "Sunflower"}, "playing"), (61, None, "")], [0]),
        ([(0, RADIO | {"artist": ""}, "playing"), (300, None, "")], []),
    ],
    ids=[
        "less than half", "half", "half, with a pause", "a pause is not heard", "it begins when it plays", "on repeat",
        "four minutes of many", "a jingle", "radio", "without an artist",
    ],
)  # fmt: skip
async def test_a_track_counts_when_it_was_heard_to_its_half(
    hub: Hub, player: Player, scenes: list[tuple[int, Song | None, str]], began: list[int]
) -> None:
    player.plays(*scenes, (scenes[-1][0] + 1, None, ""))
    assert was_quiet(await player.submit(hub.url))
    assert [listen["listened_at"] - NOON for listen in hub.listens] == began


async def test_a_track_that_is_on_when_mpd_ends_is_submitted(hub: Hub, player: Player) -> None:
    player.plays((0, JOGA, "playing"), (200, JOGA, "playing"))
    assert was_quiet(await player.submit(hub.url))
    assert len(hub.listens) == 1


async def test_mpd_listens_is_quiet_when_the_server_fails(failing_hub: str, player: Player) -> None:
    player.plays((0, JOGA, "playing"), (305, ODDITY, "playing"), (365, None, ""), (400, None, ""))
    assert was_quiet(await player.submit(failing_hub, within="0.2"))


async def test_listens_that_the_server_did_not_take_go_with_the_next_one(hub: Hub, player: Player) -> None:
    player.plays((0, JOGA, "playing"), (305, ODDITY, "playing"), (365, None, ""), (400, None, ""))
    hub.busy_for = 3
    assert was_quiet(await player.submit(hub.url))
    assert [listen["listened_at"] - NOON for listen in hub.listens] == [0, 0, 305]


async def test_a_listen_that_the_server_cannot_use_is_not_sent_again(player: Player) -> None:
    player.plays((0, JOGA, "playing"), (305, ODDITY, "playing"), (365, None, ""), (400, None, ""))
    async with a_hub(status=400) as hub:
        assert was_quiet(await player.submit(hub.url))
    assert [listen["listened_at"] - NOON for listen in hub.listens] == [0, 305]


async def test_the_token_is_not_in_the_list_of_processes(hub: Hub, player: Player) -> None:
    player.plays((0, JOGA, "playing"), (305, None, ""), (306, None, ""))
    said = player.folder / "said"
    (player.folder / "curl").write_text(f'#!/bin/sh\necho "$@" >>"{said}"\nexec {shutil.which("curl")} "$@"\n')
    (player.folder / "curl").chmod(0o755)
    assert was_quiet(await player.submit(hub.url))
    assert len(hub.listens) == 1
    assert "submit-listens" in said.read_text()
    assert "ls_low-water" not in said.read_text()


async def test_a_token_that_others_can_read_is_refused(hub: Hub, player: Player) -> None:
    player.plays((0, JOGA, "playing"), (305, None, ""), (306, None, ""))
    player.token.chmod(0o644)
    ended = await player.submit(hub.url)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.endswith("only you can read: chmod 600\n")
    assert hub.requests == []


# action.yml and the units


async def test_the_actions_step_tells_the_hub(hub: Hub) -> None:
    step = (SENDERS / "action.yml").read_text().partition("run: |\n")[2]
    feeds = f"{FEED}\nhttps://blog.example/*\n"
    ended = await run(SHELL, "-ec", step, GITHUB_ACTION_PATH=str(SENDERS), HUB=hub.url, FEEDS=feeds)
    assert was_quiet(ended)
    assert hub.pings == [feeds.split()]


async def test_the_actions_step_does_not_fail_its_job(failing_hub: str) -> None:
    step = (SENDERS / "action.yml").read_text().partition("run: |\n")[2]
    ended = await run(SHELL, "-ec", step, within="0.2", GITHUB_ACTION_PATH=str(SENDERS), HUB=failing_hub, FEEDS=FEED)
    assert was_quiet(ended)


async def test_systemd_understands_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd here")
    units = []
    for name in ("lifestream-ping.path", "lifestream-ping.service"):
        text = (SENDERS / name).read_text().replace("/usr/local/bin/publish", str(SENDERS / "publish"))
        (tmp_path / name).write_text(text)
        units.append(tmp_path / name)
    ended = await run("systemd-analyze", "verify", *units)
    assert was_quiet(ended), ended.stderr
