"""Imports point one way, so that each module can be understood from what lies under it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lifestream"
LAYERS = {
    "words": "types errors",
    "rules": "protocol parse clean decide reading view",
    "settings": "config log places adapters answers",
    "input and output": "client dial post darkroom exchanges recorder fetch settings store wire",
    "the site": "site",
    "steps": "arrival flow backfill discover handshake index inspector pictures profile subscribe write webhooks",
    "doors": "static_files render access receive theme publish around archive pages showing trial admin admin_sources "
    "admin_hooks admin_inspector admin_settings api headers openapi paths",
    "wiring": "app connections serve supervise commands cli demo doctor __main__",
}
HEIGHT = {room: height for height, rooms in enumerate(LAYERS.values()) for room in rooms.split()}
RULES = LAYERS["rules"].split()
NOT_IN_RULES = {
    "asyncio",
    "httpx2",
    "httpcore2",
    "sqlalchemy",
    "fastapi",
    "starlette",
    "uvicorn",
    "aiosqlite",
    "psycopg",
    "redis",
}
HTTP = {"httpx2", "httpcore2", "httpx", "requests", "aiohttp"}
EXCEPTIONS: dict[tuple[str, str], str] = {}
"""(importing module, imported room): why it may reach up. Keep it empty if you can."""
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(module: Path) -> str:
    return ".".join(module.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports(module: Path) -> Iterator[str]:
    """Everything a module imports, also inside functions, by its full name."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: write imports in full"
            yield from (f"{node.module}.{one.name}" for one in node.names)


def rooms(module: Path) -> set[str]:
    """Which rooms of our own it imports from."""
    found = {name.split(".")[1] for name in imports(module) if name.startswith("lifestream.")}
    return {room for room in found if (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").is_file()}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_point_one_way(module: Path) -> None:
    own = name_of(module).partition(".")[0]
    if own == "__init__":
        assert not rooms(module)
        return
    assert own in HEIGHT, f"say in LAYERS where {own} belongs"
    upwards = {room for room in rooms(module) if HEIGHT[room] > HEIGHT[own]}
    assert {room for room in upwards if (name_of(module), room) not in EXCEPTIONS} == set()


@pytest.mark.parametrize("module", [one for one in MODULES if name_of(one).partition(".")[0] in RULES], ids=name_of)
def test_rules_do_nothing_but_think(module: Path) -> None:
    assert {name.partition(".")[0] for name in imports(module)} & NOT_IN_RULES == set()


def test_there_is_one_client() -> None:
    users = {name_of(one) for one in MODULES if {name.partition(".")[0] for name in imports(one)} & HTTP}
    assert users == {"client"}
    assert {name_of(one) for one in MODULES if "httptools" in {name.partition(".")[0] for name in imports(one)}} == {
        "post"
    }


def test_the_exceptions_are_needed() -> None:
    for name, room in EXCEPTIONS:
        assert room in rooms(PACKAGE / f"{name.replace('.', '/')}.py")


@pytest.mark.parametrize(
    ("imported", "unwanted"),
    [
        ("lifestream.__main__", "sqlalchemy fastapi starlette lxml feedparser uvicorn typer pydantic lifestream.cli"),
        ("lifestream.parse.worker", "sqlalchemy fastapi starlette uvicorn feedparser typer lifestream.store"),
    ],
)
def test_what_a_process_starts_with_is_light(imported: str, unwanted: str) -> None:
    """The process that parses documents imports `__main__` and the worker again, whenever one is started."""
    script = f"import sys, {imported}; print(*(name for name in {unwanted.split()!r} if name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
