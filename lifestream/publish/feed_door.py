"""`/feed.atom`, `/feed.rss`, `/feed.json`, of the stream and of each source: conditional GETs, links as headers too."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lifestream import index
from lifestream.errors import NotFound
from lifestream.publish.outbound_feeds import asked_for, render
from lifestream.site import Site


async def feed(request: Request) -> Response:
    """However the filter is spelt, the answer is the same document, which names its one address (WebSub 4)."""
    site: Site = request.app.state.site
    topic = asked_for(request.scope["path"], dict(request.query_params))
    if topic is None:
        raise NotFound("There is no feed at this address.")
    if topic.wanted.q:
        await index.before_search(site)
    async with site.store.read(long=topic.wanted.searches) as db:
        found = await render(db, site.config, site.now(), topic)
    headers = {
        "ETag": found.etag,
        "Cache-Control": "public, max-age=0, must-revalidate",
        "Link": f'<{site.config.hub_url}>; rel="hub", <{found.self_url}>; rel="self"',
        "Access-Control-Allow-Origin": "*",
    }
    if found.etag in (one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    return Response(found.body, headers=headers | {"Content-Type": found.media_type})


routes = [
    Route(f"{where}/feed.{name}", feed, methods=["GET"])
    for where in ("", "/sources/{slug}")
    for name in ("atom", "rss", "json")
]
