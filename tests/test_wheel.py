"""The wheel, installed where nothing else is, is all of lifestream: pages, static files, migrations, the parser."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.e2e.processes import SOON, Process
from tests.fakes import Publisher, comes, serving

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parent.parent
FEED = (
    '<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:f</id><title>Blog</title>'
    "<entry><id>urn:e</id><title>Read by the wheel</title><updated>2026-01-01T00:00:00Z</updated></entry></feed>"
)


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip(
        "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(CHECKOUT)
    )
    (built,) = folder.glob("lifestream-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the wheel and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=os.name == "posix")
    pip("--python", str(folder / "bin" / "python"), "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    return folder


def test_the_wheel_holds_the_package_with_its_folders_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"lifestream"}
    for folder in ("templates", "static", "migrations"):
        there = [path for path in (CHECKOUT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        missing = {f"lifestream/_top/{path.relative_to(CHECKOUT).as_posix()}" for path in there} - set(names)
        assert there and not missing
    assert not [name for name in names if name.endswith(".pyc")]


async def test_an_installed_wheel_serves_reads_and_shows_a_feed(installed: Path, tmp_path: Path) -> None:
    publisher = Publisher()
    publisher.publish("/feed", FEED)
    stream = Process(tmp_path)
    stream.program = [str(installed / "bin" / "lifestream")]
    # The dependencies are this environment's; its .pth files, which lead to the checkout, are not read on this way.
    stream.environ["PYTHONPATH"] = sysconfig.get_path("purelib")
    async with serving(publisher.app) as url, stream, stream.client() as client:
        await stream.run("source", "add", f"{url}/feed", "--slug", "blog")

        async def shown() -> bool:
            return "Read by the wheel" in (await client.get("/")).text

        await comes(shown, within=SOON)
        page = (await client.get("/")).text
        style = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
        answer = await client.get(style)
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/css")
        assert (await client.get("/readyz")).text == "ok\n"
        ended = subprocess.run(
            [installed / "bin" / "python", "-c", "import lifestream, sys; print(lifestream.__file__); print(sys.path)"],
            cwd=tmp_path, env=stream.environ, capture_output=True, text=True, check=True, timeout=SOON,
        )  # fmt: skip
        file, path = ended.stdout.splitlines()
        assert Path(file).is_relative_to(installed)
        assert repr(str(CHECKOUT)) not in path
