"""`/owner.webp`: the owner's picture. Its address on the pages says which version it is, so it is kept for ever."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lifestream.headers import has_already
from lifestream.protocol.pictures import TYPE
from lifestream.publish.picture_door import CSP
from lifestream.site import Site
from lifestream.store import settings


async def portrait(request: Request) -> Response:
    site: Site = request.app.state.site
    async with site.store.read() as db:
        content = await settings.picture(db)
    if content is None:
        return PlainTextResponse("There is no picture of the owner.\n", 404, {"Cache-Control": "no-store"})
    version = settings.version_of(content)
    lasting = request.query_params.get("v") == version
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if lasting else "public, max-age=0, must-revalidate",
        "Content-Security-Policy": CSP,
        "ETag": f'"{version}"',
        "Access-Control-Allow-Origin": "*",
    }
    if has_already(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=TYPE)


routes = [Route("/owner.webp", portrait, methods=["GET"])]
