"""The API's description (OpenAPI 3.1) and its page, `/api/docs`.

FastAPI knows the addresses, the parameters and the bodies. What is answered, to whom, and how errors look is said here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi import FastAPI
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lifestream import answers, pages
from lifestream.access import caller_of

REF = "#/components/schemas/"
METHODS = ("get", "post", "patch", "put", "delete")
ABOUT = """\
Everything that the pages show, and everything that the owner can do. Reading what is public needs no token; with one of
scope read, write or owner private sources are included. Send it as `Authorization: Bearer TOKEN`; `lifestream token
create NAME` makes one. To follow along, read `/api/entries` once, then take `/live` (WebSocket), `/live/events` (SSE)
or `/live/poll` with `after=` the `seq` you have.
"""
TAGS: Mapping[str, str] = {
    "entries": "What is in the stream.",
    "sources": "Where it comes from.",
    "discover": "What could be followed.",
    "exchanges": "What went over the wire.",
    "hub": "Who is told of what is new.",
    "hooks": "Webhooks, by which others post here.",
    "tokens": "Keys to this API.",
    "settings": "Who the owner is, and how the pages are.",
    "version": "Which lifestream this is.",
}
"""The groups, after the first part of the path."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`shape` is a type of answers.py; none for an answer without a body. `scope` is the token's that it takes."""

    summary: str
    shape: Any = None
    scope: str = ""


ANSWERS: Mapping[str, Answer] = {
    "GET /api/entries": Answer("List entries, or what changed", answers.Entries),
    "POST /api/entries": Answer("Write an entry", answers.Entry, "write"),
    "GET /api/entries/{id}": Answer("One entry", answers.Entry),
    "PATCH /api/entries/{id}": Answer("Edit an entry", answers.Entry, "write"),
    "DELETE /api/entries/{id}": Answer("Delete an entry", None, "write"),
    "GET /api/sources": Answer("List sources", list[answers.Source]),
    "POST /api/sources": Answer("Follow a feed, or make a local source", answers.Source, "owner"),
    "GET /api/sources/{slug}": Answer("One source", answers.Source),
    "PATCH /api/sources/{slug}": Answer("Rename, show or hide a source", answers.Source, "owner"),
    "DELETE /api/sources/{slug}": Answer("Remove a source and its entries", None, "owner"),
    "GET /api/sources/{slug}/backfill": Answer("How far the history is fetched", answers.Backfill, "owner"),
    "POST /api/sources/{slug}/backfill": Answer("Fetch the history", answers.Backfill, "owner"),
    "GET /api/sources/{slug}/log": Answer("A source's protocol log", list[answers.Exchange], "owner"),
    "POST /api/sources/{slug}/test": Answer("Try the way from the hub to the page", answers.Trial, "owner"),
    "POST /api/sources/{slug}/ping": Answer("Ask the source's hub", answers.Trial, "owner"),
    "POST /api/sources/{slug}/{action}": Answer("Refresh, pause, resume, subscribe", answers.Source, "owner"),
    "POST /api/discover": Answer("Find the feeds at an address", answers.FoundFeeds, "owner"),
    "GET /api/exchanges": Answer("The protocol log", list[answers.Exchange], "owner"),
    "GET /api/exchanges/{id}": Answer("One exchange, as it went over the wire", answers.Exchange, "owner"),
    "GET /api/hub/subscriptions": Answer("The hub's subscribers", list[answers.Subscription], "owner"),
    "GET /api/hooks": Answer("List webhooks", list[answers.Hook], "owner"),
    "POST /api/hooks": Answer("Make a webhook", answers.Hook, "owner"),
    "GET /api/hooks/{slug}": Answer("One webhook", answers.Hook, "owner"),
    "DELETE /api/hooks/{slug}": Answer("Remove a webhook", None, "owner"),
    "POST /api/hooks/{slug}/rotate": Answer("Give a webhook another secret", answers.Hook, "owner"),
    "GET /api/tokens": Answer("List tokens", list[answers.Token], "owner"),
    "POST /api/tokens": Answer("Make a token", answers.Token, "owner"),
    "DELETE /api/tokens/{name}": Answer("Revoke a token", None, "owner"),
    "GET /api/settings": Answer("The settings", answers.Settings, "owner"),
    "PATCH /api/settings": Answer("Change settings", answers.Settings, "owner"),
    "PUT /api/settings/picture": Answer("Send the owner's picture", answers.Settings, "owner"),
    "GET /api/version": Answer("The version", answers.Version),
}
PARAMETERS: Mapping[str, str] = {
    "kind": "Only of this kind.",
    "source": "Only of the source with this slug.",
    "tag": "Only with this tag; capitals make no difference.",
    "near": "Only near a place: latitude, longitude and kilometres, as in 51.5,-0.12,10.",
    "q": "Only with these words, or words that begin so.",
    "before": "The cursor that an earlier answer gave as what comes next.",
    "after": "A position: everything that changed since, oldest change first, deletions included.",
    "limit": "At most so many.",
    "idempotency-key": "The same key again returns what the first call made.",
    "what": "Only exchanges of this kind, such as push or fetch.",
    "direction": "Only what came in, or went out.",
    "outcome": "Only what ended this way.",
    "id": "As it was given out.",
    "slug": "Its name in addresses.",
    "name": "As it was given when it was made.",
    "action": "What to do.",
}
EXAMPLES: Mapping[str, Any] = {
    "NewEntry": {"title": "A walk", "content_text": "Through the park, in the rain.", "tags": ["park"], "kind": "note"},
    "NewSource": {"url": "https://blog.example/", "slug": "blog"},
    "AddressIn": {"url": "blog.example"},
    "NewHook": {"adapter": "forgejo", "slug": "code"},
    "NewToken": {"name": "phone", "scope": "scrobble"},
    "SourceChange": {"visibility": "private"},
    "SettingsChange": {"note": "Cartographer in Lisbon.", "links": [{"name": "Flickr", "url": "https://f.example/me"}]},
    "Problem": {"type": "about:blank", "title": "Not found", "status": 404, "detail": "There is no source “blog”."},
}
PROBLEMS: Mapping[str, str] = {
    "400": "It makes no sense; the detail says what is wrong.",
    "401": "A token is needed, or the one that was sent is none.",
    "403": "A token of another scope is needed.",
    "404": "There is nothing at this address, or nothing that the caller may see.",
    "409": "In conflict with what is there.",
    "410": "It was deleted.",
    "422": "A field is missing or of the wrong form.",
    "503": "Not now; nothing was changed. Try again in a few seconds.",
}


def describe(app: FastAPI) -> None:
    """Has `/api/openapi.json` say all of it. Made once, when it is first asked for."""
    bare = app.openapi
    app.openapi = cache(lambda: described(bare()))  # type: ignore[method-assign]


def described(schema: dict[str, Any]) -> dict[str, Any]:
    shapes: dict[str, Any] = schema.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        shapes.pop(unused, None)
    shapes["Problem"] = _shape(answers.Problem, shapes)
    for path, operations in schema["paths"].items():
        for method in METHODS:
            if method in operations:
                _complete(operations[method], method.upper(), path, shapes)
    for name, example in EXAMPLES.items():
        shapes[name]["examples"] = [example]
    schema["info"] |= {"summary": "One person's stream.", "description": ABOUT, "license": {"name": "MIT"}}
    schema["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "Made by `lifestream token create NAME`."}
    }
    schema["tags"] = [{"name": name, "description": words} for name, words in TAGS.items()]
    schema["components"]["schemas"] = dict(sorted(shapes.items()))
    return schema


def _complete(operation: dict[str, Any], method: str, path: str, shapes: dict[str, Any]) -> None:
    known = ANSWERS.get(f"{method} {path}", Answer(operation.get("summary", "")))
    operation["summary"] = known.summary
    operation["description"] = " ".join(operation.get("description", "").split())
    operation["tags"] = [path.split("/")[2]]
    operation["security"] = [{"token": []}] if known.scope else [{}, {"token": []}]
    if known.scope:
        needs = f"Takes a token of scope {known.scope}."
        operation["description"] = f"{operation['description']} {needs}".strip()
        operation["x-scope"] = known.scope
    for parameter in operation.get("parameters", []):
        parameter.setdefault("description", PARAMETERS.get(parameter["name"], ""))
    responses = operation["responses"]
    for status in [status for status in responses if status.startswith("2")]:
        responses[status]["description"] = "Done." if known.shape is None else known.summary + "."
        if known.shape is not None:
            responses[status]["content"] = {"application/json": {"schema": _shape(known.shape, shapes)}}
    responses |= {status: _problem(status) for status in _troubles(method, path, known.scope)}


def _troubles(method: str, path: str, scope: str) -> list[str]:
    """The statuses of errors that this call can have."""
    found = ["401", "403"] if scope else ["401"]
    found += ["404"] if "{" in path else []
    found += ["410"] if "/entries/{" in path else []
    found += ["409", "503"] if method != "GET" else []
    return sorted([*found, "400", "422"])


def _problem(status: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": REF + "Problem"}}}
    return {"description": PROBLEMS[status], "content": content}


def _shape(shape: Any, shapes: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type, and its parts among `shapes`."""
    found = TypeAdapter(shape).json_schema(ref_template=REF + "{model}")
    shapes |= {name: part for name, part in found.pop("$defs", {}).items() if name not in shapes}
    name = found.get("title", "")
    if "properties" in found and name:
        shapes[name] = found
        return {"$ref": REF + name} if name != "Problem" else found
    return found


# -- the page ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: str
    description: str
    required: bool
    where: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    method: str
    path: str
    summary: str
    description: str
    scope: str
    parameters: list[Field]
    body: str
    answers: list[tuple[str, str, str]]
    """Status, what it means, and the name of what is answered."""


async def docs(request: Request) -> Response:
    """`/api/docs`: the description, for people."""
    schema = request.app.openapi()
    caller = await caller_of(request.app.state.site, request)
    operations = [_operation(path, method, one) for path, method, one in _every(schema)]
    groups = [
        (tag["name"], tag["description"], [one for one in operations if one.path.split("/")[2] == tag["name"]])
        for tag in schema["tags"]
    ]
    shapes = [
        (name, shape.get("description", ""), _fields(shape)) for name, shape in schema["components"]["schemas"].items()
    ]
    context = {"about": schema["info"]["description"], "groups": groups, "shapes": shapes}
    return await pages.respond(request, caller, "api_docs.html", context)


def _every(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, ops[method]) for path, ops in schema["paths"].items() for method in METHODS if method in ops]


def _operation(path: str, method: str, given: dict[str, Any]) -> Operation:
    body = given.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return Operation(
        id=f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}",
        method=method.upper(),
        path=path,
        summary=given["summary"],
        description=given["description"],
        scope=given.get("x-scope", ""),
        parameters=[
            Field(one["name"], type_of(one["schema"]), one["description"], one.get("required", False), one["in"])
            for one in given.get("parameters", [])
        ],
        body=type_of(body) if body else "",
        answers=[(status, one["description"], _content_of(one)) for status, one in sorted(given["responses"].items())],
    )


def _content_of(response: dict[str, Any]) -> str:
    return next((type_of(one.get("schema", {})) for one in response.get("content", {}).values()), "")


def _fields(shape: dict[str, Any]) -> list[Field]:
    required = shape.get("required", [])
    return [
        Field(name, type_of(one), one.get("description", ""), name in required)
        for name, one in shape.get("properties", {}).items()
    ]


def type_of(schema: dict[str, Any]) -> str:
    """A schema in a few words: "string or null", "list of Entry"."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(REF)
    if either := schema.get("anyOf"):
        return " or ".join(type_of(one) for one in either)
    if "const" in schema:
        return f"“{schema['const']}”"
    if values := schema.get("enum"):
        return "one of " + ", ".join(str(value) for value in values)
    if schema.get("type") == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    return str(schema.get("type", "anything"))


routes = [Route("/api/docs", docs, methods=["GET"])]
