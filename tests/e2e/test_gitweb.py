"""A plain git server: gitweb's feed names no hub, and one line in the repository's post-receive hook makes it live."""

import asyncio
import os
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.conftest import missing_service
from tests.e2e.processes import SOON, Process
from tests.fakes import comes, serving

pytestmark = pytest.mark.slow

GITWEB = Path("/usr/share/gitweb/gitweb.cgi")
HOOK = """#!/bin/sh
curl -fsS -m 10 -d hub.mode=publish -d {feed} {stream} || true
"""
NOBODY_ELSES = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


class Repository:
    """A bare repository in `folder/tidepool.git` with a clone beside it that pushes to it."""

    def __init__(self, folder: Path) -> None:
        self.bare, self.clone = folder / "tidepool.git", folder / "clone"
        self.minutes = 0
        git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        git("init", "--quiet", "--initial-branch=main", str(self.clone))

    def commit(self, message: str) -> None:
        self.minutes += 1  # gitweb's Last-Modified is the newest commit's, to the second
        when = f"2026-11-01T10:{self.minutes:02}:00Z"
        who = {"GIT_AUTHOR_NAME": "Mara", "GIT_AUTHOR_EMAIL": "mara@example.org"}
        who |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()}
        dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        git("-C", str(self.clone), "commit", "--quiet", "--allow-empty", "-m", message, **who, **dates)

    def push(self) -> None:
        git("-C", str(self.clone), "push", "--quiet", str(self.bare), "main")

    def after_each_push(self, script: str) -> None:
        hook = self.bare / "hooks" / "post-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(script)
        hook.chmod(0o755)


def git(*arguments: str, **environ: str) -> None:
    env = os.environ | NOBODY_ELSES | environ
    ended = subprocess.run(["git", *arguments], env=env, capture_output=True, text=True, timeout=SOON)
    assert ended.returncode == 0, ended.stderr


@asynccontextmanager
async def gitweb(folder: Path) -> AsyncIterator[str]:
    """gitweb over the repositories in `folder`, run as CGI by a web server."""
    config = folder / "gitweb.conf"
    config.write_text(f"$projectroot = '{folder}'; @diff_opts = ();\n")

    async def answer(request: Request) -> Response:
        variables = {
            "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "/", "QUERY_STRING": request.url.query, "REQUEST_URI": f"/?{request.url.query}",
            "SERVER_NAME": request.url.hostname or "", "SERVER_PORT": str(request.url.port),
            "GITWEB_CONFIG": str(config), **_http_variables(request.headers),
        }  # fmt: skip
        command = [str(GITWEB)]
        env = os.environ | NOBODY_ELSES | variables
        ended = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, timeout=SOON)
        head, _, body = ended.stdout.replace(b"\r\n", b"\n").partition(b"\n\n")
        headers = dict(BytesParser().parsebytes(head, headersonly=True).items())
        status = int(headers.pop("Status", "200").split()[0])
        return Response(body, status, headers)

    async with serving(Starlette(routes=[Route("/", answer)])) as url:
        yield url


def _http_variables(headers: Mapping[str, str]) -> dict[str, str]:
    return {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    for needed in ("git", "curl", str(GITWEB)):
        if shutil.which(needed) is None:
            missing_service("gitweb", f"{needed} is not installed")
    folder = tmp_path / "git"
    folder.mkdir()
    return Repository(folder)


async def code(client: httpx2.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/api/sources/code")).json()
    return found


async def test_a_git_push_is_live_by_one_line_in_its_hook(tmp_path: Path, repository: Repository) -> None:
    repository.commit("Begin with the tide tables")
    repository.push()
    async with gitweb(repository.bare.parent) as url, Process(tmp_path / "stream") as stream, stream.client() as client:
        feed = f"{url}/?p=tidepool.git;a=atom"
        await stream.run("source", "add", feed, "--slug", "code", "--kind", "code")

        async def active() -> bool:
            return bool((await code(client))["state"] == "active")

        await comes(active, within=SOON)
        assert (await code(client))["delivery"] == "polling", "nobody pushes it, and nobody pinged yet"

        repository.after_each_push(
            HOOK.format(feed=shlex.quote(f"hub.url={feed}"), stream=shlex.quote(f"{stream.url}/"))
        )
        async with stream.live() as live:
            for messages in (["Read tables whose year has two digits"], ["Name the harbour", "Turn the needle"]):
                for message in messages:
                    repository.commit(message)
                await asyncio.to_thread(repository.push)
                heard = [(await live.entry()) for _ in messages]
                assert [(entry["title"], entry["kind"], entry["author"]["name"]) for entry in heard] == [
                    (message, "code", "Mara") for message in messages
                ]

        there = (await client.get("/api/entries", params={"source": "code"})).json()["entries"]
        assert [entry["title"] for entry in there] == [
            "Turn the needle", "Name the harbour", "Read tables whose year has two digits",
            "Begin with the tide tables",
        ]  # fmt: skip
        assert there[0]["url"].startswith(f"{url}/?p=tidepool.git;a=commitdiff;h=")
        followed = await code(client)
        assert (followed["delivery"], followed["topic"], followed["entry_count"]) == ("hub", feed, 4)
