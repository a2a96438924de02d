"""`POST /hooks/{slug}`: webhooks. No cookie is read; the adapter that the hook was made with says who sent it.

With and without a slash at its end: a sender that is sent elsewhere comes back with GET.
"""

from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lifestream.protocol.adapter import Call
from lifestream.receive.bodies import query_of, read_body
from lifestream.receive.recorded import exchange_of, recorded
from lifestream.webhooks import Deliveries

LIMIT = 5 * 1024 * 1024
HERE = "A webhook's address: a forge sends here what happens, by POST. docs/hooks.md says how to point one here.\n"


@recorded("webhook")
async def receive(request: Request) -> Response:
    deliveries: Deliveries = request.app.state.deliveries
    body = await read_body(request, LIMIT)
    query = dict(parse_qsl(query_of(request), keep_blank_values=True, errors="replace"))
    call = Call(dict(request.headers), body, query)
    told = exchange_of(request)
    told.slug = request.path_params["slug"]
    answer = await deliveries.take(told.slug, call)
    told.stranger = answer.status == 403
    told.says("ok" if answer.status < 400 else "refused", answer.sentence)
    return _says(answer.sentence + "\n", answer.status)


async def explain(_request: Request) -> Response:
    """The same whether there is such a hook or not."""
    return _says(HERE, 200)


def _says(sentence: str, status: int) -> Response:
    return PlainTextResponse(sentence, status_code=status, headers={"X-Content-Type-Options": "nosniff"})


routes = [
    Route(path, door, methods=[method])
    for path in ("/hooks/{slug}", "/hooks/{slug}/")
    for method, door in (("POST", receive), ("GET", explain))
]
