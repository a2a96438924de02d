"""How commands answer: tables for people, one JSON value for programs."""

import sys
from datetime import datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

out = Console(highlight=False, soft_wrap=True, markup=False)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON value, for programs.")]


def print_json(value: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n")


def ago(when: datetime | None) -> str:
    return when.astimezone().strftime("%Y-%m-%d %H:%M") if when else "never"
