"""Everything under `/scrobble`, and ListenBrainz's `/1` at the root for clients that keep only the host of an address.

Three dialects, one meaning: listens are on disk (desk.py) before a client is told that it may forget them, and what
goes wrong is said in its own dialect (listenbrainz.py, lastfm.py, audioscrobbler.py). No cookie is read, so that
programs on other sites may call.
"""

from itertools import dropwhile
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lifestream.receive import audioscrobbler, lastfm, listenbrainz
from lifestream.receive.bodies import query_of
from lifestream.receive.desk import Ask
from lifestream.receive.recorded import exchange_of, recorded
from lifestream.site import Site
from lifestream.store import listens

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding",
    "Access-Control-Max-Age": "86400",
}


@recorded("scrobble", secret_answers=True)
async def door(request: Request) -> Response:
    site: Site = request.app.state.site
    exchange_of(request).slug = listens.LISTENS
    path = [name for name in request.url.path.split("/") if name]
    names = tuple(dropwhile(lambda name: name == "1", path[path[0] == "scrobble" :]))
    query = dict(parse_qsl(query_of(request), keep_blank_values=True, errors="replace"))
    response = await _answer(Ask(request, site, request.app.state.scrobbles, site.now(), names, query))
    response.headers.update(CORS)
    return response


async def preflight(_request: Request) -> Response:
    """What browsers ask before a page of another site may scrobble: no scrobble yet."""
    return Response(status_code=204, headers=CORS)


async def _answer(ask: Ask) -> Response:
    match ask.names:
        case ("2.0",):
            return await lastfm.answer(ask)
        case ("nowplaying" | "submissions" as what, *_):
            return await audioscrobbler.answer(ask, what)
        case () if "hs" in ask.query:
            return await audioscrobbler.answer(ask, "handshake")
        case _:
            return await listenbrainz.answer(ask)


routes = [
    Route(path, answers, methods=methods)
    for path in ("/scrobble", "/scrobble/{rest:path}", "/1/{rest:path}")
    for answers, methods in ((door, ["GET", "POST"]), (preflight, ["OPTIONS"]))
]
