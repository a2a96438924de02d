"""Finds webhook adapters by name: one file each, in `hooks/` beside the templates or in the data folder's `hooks/`."""

import importlib.util
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from lifestream.errors import InvalidInput
from lifestream.places import top
from lifestream.protocol import adapter as words
from lifestream.protocol.adapter import Call, Said

NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
SAME_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Adapter:
    """What a file in `hooks/` gives; docs/write-an-adapter.md says it at length."""

    name: str
    doubt: Callable[[Call, Sequence[str], datetime], str]
    """Why a call is not believed; empty for one that is genuine."""
    events: Callable[[Call, Any], Said]
    read: Callable[[Call], Any]
    delivery: tuple[str, ...]
    """The headers that name a delivery."""
    same_for: timedelta
    """How long a delivery that looks like an earlier one is taken for it."""
    source: str
    """The local source that it posts into, whatever the hook is called; empty: the hook's own."""
    set_up: str


def find(name: str, data_dir: Path) -> Adapter:
    """The owner's own comes first. Raises InvalidInput where there is none of this name, or it cannot be loaded."""
    for folder in _folders(data_dir):
        if NAME.fullmatch(name) and (folder / f"{name}.py").is_file():
            return _load(folder / f"{name}.py")
    raise InvalidInput(f"There is no adapter “{name[:40]}”; there are {', '.join(names(data_dir))}.")


def names(data_dir: Path) -> list[str]:
    found = {path.stem for folder in _folders(data_dir) for path in folder.glob("*.py")}
    return sorted(name for name in found if NAME.fullmatch(name))


def _folders(data_dir: Path) -> tuple[Path, Path]:
    return data_dir / "hooks", top("hooks")


@cache
def _load(path: Path) -> Adapter:
    spec = importlib.util.spec_from_file_location(f"lifestream_hook_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        found = Adapter(
            name=path.stem,
            doubt=module.doubt,
            events=module.events,
            read=getattr(module, "read", words.read),
            delivery=tuple(getattr(module, "DELIVERY", ())),
            same_for=getattr(module, "SAME_FOR", SAME_FOR),
            source=getattr(module, "SOURCE", ""),
            set_up=getattr(module, "SET_UP", "Address: {url}\nSecret:  {secret}"),
        )
        found.set_up.format(url="", secret="", quoted="", host="")
        return found
    except Exception as error:  # whatever a file of the owner's does
        raise InvalidInput(f"The adapter {path} cannot be loaded ({type(error).__name__}: {error}).") from error
