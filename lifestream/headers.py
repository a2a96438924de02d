"""What every answer carries: a strict CSP and its kin, who may read it and who may keep it.

Plain ASGI, so that streams pass through untouched.
"""

from collections.abc import MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "media-src 'self' https:; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
ALWAYS = [
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


def has_already(request: Request, etag: str) -> bool:
    """Whether who asks has what `etag` stands for (RFC 9110, 13.1.2: compared weakly)."""
    given = request.headers.get("if-none-match", "").split(",")
    return etag in (one.strip().removeprefix("W/") for one in given)


class SecurityHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        api = scope["path"].startswith(("/api/", "/live/"))
        known = any(name in (b"authorization", b"cookie") for name, _ in scope["headers"])
        open_to_all = api and not known and scope["method"] in ("GET", "HEAD")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(message, open_to_all=open_to_all)
                if api:
                    _keep_apart(message, known=known)
            await send(message)

        await self._app(scope, receive, with_headers)


def _keep_apart(message: MutableMapping[str, Any], *, known: bool) -> None:
    """What a token or a session sees must not be given to anybody else by a cache in between."""
    message["headers"].append((b"vary", b"Authorization, Cookie"))
    if known:
        message["headers"].append((b"cache-control", b"private, no-store"))


def _add(message: MutableMapping[str, Any], *, open_to_all: bool) -> None:
    headers = list(message.get("headers", []))
    there = {name for name, _ in headers}
    headers += [(name, value) for name, value in ALWAYS if name not in there]
    if open_to_all and b"access-control-allow-origin" not in there:
        headers.append((b"access-control-allow-origin", b"*"))
    message["headers"] = headers
