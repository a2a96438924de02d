"""The command `lifestream`, run as people and scripts run it."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from websockets.sync.client import connect

from tests import warm

Result = subprocess.CompletedProcess[str]
Command = Callable[..., Result]
WITHIN = 60


@pytest.fixture
def environment(tmp_path: Path, sqlite_template: Path) -> dict[str, str]:
    """A data folder of its own, and nothing else of the machine's settings."""
    (tmp_path / "data").mkdir()
    shutil.copy(sqlite_template, tmp_path / "data" / "lifestream.sqlite3")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LIFESTREAM_")}
    return kept | {
        "LIFESTREAM_DATA_DIR": str(tmp_path / "data"), "LIFESTREAM_ALLOW_NETWORKS": "127.0.0.0/8", "COLUMNS": "200",
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }  # fmt: skip


@pytest.fixture
def lifestream(environment: dict[str, str], tmp_path: Path) -> Command:
    """Runs a command to its end."""

    def run(*arguments: str, said: str = "", **settings: str) -> Result:
        return warm.run(arguments, cwd=tmp_path, env=environment | settings, said=said, within=WITHIN)

    return run


def done(result: Result) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout


def value(result: Result) -> Any:
    return orjson.loads(done(result))


def refused(result: Result) -> str:
    """One clear line on stderr, and nothing on stdout."""
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert result.stdout == ""
    return lines[0]


def at_once(lifestream: Command, *commands: tuple[str, ...]) -> dict[tuple[str, ...], Result]:
    """Runs commands that do not mind each other; gives what came of each."""
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(commands, pool.map(lambda arguments: lifestream(*arguments), commands), strict=True))


def test_a_source_is_added_listed_shown_and_removed(lifestream: Command) -> None:
    added = value(lifestream("source", "add", "http://blog.example/", "--slug", "blog", "--private", "--json"))
    assert (added["slug"], added["visibility"], added["state"]) == ("blog", "private", "pending")
    assert [one["slug"] for one in value(lifestream("source", "list", "--json"))] == ["notes", "blog"]
    assert value(lifestream("source", "show", "blog", "--json")) == added
    table = done(lifestream("source", "list"))
    assert "blog" in table and "pending" in table
    done(lifestream("source", "pause", "blog"))
    assert "paused" in done(lifestream("source", "show", "blog"))
    done(lifestream("source", "remove", "blog"))
    assert [one["slug"] for one in value(lifestream("source", "list", "--json"))] == ["notes"]


def test_what_cannot_be_done_is_said_in_one_line(lifestream: Command) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    cases = {
        ("source", "add", "local:notes"): "notes",
        ("source", "add", "ftp://blog.example/"): "http",
        ("source", "show", "nobody"): "nobody",
        ("source", "pause", "notes"): "notes",
        ("post", ""): "",
        ("token", "revoke", "nobody"): "nobody",
        ("token", "create", "x", "--scope", "everything"): "everything",
        ("ping", "http://blog.example/", "--hub", nobody): "refused the connection",
        ("backup", "/nowhere/at/all"): "nowhere",
    }
    for arguments, result in at_once(lifestream, *cases).items():
        assert cases[arguments] in refused(result), arguments


def test_a_note_is_posted(lifestream: Command) -> None:
    posted = value(lifestream("post", "Hello <world>", "--title", "A note", "--url", "https://me.example/", "--json"))
    assert set(posted) == {"id", "seq", "url"}
    assert posted["id"] in posted["url"]
    assert posted["id"] not in done(lifestream("post", "-", said="from\nstdin"))
    assert value(lifestream("source", "show", "notes", "--json"))["entry_count"] == 2


def test_a_token_is_alone_on_stdout_and_shown_once(lifestream: Command) -> None:
    made = lifestream("token", "create", "phone", "--scope", "scrobble")
    token = done(made)
    assert token.startswith("ls_") and token == token.strip() + "\n"
    assert token.strip() not in made.stderr
    listed = value(lifestream("token", "list", "--json"))
    assert [(one["name"], one["scope"]) for one in listed] == [("phone", "scrobble")]
    assert "phone" in refused(lifestream("token", "create", "phone"))
    done(lifestream("token", "revoke", "phone"))
    assert value(lifestream("token", "list", "--json")) == []


def test_the_password_is_read_from_stdin(lifestream: Command, environment: dict[str, str]) -> None:
    done(lifestream("password", said="correct horse battery\n"))
    path = Path(environment["LIFESTREAM_DATA_DIR"]) / "lifestream.sqlite3"
    assert b"correct horse" not in path.read_bytes()
    refused(lifestream("password", said="short\n"))


def test_the_doctor_looks_at_everything_and_says_what_to_do(lifestream: Command, environment: dict[str, str]) -> None:
    (Path(environment["LIFESTREAM_DATA_DIR"]) / "lifestream.sqlite3").unlink()
    unwell = lifestream("doctor", "--json")
    assert unwell.returncode == 1
    checks = {one["check"]: one for one in orjson.loads(unwell.stdout)}
    assert not checks["database"]["ok"] and "lifestream migrate" in checks["database"]["says"]
    assert {"sqlite", "disk", "base URL", "hub"} <= set(checks)
    done(lifestream("migrate"))
    done(lifestream("password", said="correct horse battery\n"))
    checks = {one["check"]: one for one in orjson.loads(lifestream("doctor", "--json").stdout)}
    assert checks["database"]["ok"] and checks["owner"]["ok"] and checks["clock"]["ok"]


def test_the_doctor_asks_where_the_last_server_was(lifestream: Command, environment: dict[str, str]) -> None:
    done(lifestream("migrate"))
    with sqlite3.connect(Path(environment["LIFESTREAM_DATA_DIR"]) / "lifestream.sqlite3") as db:
        db.execute("INSERT INTO facts (name, value) VALUES ('served_at', 'http://127.0.0.1:9')")
    db.close()
    checks = {one["check"]: one for one in orjson.loads(lifestream("doctor", "--json").stdout)}
    assert "http://127.0.0.1:9/hub does not answer" in checks["hub"]["says"]


def test_a_backup_is_a_whole_database(lifestream: Command, tmp_path: Path) -> None:
    done(lifestream("post", "precious words"))
    copy = tmp_path / "copy.sqlite3"
    done(lifestream("backup", str(copy)))
    with sqlite3.connect(copy) as db:
        assert db.execute("SELECT count(*) FROM entries").fetchone() == (1,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"LIFESTREAM_POLL_MIN": "soon"}, "LIFESTREAM_POLL_MIN"),
        ({"LIFESTREAM_BASE_URL": "stream.example"}, "LIFESTREAM_BASE_URL"),
        ({"LIFESTREAM_SANDWICH": "cheese"}, "LIFESTREAM_SANDWICH"),
        ({"LIFESTREAM_DATABASE_URL": "mysql://secret:word@db/x"}, "LIFESTREAM_DATABASE_URL"),
        ({"LIFESTREAM_ALLOW_NETWORKS": "10.0.0.0/99"}, "LIFESTREAM_ALLOW_NETWORKS"),
        ({"LIFESTREAM_DATA_DIR": "/proc/nowhere"}, "/proc/nowhere"),
        ({"LIFESTREAM_DATABASE_URL": "postgresql://nobody:secret@127.0.0.1:9/x"}, "LIFESTREAM_DATABASE_URL"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_bad_setting_stops_the_start_with_one_line(lifestream: Command, settings: dict[str, str], words: str) -> None:
    line = refused(lifestream("serve", "--port", "0", **settings))
    assert words in line
    assert "secret" not in line


def test_a_port_that_is_taken_is_said_in_one_line(lifestream: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert port in refused(lifestream("serve", "--port", port))


def test_what_sqlite_cannot_do_is_refused_in_one_line(lifestream: Command) -> None:
    for result in at_once(lifestream, ("worker",), ("serve", "--workers", "2")).values():
        line = refused(result)
        assert "PostgreSQL" in line and "Redis" in line


def test_every_command_has_help(lifestream: Command) -> None:
    commands = [("serve", "--help"), ("worker", "--help"), ("source", "add", "--help"), ("token", "create", "--help")]
    for arguments, result in at_once(lifestream, *commands).items():
        assert "Usage:" in done(result), arguments


def test_a_mistyped_command_is_no_traceback(lifestream: Command) -> None:
    commands = [("sandwich",), ("source", "add"), ("serve", "--port", "x"), ("source", "list", "--jsom")]
    for arguments, result in at_once(lifestream, *commands).items():
        assert result.returncode == 2, arguments
        assert "Traceback" not in result.stderr and result.stdout == ""


class Server:
    """`lifestream serve` in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], url: str, lines: list[str]) -> None:
        self.process = process
        self.url = url
        self.lines = lines

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=WITHIN)


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path) -> Iterator[Server]:
    process = subprocess.Popen(
        [sys.executable, "-m", "lifestream", "serve", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert process.stdout
    lines = [process.stdout.readline(), process.stdout.readline()]
    yield Server(process, lines[0].split()[-1], lines)
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.slow
def test_serve_tells_where_it_is_and_how_to_make_it_yours(server: Server) -> None:
    assert server.url.startswith("http://127.0.0.1:")
    link = server.lines[1].split()[-1]
    assert link.startswith(server.url + "/setup?token=")
    assert httpx2.get(link).status_code == 200
    assert server.stop() == 0


@pytest.mark.slow
def test_what_a_command_writes_beside_the_server_is_on_the_page_at_once(server: Server, lifestream: Command) -> None:
    with connect(server.url.replace("http:", "ws:") + "/live") as live:
        assert orjson.loads(live.recv(timeout=WITHIN))["type"] == "hello"
        done(lifestream("post", "from the shell"))
        while (message := orjson.loads(live.recv(timeout=WITHIN)))["type"] != "entry":
            pass
        assert message["entry"]["content_html"] == "<p>from the shell</p>"
    assert "from the shell" in httpx2.get(server.url).text
    assert server.stop() == 0
