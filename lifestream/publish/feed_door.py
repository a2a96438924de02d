"""`/feed.atom`, `/feed.rss`, `/feed.json`, of the stream and of each source: conditional GETs, links as headers too."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lifestream import index
from lifestream.errors import NotFound
from lifestream.headers import has_already
from lifestream.publish.kept import Body, Kept, basis
from lifestream.publish.outbound_feeds import Topic, asked_for, render
from lifestream.site import Site


async def feed(request: Request) -> Response:
    """However the filter is spelt, the answer is the same document, which names its one address (WebSub 4)."""
    site: Site = request.app.state.site
    topic = asked_for(request.scope["path"], dict(request.query_params))
    if topic is None:
        raise NotFound("There is no feed at this address.")
    if topic.wanted.q:
        await index.before_search(site)
    found = await _document(request, site, topic)
    headers = {
        "ETag": found.etag,
        "Cache-Control": "public, max-age=0, must-revalidate",
        "Link": f'<{site.config.hub_url}>; rel="hub", <{site.config.base_url}{topic.path}>; rel="self"',
        "Access-Control-Allow-Origin": "*",
    }
    if has_already(request, found.etag):
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers=headers | {"Content-Type": topic.media_type})


async def _document(request: Request, site: Site, topic: Topic) -> Body:
    """Written once for as long as nothing changes that it is made of; tombstones have had their time by the hour."""
    kept: Kept = request.app.state.kept
    async with site.store.read() as db:
        known = await basis(db, topic.wanted, "public")
    now = site.now()
    key = ("feed", topic.path, site.settings.version, known.key, f"{now:%Y-%m-%d %H}")
    body = kept.get(key)
    if body is None:
        async with site.store.read(long=topic.wanted.searches) as db:
            feed = await render(db, site.config, now, topic)
        body = Body(feed.body, feed.etag)
        kept.put(key, body)
    return body


routes = [
    Route(f"{where}/feed.{name}", feed, methods=["GET"])
    for where in ("", "/sources/{slug}")
    for name in ("atom", "rss", "json")
]
