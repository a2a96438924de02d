"""JSON as it comes: read strictly and fast, or at any price. What is in it is anybody's guess, so it is asked politely:
`text` and `dicts` give nothing for what has another type.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from lifestream.errors import ParseError
from lifestream.parse import encodings
from lifestream.parse.document import Document, IllFormed, safe_text

_OPENS = re.compile(rb"\s*[{\[]")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.S)
_DEPTH = 64


def is_json(document: Document) -> bool:
    body = document.body[:64].removeprefix(b"\xef\xbb\xbf")
    return bool(_OPENS.match(body.replace(b"\0", b"")))


def read_json(document: Document) -> Any:
    try:
        return orjson.loads(document.body.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise IllFormed(f"The document is not well-formed JSON: {error}.") from error


def read_broken_json(document: Document) -> Any:
    """NaN, lone surrogates and deep nesting, which Python's reader takes or which are cut off before it."""
    try:
        return json.loads(_shallow(encodings.decode(document.body, document.media_type)))
    except (ValueError, RecursionError) as error:
        raise ParseError(f"This looks like JSON, but is broken: {error}.") from error


def text(given: object) -> str:
    return safe_text(given) if isinstance(given, str) else ""


def dicts(given: object) -> Iterator[dict[str, Any]]:
    return (each for each in given if isinstance(each, dict)) if isinstance(given, list) else iter(())


def _shallow(written: str) -> str:
    """The same JSON with whatever is nested deeper than `_DEPTH` made null."""
    kept: list[str] = []
    depth = position = 0
    for token in _TOKEN.finditer(written):
        mark = token[0]
        if mark in "[{":
            depth += 1
            if depth == _DEPTH + 1:
                kept += (written[position : token.start()], "null")
        elif mark in "]}":
            depth -= 1
            if depth == _DEPTH:
                position = token.end()
    return "".join(kept) + (written[position:] if depth <= _DEPTH else "")
