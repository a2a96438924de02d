"""The owner's way in: set-up, sign-in, sign-out. And what all his forms share: each has the session's token, and is
accepted from here only.
"""

import asyncio
import secrets
from collections import deque
from time import monotonic

from pwdlib import PasswordHash
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifestream.access import Caller, caller_of, cookie_name, same_site
from lifestream.errors import InvalidInput, NotAllowed, TooManyRequests
from lifestream.pages import respond
from lifestream.protocol.limits import MOST_NAMES, one_caller
from lifestream.receive.bodies import read_form
from lifestream.site import Site
from lifestream.store import bells, owner
from lifestream.store.owner import PASSWORD, SESSION_LASTS, SETUP

TRIES_A_MINUTE = 5
SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 1024
hasher = PasswordHash.recommended()
one_hash_at_a_time = asyncio.Semaphore(2)


class Tries:
    """How often an address tried to sign in during the last minute: slow for a guesser, no lock-out for the owner."""

    def __init__(self) -> None:
        self._tries: dict[str, deque[float]] = {}

    def count(self, address: str) -> None:
        """Raises TooManyRequests for one try too many."""
        now, caller = monotonic(), one_caller(address)
        tries = self._tries.get(caller, deque())
        while tries and now - tries[0] > 60:
            tries.popleft()
        if len(tries) >= TRIES_A_MINUTE:
            wait = 60 - (now - tries[0])
            raise TooManyRequests(f"Too many tries; the next one counts in {wait:.0f} s.", retry_after=wait)
        tries.append(now)
        self._tries.pop(caller, None)
        self._tries[caller] = tries
        if len(self._tries) > MOST_NAMES:  # whoever tried longest ago
            del self._tries[next(iter(self._tries))]


# -- set-up and sign-in -----------------------------------------------------------------------


async def new_setup_link(site: Site) -> str | None:
    """A fresh one-time link by which the owner sets the password; None once there is one."""
    async with site.store.begin() as db:
        if await owner.fact(db, PASSWORD) is not None:
            return None
        token = secrets.token_urlsafe(24)
        await owner.set_fact(db, SETUP, owner.digest(token))
    return f"{site.config.base_url}/setup?token={token}"


async def set_password(site: Site, password: str) -> None:
    """Keeps the hash and signs everybody out. Raises InvalidInput for one that is too short or too long."""
    if not SHORTEST_PASSWORD <= len(password.encode()) <= LONGEST_PASSWORD:
        raise InvalidInput(f"The password must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters.")
    hashed = await asyncio.to_thread(hasher.hash, password)
    async with site.store.begin(rings=[bells.KEYS]) as db:
        await owner.set_fact(db, PASSWORD, hashed)
        await owner.drop_fact(db, SETUP)
        await owner.close_all_sessions(db)


async def setup(request: Request) -> Response:
    site: Site = request.app.state.site
    form = dict(await read_form(request))
    token = form.get("token", "")
    async with site.store.read() as db:
        expected = await owner.fact(db, SETUP)
        done = await owner.fact(db, PASSWORD) is not None
    if done or expected is None or not secrets.compare_digest(owner.digest(token), expected):
        raise NotAllowed(
            "This set-up link is used up or not the newest; the newest is in what `lifestream serve` printed. "
            "`lifestream password` sets the password too.",
            status=403,
        )
    context = {"token": token, "error": "", "minimum": SHORTEST_PASSWORD}
    if request.method == "GET":
        return await respond(request, Caller(), "setup.html", context)
    _from_here(request)
    try:
        await set_password(site, form.get("password", ""))
    except InvalidInput as error:
        return await respond(request, Caller(), "setup.html", context | {"error": str(error)}, status=422)
    return await _signed_in(site)


async def login(request: Request) -> Response:
    site: Site = request.app.state.site
    if request.method == "GET":
        return await respond(request, await caller_of(site, request), "login.html", {"error": ""})
    _from_here(request)
    tries: Tries = request.app.state.tries
    form = dict(await read_form(request))
    try:
        tries.count(request.client.host if request.client else "")
        await _check(site, form.get("password", ""))
    except (NotAllowed, TooManyRequests) as error:
        status = 429 if isinstance(error, TooManyRequests) else 401
        response = await respond(request, Caller(), "login.html", {"error": str(error)}, status=status)
        if isinstance(error, TooManyRequests):
            response.headers["Retry-After"] = str(max(1, round(error.retry_after)))
        return response
    return await _signed_in(site)


def _from_here(request: Request) -> None:
    """A browser says where a form was; one of another site's may not sign anybody in. Programs say nothing."""
    if "origin" in request.headers and not same_site(request.app.state.site, request):
        raise NotAllowed("This form did not come from this site's own page; load the page again.", status=403)


async def _check(site: Site, password: str) -> None:
    async with site.store.read() as db:
        hashed = await owner.fact(db, PASSWORD)
    if hashed is None:
        raise NotAllowed("No password is set yet: open the set-up link that `lifestream serve` printed.")
    async with one_hash_at_a_time:
        right = await asyncio.to_thread(hasher.verify, password[:LONGEST_PASSWORD], hashed)
    if not right:
        raise NotAllowed("That is not the password.")


async def _signed_in(site: Site) -> Response:
    async with site.store.begin() as db:
        cookie = await owner.open_session(db, site.now())
    response = RedirectResponse("/admin/sources", 303)
    response.set_cookie(
        cookie_name(site), cookie, max_age=int(SESSION_LASTS.total_seconds()), httponly=True,
        samesite="lax", secure=site.config.secure, path="/",
    )  # fmt: skip
    return response


async def logout(request: Request) -> Response:
    site: Site = request.app.state.site
    caller, _ = await owners_form(request)
    if caller.session:
        async with site.store.begin(rings=[bells.KEYS]) as db:
            await owner.close_session(db, caller.session.digest)
    response = RedirectResponse("/", 303)
    response.delete_cookie(cookie_name(site), path="/", secure=site.config.secure, httponly=True)
    return response


# -- forms ------------------------------------------------------------------------------------


async def owners_form(request: Request) -> tuple[Caller, dict[str, str]]:
    """The form of a signed-in owner. Raises NotAllowed unless it comes from our own pages with the session's token."""
    caller = await signed_in(request)
    form = dict(await read_form(request))
    from_own_page(request, caller, form.get("csrf", ""))
    return caller, form


async def signed_in(request: Request) -> Caller:
    """Raises NotAllowed for anybody but the owner in his browser."""
    caller = await caller_of(request.app.state.site, request)
    if caller.session is None:
        raise NotAllowed("Sign in first.")
    return caller


def from_own_page(request: Request, caller: Caller, csrf: str) -> None:
    """Raises NotAllowed for a form that does not come from our own pages with the session's token."""
    assert caller.session
    right = secrets.compare_digest(csrf.encode(), caller.session.csrf.encode())
    if not right or not same_site(request.app.state.site, request):
        raise NotAllowed("This form did not come from this site's own page; load the page again.", status=403)


routes = [
    Route("/setup", setup, methods=["GET", "POST"]),
    Route("/login", login, methods=["GET", "POST"]),
    Route("/logout", logout, methods=["POST"]),
    Route("/admin", lambda request: RedirectResponse("/admin/sources", 307), methods=["GET"]),
]
