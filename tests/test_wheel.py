"""The wheel: it holds the folders that stay at the top level of the checkout, and serves a page without it."""

import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("templates", "static", "migrations", "hooks")
AT_MOST = 60
"""Seconds for one step, on the slowest machine."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out), cwd=ROOT)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `lifestream` in an environment that knows the libraries, and nothing of this checkout."""
    venv = tmp_path_factory.mktemp("environment") / "venv"
    run("uv", "venv", "--offline", "--python", sys.executable, str(venv))
    run("uv", "pip", "install", "--offline", "--no-deps", "--python", str(venv / "bin" / "python"), str(wheel))
    libraries = next(venv.glob("lib/python*/site-packages")) / "libraries.pth"
    libraries.write_text(sysconfig.get_path("purelib") + "\n")  # .pth files there, the checkout's too, are not followed
    return venv / "bin" / "lifestream"


@pytest.fixture
def served(installed: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a site that the installed command serves, in an empty folder."""
    command = [str(installed), "serve", "--port", "0"]
    server = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert server.stdout and server.stderr
    try:
        yield server.stdout.readline().split()[-1]
    finally:
        server.terminate()
        _, said = server.communicate(timeout=AT_MOST)
    assert "Traceback" not in said


def run(command: str, *arguments: str, cwd: Path | None = None) -> str:
    program = str(Path(sys.executable).parent / command) if "/" not in command else command
    done = subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True, timeout=AT_MOST)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_in_the_folders_is_in_the_wheel(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder in FOLDERS:
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                assert f"lifestream/_top/{file.relative_to(ROOT)}" in inside


def test_nothing_else_is(wheel: Path) -> None:
    inside = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in inside} == {"lifestream"}
    assert not [name for name in inside if "__pycache__" in name or ".sqlite3" in name or name.endswith(".env")]


def test_the_installed_package_is_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    where = run(str(installed.parent / "python"), "-c", "import lifestream; print(lifestream.__file__)", cwd=tmp_path)
    assert where.startswith(str(installed.parents[1]))


def test_the_installed_command_serves_the_page_and_what_it_needs(served: str) -> None:
    page = httpx2.get(served)
    assert page.status_code == 200
    needed = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert any(one.partition("?")[0].endswith(".css") for one in needed)
    assert any(one.partition("?")[0].endswith(".js") for one in needed)
    for one in needed:
        assert httpx2.get(served + one).status_code == 200


def test_the_installed_command_brings_the_database_up(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run([str(installed), "migrate"], cwd=tmp_path, capture_output=True, text=True, timeout=AT_MOST)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data" / "lifestream.sqlite3").is_file()
