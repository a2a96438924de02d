"""Whatever stands in a path or a query, it is found or not, taken or refused; nothing breaks."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from starlette.routing import compile_path

from tests.fakes import AppClient

ODD = ("9" * 5000, "-1", "x\0", "\ud800", "²", "../x")
FIELDS = ("kind", "source", "tag", "near", "q", "before", "after", "limit", "order", "url", "maxwidth")


def paths_of(route: Any) -> Iterator[str]:
    path, names = compile_path(route.path)[1:]
    for odd in ODD:
        yield path.format(**{name: quote(odd, safe="", errors="surrogatepass") for name in names})


async def test_no_odd_path_or_query_breaks_anything(client: AppClient) -> None:
    owner = await client.token("owner")
    routes = [one for one in client.app.routes if "GET" in (getattr(one, "methods", None) or ())]
    asked = [path for route in routes if "{" in route.path for path in paths_of(route)]
    for path in ("/", "/feed.atom", "/api/entries", "/oembed"):
        asked += [f"{path}?{name}={quote(odd, errors='surrogatepass')}" for name in FIELDS for odd in ODD[:4]]
    assert len(asked) > 200
    answers = {path: (await client.get(path, headers=owner)).status_code for path in asked}
    assert {path[:80]: status for path, status in answers.items() if status >= 500} == {}
