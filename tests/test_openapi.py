"""The API's description is whole, and true of what is answered."""

from typing import Any

import pytest
from lxml import html
from pydantic import BaseModel, TypeAdapter

from lifestream import answers
from lifestream.app import create_app
from lifestream.openapi import ANSWERS, METHODS, TAGS
from lifestream.types import Author, Location, Media
from tests.fakes import AppClient
from tests.living import on_sqlite
from tests.stories import writes

SCHEMA = create_app().openapi()
OPERATIONS = {
    f"{method.upper()} {path}": operations[method]
    for path, operations in SCHEMA["paths"].items()
    for method in METHODS
    if method in operations
}


def test_every_call_is_described() -> None:
    assert OPERATIONS.keys() == ANSWERS.keys()


@pytest.mark.parametrize("call", OPERATIONS)
def test_a_call_says_what_it_does_takes_and_answers(call: str) -> None:
    operation = OPERATIONS[call]
    assert operation["summary"] and operation["tags"][0] in TAGS
    assert all(parameter["description"] for parameter in operation.get("parameters", []))
    succeeds = [status for status in operation["responses"] if status.startswith("2")]
    assert len(succeeds) == 1
    assert ("content" in operation["responses"][succeeds[0]]) == (succeeds != ["204"])
    for status in set(operation["responses"]) - set(succeeds):
        assert list(operation["responses"][status]["content"]) == ["application/problem+json"]


def test_every_reference_leads_somewhere() -> None:
    def references(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*(references(one) for one in node))
        if not isinstance(node, dict):
            return set()
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(one) for one in node.values()))

    known = {f"#/components/schemas/{name}" for name in SCHEMA["components"]["schemas"]}
    assert references(SCHEMA) <= known
    assert not {"HTTPValidationError", "ValidationError"} & SCHEMA["components"]["schemas"].keys()


def test_what_changes_something_takes_a_token() -> None:
    for call, operation in OPERATIONS.items():
        if not call.startswith("GET "):
            assert operation["security"] == [{"token": []}], call


def fits(value: Any, shape: type[BaseModel]) -> None:
    """All the fields that the shape says are there, no others, and each of its type."""
    TypeAdapter(shape).validate_python(value)
    required = {name for name, field in shape.model_fields.items() if field.is_required()}
    assert required <= value.keys() <= shape.model_fields.keys()


@on_sqlite
async def test_what_is_answered_is_what_was_described(client: AppClient) -> None:
    await writes(
        client.site, "A walk", author=Author("Jo", "https://jo.example/"), location=Location(1, 2, "there"),
        media=(Media("image/jpeg", "https://me.example/1.jpg", 1, 2),), tags=("x",),
    )  # fmt: skip
    owner = await client.token("owner")

    async def asked(method: str, path: str, **body: Any) -> Any:
        answer = await client.request(method, path, headers=owner, json=body or None)
        assert answer.is_success, answer.text
        return answer.json()

    listing = await asked("GET", "/api/entries")
    fits(listing, answers.Entries)
    fits(listing["entries"][0], answers.Entry)
    fits(listing["entries"][0]["media"][0], answers.Media)
    fits((await asked("GET", "/api/sources"))[0], answers.Source)
    fits(await asked("POST", "/api/hooks", adapter="gogs", slug="code"), answers.Hook)
    fits(await asked("GET", "/api/hooks/code"), answers.Hook)
    fits(await asked("POST", "/api/tokens", name="phone", scope="scrobble"), answers.Token)
    fits((await asked("GET", "/api/tokens"))[0], answers.Token)
    fits(await asked("GET", "/api/version"), answers.Version)
    await client.post("/push/nobody", content=b"<feed/>")
    fits((await asked("GET", "/api/exchanges"))[0], answers.Exchange)
    fits((await client.get("/api/sources/nobody")).json(), answers.Problem)


@on_sqlite
async def test_the_page_shows_every_call_and_every_shape(client: AppClient) -> None:
    answer = await client.get("/api/docs")
    assert answer.status_code == 200
    page = html.fromstring(answer.text)
    shown = {" ".join(heading.text_content().split()) for heading in page.xpath("//article/h3")}
    assert shown == OPERATIONS.keys() | SCHEMA["components"]["schemas"].keys()
    ids = {one.get("id") for one in page.xpath("//*[@id]")}
    assert {one.get("href") for one in page.xpath("//main//a[starts-with(@href, '#')]")} <= {f"#{name}" for name in ids}
    assert not page.xpath("//script|//@style|//*[starts-with(@src, 'http')]")
    assert "/api/docs" in (await client.get("/about")).text


@on_sqlite
async def test_the_description_is_there_for_programs(client: AppClient) -> None:
    found = (await client.get("/api/openapi.json")).json()
    assert found["openapi"].startswith("3.1") and found == SCHEMA
