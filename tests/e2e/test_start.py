"""Starting: what is printed, what is refused in one line, and what the commands beside a running server do."""

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from time import time

import httpx2
import pytest

from tests.e2e.processes import LOOPBACK, ColdProcess, environ, lifestream

pytestmark = pytest.mark.slow

SECONDS_TO_REFUSE = 3.0
"""Of its own work: on a busy machine it waits for others too."""
SECONDS_TO_NOTICE = 0.2
PASSWORD = "correct horse battery"


@pytest.fixture
def taken() -> Iterator[str]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield str(listening.getsockname()[1])


@pytest.fixture
def closed() -> str:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return str(listening.getsockname()[1])


def refused(folder: Path, *arguments: str, **settings: str) -> str:
    """The one line that a start is refused with."""
    before = os.times()
    ended = lifestream("serve", *arguments, cwd=folder, env=environ(**settings))
    assert ended.returncode not in (0, None)
    after = os.times()
    worked = after.children_user + after.children_system - before.children_user - before.children_system
    assert worked < SECONDS_TO_REFUSE
    assert ended.stdout == ""
    assert ended.stderr.endswith("\n") and ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


# -- the first start --------------------------------------------------------------------------


async def test_a_first_start_says_where_to_look_and_how_to_make_it_yours(tmp_path: Path) -> None:
    async with ColdProcess(tmp_path) as stream:
        link = (await stream.says(r"once\): (http://\S+)\n"))[1]
        assert link.startswith(f"{stream.url}/setup?token=")
        async with httpx2.AsyncClient(base_url=stream.url) as owner:
            assert (await owner.get("/")).status_code == 200
            assert (await owner.get(link)).status_code == 200, "to look at it does not use it up"
            form = {"token": link.partition("token=")[2], "password": PASSWORD}
            answer = await owner.post("/setup", data=form)
            assert (answer.status_code, answer.headers["location"]) == (303, "/admin/sources")
            assert (await owner.get("/admin/sources")).status_code == 200, "who sets it up is signed in"
        async with httpx2.AsyncClient(base_url=stream.url) as somebody:
            assert (await somebody.get(link)).status_code == 403
            assert (await somebody.post("/setup", data=form | {"password": "another one"})).status_code == 403
            assert (await somebody.get("/admin/sources")).status_code == 303
            signed_in = await somebody.post("/login", data={"password": PASSWORD})
            assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/admin/sources")

        assert await stream.stop() == 0
        await stream.start()
        assert "setup" not in stream.log(), "it has an owner"


async def test_the_newest_set_up_link_is_the_one_that_works(tmp_path: Path) -> None:
    async with ColdProcess(tmp_path) as stream:
        old = (await stream.says(r"once\): (http://\S+)\n"))[1]
        stream.kill()
        await stream.start()
        new = (await stream.says(r"once\): (http://\S+)\n"))[1]
        async with stream.client() as client:
            assert [(await client.get(link)).status_code for link in (old, new)] == [403, 200]


# -- refused ----------------------------------------------------------------------------------


def test_a_port_in_use_is_one_line_and_nothing_is_made(tmp_path: Path, taken: str) -> None:
    assert f"127.0.0.1:{taken}" in refused(tmp_path, "--port", taken)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("poll_min", "soon"),
        ("allow_networks", "127.0.0.0/99"),
        ("database_url", "mysql://localhost/stream"),
        ("colour", "blue"),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it(tmp_path: Path, name: str, value: str) -> None:
    assert f"LIFESTREAM_{name.upper()}" in refused(tmp_path, "--port", "0", **{name: value})


def test_a_data_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "file/data" in refused(tmp_path, "--port", "0", data_dir=str(tmp_path / "file" / "data"))


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_data_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    assert "data" in refused(tmp_path, "--port", "0")


def test_a_database_file_that_is_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data" / "lifestream.sqlite3").mkdir(parents=True)
    assert "lifestream.sqlite3" in refused(tmp_path, "--port", "0")


def test_a_file_that_is_no_database_is_one_line_and_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "data" / "lifestream.sqlite3"
    file.parent.mkdir()
    file.write_text("Dear diary, " * 1000)
    assert "lifestream.sqlite3" in refused(tmp_path, "--port", "0")
    assert file.read_text() == "Dear diary, " * 1000


def test_a_postgresql_server_that_is_not_there_is_one_line_without_the_password(tmp_path: Path, closed: str) -> None:
    said = refused(tmp_path, "--port", "0", database_url=f"postgresql://mara:hunter2@127.0.0.1:{closed}/stream")
    assert "LIFESTREAM_DATABASE_URL" in said and "hunter2" not in said


@pytest.mark.parametrize("arguments", [("--workers", "2"), ("--port", "70000"), ("--colour", "blue")])
def test_what_serve_cannot_do_is_one_line_that_names_it(tmp_path: Path, arguments: tuple[str, str]) -> None:
    assert arguments[0] in refused(tmp_path, *arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("post",), "'text'"),
        (("pots", "Hello"), "'pots'"),
        (("post", "Hello", "--to", "nowhere"), "nowhere"),
        (("source", "add", "ftp://blog.example"), "http://"),
    ],
)
def test_a_command_that_makes_no_sense_is_one_line(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = lifestream(*arguments, cwd=tmp_path, env=environ())
    assert ended.returncode not in (0, None) and ended.stdout == ""
    assert said in ended.stderr and ended.stderr.count("\n") == 1, ended.stderr


def test_no_command_at_all_shows_the_help(tmp_path: Path) -> None:
    ended = lifestream(cwd=tmp_path, env=environ())
    assert ended.returncode == 2
    assert "serve" in ended.stdout and ended.stderr == ""


def test_the_doctor_says_by_its_exit_code_that_something_is_wrong(tmp_path: Path, closed: str) -> None:
    env = environ(base_url=f"http://127.0.0.1:{closed}", allow_networks=LOOPBACK)
    ended = lifestream("doctor", "--json", cwd=tmp_path, env=env)
    assert "hub" in {one["check"] for one in json.loads(ended.stdout) if not one["ok"]}, "nobody answers there"
    assert ended.returncode == 1


# -- beside a running server ------------------------------------------------------------------


async def test_what_a_command_writes_is_live_within_a_fifth_of_a_second(tmp_path: Path) -> None:
    async with ColdProcess(tmp_path) as stream, stream.live() as live:
        delays: list[float] = []
        for number in range(3):  # a busy machine may be late once
            command = asyncio.create_task(stream.run("post", f"Note {number}"))
            entry = await live.entry()
            delays.append(time() - entry["seq"] / 1e6)
            assert entry["summary"] == f"Note {number}"
            assert entry["id"] in await command
            if delays[-1] < SECONDS_TO_NOTICE:
                return
        pytest.fail(f"noticed after {delays} seconds")
