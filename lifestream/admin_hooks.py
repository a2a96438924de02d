"""The owner's pages for webhooks and tokens.

A secret or a token is on the page that answers its making, and on no other.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifestream import adapters, webhooks
from lifestream.access import Caller, caller_of
from lifestream.admin import owners_form
from lifestream.errors import InvalidInput, LifestreamError
from lifestream.pages import respond
from lifestream.protocol.players import players
from lifestream.site import Site
from lifestream.store import bells, hooks, owner
from lifestream.webhooks import NewHook
from lifestream.write import NewToken, token_json

Act = Callable[[Site, dict[str, str], str], Awaitable[dict[str, Any]]]
"""What a form asks for, of what is called so; gives what its page shows besides."""
OUTCOMES = {
    "posted": "ok", "pinged": "ok", "playing": "ok", "test": "ok", "duplicate": "wait", "ignored": "wait",
    "unreadable": "bad", "refused": "bad", "broken": "bad",
}  # fmt: skip
UNSAID: dict[str, Any] = {"said": "", "error": "", "made": None, "players": [], "form": {}}
SCOPES = {
    "scrobble": "Tell what it plays, and nothing else",
    "read": "Read, also what is private",
    "write": "Read, write entries, scrobble",
    "owner": "Everything you can do",
}


# -- webhooks ---------------------------------------------------------------------------------


async def hooks_page(request: Request) -> Response:
    return await _page(request, _hooks)


async def add_hook(request: Request) -> Response:
    return await _done(request, _hooks, _add_hook)


async def act_on_hook(request: Request) -> Response:
    acts = {"rotate": _rotate_hook, "remove": _remove_hook}
    return await _done(request, _hooks, _one_of(acts, request.path_params["action"]))


async def _hooks(site: Site) -> dict[str, Any]:
    async with site.store.read() as db:
        found = [
            webhooks.hook_json(site, hook, came)
            | {"deliveries": [webhooks.delivery_json(one) for one in came], "old_until": hook.old_until}
            for hook in await hooks.every(db)
            for came in [await hooks.deliveries(db, hook)]
        ]
    names = adapters.names(site.config.data_dir)
    return {"hooks": found, "adapters": names, "outcomes": OUTCOMES, "now": site.now()}


async def _add_hook(site: Site, form: dict[str, str], _name: str) -> dict[str, Any]:
    asked = {name: form.get(name, "") for name in ("adapter", "slug", "secret")}
    topic = form.get("topic", "") if form.get("does") == "ping" else ""
    if form.get("does") == "ping" and not topic.strip():
        raise InvalidInput("topic: a hook that pings needs the address of the feed that it is about.")
    hook, set_up = await webhooks.add_hook(site, NewHook(**asked, topic=topic, private="private" in form))
    return {"made": webhooks.hook_json(site, hook) | {"secret": hook.secret, "set_up": set_up}}


async def _rotate_hook(site: Site, _form: dict[str, str], slug: str) -> dict[str, Any]:
    hook, set_up = await webhooks.rotate_hook(site, slug)
    made = webhooks.hook_json(site, hook) | {"secret": hook.secret, "set_up": set_up}
    return {"made": made, "said": "The secret before stays good for a week."}


async def _remove_hook(site: Site, _form: dict[str, str], slug: str) -> dict[str, Any]:
    async with site.store.begin() as db:
        await hooks.remove(db, slug)
    return {"said": f"“{slug}” was removed. What it posted stays."}


# -- tokens -----------------------------------------------------------------------------------


async def tokens_page(request: Request) -> Response:
    return await _page(request, _tokens)


async def add_token(request: Request) -> Response:
    return await _done(request, _tokens, _add_token)


async def revoke_token(request: Request) -> Response:
    return await _done(request, _tokens, _revoke_token)


async def _tokens(site: Site) -> dict[str, Any]:
    async with site.store.read() as db:
        return {"tokens": [token_json(one) for one in await owner.tokens(db)], "scopes": SCOPES}


async def _add_token(site: Site, form: dict[str, str], _name: str) -> dict[str, Any]:
    new = NewToken(name=form.get("name", ""), scope=form.get("scope", ""))
    async with site.store.begin() as db:
        token = await owner.create_token(db, new.name, new.scope, site.now())
    scrobblers = players(site.config.base_url, token) if new.scope == "scrobble" else []
    return {"made": {"name": new.name, "scope": new.scope, "token": token}, "players": scrobblers}


async def _revoke_token(site: Site, form: dict[str, str], _name: str) -> dict[str, Any]:
    name = form.get("name", "")
    async with site.store.begin(rings=[bells.KEYS]) as db:
        await owner.revoke_token(db, name)
    return {"said": f"“{name}” was revoked: nobody can use it any more."}


# -- what they share --------------------------------------------------------------------------


async def _page(request: Request, facts: Callable[[Site], Awaitable[dict[str, Any]]]) -> Response:
    site: Site = request.app.state.site
    caller = await caller_of(site, request)
    if caller.session is None:
        return RedirectResponse("/login", 303)
    return await _shown(request, caller, await facts(site))


async def _done(request: Request, facts: Callable[[Site], Awaitable[dict[str, Any]]], act: Act) -> Response:
    """The page after a form, at the form's own address: what is secret on it is not kept anywhere to be shown again."""
    site: Site = request.app.state.site
    caller, form = await owners_form(request)
    status, more = 200, {}
    try:
        more = await act(site, form, request.path_params.get("slug", ""))
    except ValidationError as error:
        first = error.errors()[0]
        status, more = 422, {"error": f"{first['loc'][0]}: {first['msg']}.", "form": form}
    except LifestreamError as error:
        status, more = 422, {"error": str(error), "form": form}
    return await _shown(request, caller, await facts(site) | more, status)


async def _shown(request: Request, caller: Caller, context: dict[str, Any], status: int = 200) -> Response:
    template = "admin_hooks.html" if "hooks" in context else "admin_tokens.html"
    response = await respond(request, caller, template, UNSAID | context, status=status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _one_of(acts: Mapping[str, Act], name: str) -> Act:
    if name not in acts:
        raise InvalidInput(f"“{name[:40]}” is nothing that can be done to a hook.")
    return acts[name]


routes = [
    Route("/admin/hooks", hooks_page, methods=["GET"]),
    Route("/admin/hooks", add_hook, methods=["POST"]),
    Route("/admin/hooks/{slug}/{action}", act_on_hook, methods=["POST"]),
    Route("/admin/tokens", tokens_page, methods=["GET"]),
    Route("/admin/tokens", add_token, methods=["POST"]),
    Route("/admin/tokens/revoke", revoke_token, methods=["POST"]),
]
