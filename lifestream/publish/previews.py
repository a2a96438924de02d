"""`/og.png` and `/og/{id}.png`: the pictures of links to here, and `/oembed`: the rest of what other sites show."""

import asyncio
from collections import OrderedDict
from typing import Any
from urllib.parse import urlsplit

import anyio
import orjson
from lxml import etree
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lifestream.errors import InvalidInput, NotFound, TooBusy
from lifestream.protocol.hub import address_key
from lifestream.publish import preview
from lifestream.publish.feeds.document import site_title
from lifestream.publish.feeds.xml import legal
from lifestream.publish.head import preview_of, veiled
from lifestream.publish.preview import Preview
from lifestream.render import Renderer
from lifestream.site import Site
from lifestream.store import entries
from lifestream.types import Media, Stored

MOST_WAITING = 20
"""Pictures that are asked for and not drawn yet; it takes a tenth of a second to draw one."""
WIDTH = 600
AGE = 3600


class Previews:
    """Pictures that were drawn lately, one at a time: strangers may ask for as many as there are entries."""

    def __init__(self, most: int = 64) -> None:
        self._most = most
        self._drawn: OrderedDict[Preview, bytes] = OrderedDict()
        self._drawing = asyncio.Lock()
        self._waiting = 0

    async def of(self, wanted: Preview) -> bytes:
        """Raises TooBusy where too many others are asked for."""
        if wanted not in self._drawn:
            await self._draw(wanted)
        self._drawn.move_to_end(wanted)
        return self._drawn[wanted]

    async def _draw(self, wanted: Preview) -> None:
        if self._waiting >= MOST_WAITING:
            raise TooBusy("Too many pictures are asked for just now.")
        self._waiting += 1
        try:
            async with self._drawing:
                if wanted not in self._drawn:  # it was not asked for by somebody before us
                    self._drawn[wanted] = await anyio.to_thread.run_sync(preview.drawn, wanted)
        finally:
            self._waiting -= 1
        while len(self._drawn) > self._most:
            self._drawn.popitem(last=False)


async def picture(request: Request) -> Response:
    """`/og.png`, and of one public entry `/og/{id}.png`."""
    site: Site = request.app.state.site
    public_id = request.path_params.get("id")
    stored = await _public(site, public_id) if public_id else None
    body = await request.app.state.previews.of(preview_of(site.config, stored))
    return Response(body, media_type="image/png", headers={"Cache-Control": "public, max-age=86400"})


async def _public(site: Site, public_id: str) -> Stored:
    async with site.store.read() as db:
        return veiled(await entries.one(db, public_id, audience="public"))


# -- oEmbed 1.0 (https://oembed.com) ------------------------------------------------------------


async def oembed(request: Request) -> Response:
    site: Site = request.app.state.site
    query = request.query_params
    format = query.get("format", "json")
    if format not in ("json", "xml"):
        return PlainTextResponse("oEmbed is answered as json or xml.\n", 501)
    stored = await _public(site, _id_of(site, query.get("url", "")))
    found = _embedded(
        site, request.app.state.renderer, stored, _pixels(query.get("maxwidth")), _pixels(query.get("maxheight"))
    )
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "public, max-age=0, must-revalidate"}
    if format == "json":
        return Response(orjson.dumps(found), media_type="application/json", headers=headers)
    return Response(_as_xml(found), headers=headers | {"Content-Type": "text/xml; charset=utf-8"})


def _id_of(site: Site, url: str) -> str:
    """Of the entry whose page has this address. Raises NotFound."""
    try:
        prefix, _, public_id = urlsplit(url)._replace(query="", fragment="").geturl().rpartition("/entries/")
    except ValueError:
        prefix = public_id = ""
    if not public_id or address_key(prefix + "/") != address_key(site.config.base_url + "/"):
        raise NotFound("There is no entry of this stream at that address.")
    return public_id


def _pixels(given: str | None) -> int | None:
    if given is None:
        return None
    if not given.isascii() or not given.isdigit() or not 0 < len(given) <= 5:
        raise InvalidInput("maxwidth and maxheight are numbers of pixels.")
    return int(given)


def _embedded(
    site: Site, renderer: Renderer, stored: Stored, max_width: int | None, max_height: int | None
) -> dict[str, Any]:
    config, entry = site.config, stored.entry
    found: dict[str, Any] = {
        "version": "1.0",
        "title": entry.title or entry.summary[:80],
        "author_name": (entry.author and entry.author.name) or config.author,
        "author_url": (entry.author and entry.author.url) or config.author_url,
        "provider_name": site_title(config),
        "provider_url": f"{config.base_url}/",
        "cache_age": AGE,
    }
    fits = (one for one in entry.media if entry.kind == "photo" and _fits(one, max_width, max_height))
    if photo := next(fits, None):
        found |= {"type": "photo", "url": photo.url, "width": photo.width, "height": photo.height}
    else:
        url = f"{config.base_url}/entries/{stored.id}"
        html = renderer.page("_embed.html", {"stored": stored, "url": url, "site_title": site_title(config)})
        found |= {"type": "rich", "html": html.strip(), "width": min(WIDTH, max_width or WIDTH), "height": None}
        width, height = preview.SIZE
        if (max_width or width) >= width and (max_height or height) >= height:
            picture = f"{config.base_url}/og/{stored.id}.png?v={stored.seq:x}"
            found |= {"thumbnail_url": picture, "thumbnail_width": width, "thumbnail_height": height}
    return {name: value for name, value in found.items() if value not in ("", None) or name == "height"}


def _fits(one: Media, max_width: int | None, max_height: int | None) -> bool:
    """A photo that is said to be larger than asked for must not be given; one of unknown size cannot be."""
    if not one.type.startswith("image") or not one.width or not one.height:
        return False
    return one.width <= (max_width or one.width) and one.height <= (max_height or one.height)


def _as_xml(found: dict[str, Any]) -> bytes:
    root = etree.Element("oembed")
    for name, value in found.items():
        etree.SubElement(root, name).text = "" if value is None else legal(str(value))
    body: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8", standalone=True)
    return body


routes = [
    Route("/og.png", picture, methods=["GET"]),
    Route("/og/{id}.png", picture, methods=["GET"]),
    Route("/oembed", oembed, methods=["GET"]),
]
