"""Doors whose requests are written down for the owner (recorder.py): each is wrapped by one line."""

from collections.abc import Awaitable, Callable
from functools import wraps

from starlette.requests import Request
from starlette.responses import Response

from lifestream.errors import FetchError, LifestreamError, Restarting, TooBusy
from lifestream.exchanges import Exchange, comes_in
from lifestream.site import Site

Door = Callable[[Request], Awaitable[Response]]


def recorded(what: str, *, secret_answers: bool = False) -> Callable[[Door], Door]:
    """`exchange_of(request)` is where the door can say more of it than its answer does.

    `secret_answers`: the answers' bodies may be keys, and are not kept.
    """

    def wrap(door: Door) -> Door:
        @wraps(door)
        async def answers(request: Request) -> Response:
            site: Site = request.app.state.site
            scope = request.scope
            exchange = scope["exchange"] = Exchange("in", what)
            comes_in(exchange)
            exchange.sent(scope["method"], site.config.base_url + scope["path"], scope["headers"], b"")
            try:
                response = await door(request)
            except BaseException as error:
                exchange.failed(error)
                if isinstance(error, LifestreamError) and not isinstance(error, FetchError | Restarting | TooBusy):
                    exchange.says("refused", str(error))
                raise
            else:
                answer = b"" if secret_answers else getattr(response, "body", b"")
                exchange.answered(response.status_code, response.raw_headers, answer)
                return response
            finally:
                if scope["query_string"]:
                    exchange.url += "?" + scope["query_string"].decode("latin-1")
                site.exchanges.add(exchange)

        return answers

    return wrap


def exchange_of(request: Request) -> Exchange:
    exchange: Exchange = request.scope["exchange"]
    return exchange
