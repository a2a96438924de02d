"""What programs look for at a site's root: `/robots.txt`, `/sitemap.xml`, `/manifest.webmanifest`, `/favicon.ico`."""

import re
from collections.abc import Iterable
from datetime import datetime

import orjson
from lxml import etree
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from lifestream import static_files
from lifestream.errors import NotFound
from lifestream.places import top
from lifestream.publish.feeds.document import rfc3339, site_title
from lifestream.site import Site
from lifestream.store import months, sources

SITEMAPS = "http://www.sitemaps.org/schemas/sitemap/0.9"
MONTH = re.compile(r"(\d{4})-(\d{2})")
FOR_A_DAY = {"Cache-Control": "public, max-age=86400"}
FRESH = {"Cache-Control": "public, max-age=0, must-revalidate"}


async def robots(request: Request) -> Response:
    site: Site = request.app.state.site
    closed = "".join(f"Disallow: {path}\n" for path in ("/admin", "/api", "/login", "/setup"))
    body = f"User-agent: *\n{closed}\nSitemap: {site.config.base_url}/sitemap.xml\n"
    return Response(body, media_type="text/plain", headers=FOR_A_DAY)


async def manifest(request: Request) -> Response:
    site: Site = request.app.state.site
    icons = [("icon-192", 192, "any"), ("icon-512", 512, "any"), ("maskable-512", 512, "maskable")]
    title = site_title(site.config)
    found = {
        "name": title,
        "short_name": title[:30],
        "description": f"What {site.config.author or 'one person'} writes, makes and does, as it happens.",
        "lang": site.config.lang,
        "id": "/",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#f5f7fb",
        "theme_color": "#f5f7fb",
        "icons": [
            {
                "src": static_files.address(f"icons/{name}.png"),
                "sizes": f"{size}x{size}",
                "type": "image/png",
                "purpose": purpose,
            }
            for name, size, purpose in icons
        ],
    }
    return Response(orjson.dumps(found), media_type="application/manifest+json", headers=FRESH)


async def favicon(_request: Request) -> Response:
    """For those who ask for it whatever the page says."""
    return FileResponse(top("static") / "icons/favicon.ico", media_type="image/x-icon", headers=FOR_A_DAY)


# -- the sitemap (https://www.sitemaps.org/protocol.html) ---------------------------------------


async def sitemap_index(request: Request) -> Response:
    """One sitemap of the pages, and one of each month's entries."""
    site: Site = request.app.state.site
    async with site.store.read(long=True) as db:
        found = await months.with_entries(db, site.now())
    base = f"{site.config.base_url}/sitemap"
    places = [f"{base}/pages.xml", *(f"{base}/{span.start:%Y-%m}.xml" for span in found)]
    return _xml("sitemapindex", "sitemap", ((place, None) for place in places))


async def sitemap_of_pages(request: Request) -> Response:
    site: Site = request.app.state.site
    async with site.store.read() as db:
        known = await sources.every(db, audience="public")
    pages = ["/", "/about", "/sources", "/globe", "/hub", *(f"/sources/{one.slug}" for one in known)]
    return _xml("urlset", "url", ((site.config.base_url + page, None) for page in pages))


async def sitemap_of_month(request: Request) -> Response:
    site: Site = request.app.state.site
    match = MONTH.fullmatch(request.path_params["month"])
    if match is None or not 1970 <= int(match[1]) <= site.now().year or not 1 <= int(match[2]) <= 12:
        raise NotFound("There is no sitemap at this address.")
    async with site.store.read(long=True) as db:
        found = await months.public_ids(db, months.month(int(match[1]), int(match[2])))
    if not found:
        raise NotFound("No public entry is of that month.")
    return _xml("urlset", "url", ((f"{site.config.base_url}/entries/{name}", when) for name, when in found))


def _xml(root_name: str, name: str, places: Iterable[tuple[str, datetime | None]]) -> Response:
    root = etree.Element(root_name, xmlns=SITEMAPS)
    for place, changed in places:
        node = etree.SubElement(root, name)
        etree.SubElement(node, "loc").text = place
        if changed:
            etree.SubElement(node, "lastmod").text = rfc3339(changed)
    body: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return Response(body, media_type="application/xml", headers=FRESH)


routes = [
    Route("/robots.txt", robots, methods=["GET"]),
    Route("/manifest.webmanifest", manifest, methods=["GET"]),
    Route("/favicon.ico", favicon, methods=["GET"]),
    Route("/sitemap.xml", sitemap_index, methods=["GET"]),
    Route("/sitemap/pages.xml", sitemap_of_pages, methods=["GET"]),
    Route("/sitemap/{month}.xml", sitemap_of_month, methods=["GET"]),
]
