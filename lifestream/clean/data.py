"""An entry's `data`, which a stranger wrote, made safe to give away: addresses http(s), markup through the allow-list,
all of it bounded. What a field is, its name says: `url`, `compare_url`, `content_html`.
"""

from collections.abc import Mapping
from typing import Any

from lifestream.clean.html import clean_html, web_address

CHARS = 4096
ITEMS = 100
DEPTH = 4


def safe_data(data: Mapping[str, Any], base: str) -> dict[str, Any]:
    return _mapping(data, base, DEPTH)


def _mapping(data: Mapping[str, Any], base: str, depth: int) -> dict[str, Any]:
    found = {str(name)[:100]: _value(str(name), value, base, depth) for name, value in list(data.items())[:ITEMS]}
    return {name: value for name, value in found.items() if value is not None}


def _value(name: str, value: object, base: str, depth: int) -> Any:
    if isinstance(value, str):
        return _text(name, value, base)
    if isinstance(value, (int, float)):
        return value
    if depth == 0:
        return None
    if isinstance(value, Mapping):
        return _mapping(value, base, depth - 1)
    if isinstance(value, list | tuple):
        return [_value(name, one, base, depth - 1) for one in value[:ITEMS]]
    return None


def _text(name: str, value: str, base: str) -> str:
    kind = name.rpartition("_")[2]
    if kind in ("url", "urls", "photo"):
        return web_address(value, base)
    return clean_html(value, base) if kind == "html" else value[:CHARS]
