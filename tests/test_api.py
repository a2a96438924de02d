"""The API: the shapes of the contract, who may do what, and how it says no."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from lifestream.types import KINDS
from tests.fakes import AppClient
from tests.living import on_sqlite
from tests.stories import gets_history, has_source

ENTRY = {
    "id", "seq", "first_seq", "source", "kind", "verb", "title", "url", "content_html", "summary", "author",
    "published", "updated", "received", "tags", "media", "location", "data", "deleted", "html",
}  # fmt: skip
SOURCE = {
    "slug", "title", "url", "feed_url", "topic", "kind", "visibility", "state", "delivery", "hub_url",
    "lease_expires", "last_push", "last_fetch", "last_entry", "last_error", "entry_count", "missed", "pictures",
    "places",
}  # fmt: skip
FULL = {
    "title": "A walk", "content_html": "<p>Through <b>the</b> park<script>alert(1)</script></p>",
    "url": "https://me.example/walk", "kind": "photo", "published": "2026-03-21T14:31:00+02:00", "tags": ["park", "x"],
    "location": {"lat": 51.5, "lon": -0.12, "name": "London"},
    "media": [{"type": "image/jpeg", "url": "https://me.example/1.jpg", "width": 640, "height": 480, "alt": "a tree"}],
}  # fmt: skip


@pytest.fixture
async def owner(client: AppClient) -> dict[str, str]:
    return await client.token("owner")


@pytest.fixture
async def writer(client: AppClient) -> dict[str, str]:
    return await client.token("write")


async def post(client: AppClient, key: dict[str, str], title: str = "", **more: Any) -> dict[str, Any]:
    body = ({"title": title} if title else {}) | more
    answer = await client.post("/api/entries", json=body, headers=key)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def listed(client: AppClient, **query: Any) -> dict[str, Any]:
    answer = await client.get("/api/entries", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def titles(listing: dict[str, Any]) -> list[str]:
    return [one["title"] for one in listing["entries"]]


def is_problem(answer: Any, status: int) -> bool:
    """RFC 9457, with a sentence for people."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"] and body["detail"].endswith(".")
    return True


# -- entries ----------------------------------------------------------------------------------


async def test_an_entry_has_the_contracts_form(client: AppClient, writer: dict[str, str]) -> None:
    made = await post(client, writer, **FULL)
    assert set(made) == ENTRY
    assert made["source"] == {"slug": "notes", "title": "Notes", "url": made["source"]["url"]}
    assert made["content_html"] == "<p>Through <b>the</b> park</p>"
    assert made["summary"] == "Through the park"
    assert made["published"] == "2026-03-21T12:31:00Z"
    assert (made["kind"], made["verb"], made["tags"], made["deleted"]) == ("photo", "post", ["park", "x"], False)
    assert made["location"] == {"lat": 51.5, "lon": -0.12, "name": "London"}
    assert set(made["media"][0]) == {"type", "url", "width", "height", "alt", "thumbnail"}
    assert made["media"][0]["url"] == "https://me.example/1.jpg"
    assert (made["author"], made["updated"], made["data"]) == (None, None, {})
    assert isinstance(made["seq"], int) and made["first_seq"] == made["seq"] < 2**53
    assert datetime.fromisoformat(made["received"]).utcoffset() == timedelta(0)
    assert made["html"].startswith("<article") and f'data-id="{made["id"]}"' in made["html"]
    assert (await client.get(f"/api/entries/{made['id']}")).json() == made
    assert (await listed(client))["entries"] == [made]


async def test_plain_text_becomes_html(client: AppClient, writer: dict[str, str]) -> None:
    made = await post(client, writer, content_text="one <b>\ntwo\n\nthree")
    assert made["content_html"] == "<p>one &lt;b&gt;<br>two</p><p>three</p>"
    assert (made["title"], made["kind"]) == (None, "note")


@pytest.mark.parametrize(
    "body",
    [
        {}, {"title": ""}, {"title": "x", "kind": "sandwich"}, {"title": "x", "published": "soon"},
        {"title": "x", "url": "javascript:alert(1)"}, {"title": "x", "url": "/relative"}, {"title": "x" * 1001},
        {"title": "x", "location": {"lat": 91, "lon": 0}}, {"title": "x", "media": [{"url": "data:x"}]},
        {"title": "x", "unheard": "of"}, {"title": 7}, {"title": "x", "tags": "a"},
    ],
    ids=str,
)  # fmt: skip
@on_sqlite
async def test_an_entry_that_makes_no_sense_is_refused_in_words(
    client: AppClient, writer: dict[str, str], body: dict[str, Any]
) -> None:
    answer = await client.post("/api/entries", json=body, headers=writer)
    assert answer.status_code in (400, 422)
    assert is_problem(answer, answer.status_code)
    assert (await listed(client))["entries"] == []


@on_sqlite
async def test_a_body_that_is_no_json_is_refused(client: AppClient, writer: dict[str, str]) -> None:
    for body in (b"", b"{", b"[]", b"\xff\xfe", b'"x"'):
        headers = writer | {"Content-Type": "application/json"}
        assert is_problem(await client.post("/api/entries", content=body, headers=headers), 422)


@on_sqlite
async def test_a_body_over_the_limit_is_413_and_not_kept(client: AppClient, writer: dict[str, str]) -> None:
    async def endless() -> Any:
        for _ in range(64):
            yield b" " * 1_000_000

    for body in (b'{"title": "' + b"x" * 30_000_000 + b'"}', endless()):
        headers = writer | {"Content-Type": "application/json"}
        assert is_problem(await client.post("/api/entries", content=body, headers=headers), 413)


async def test_characters_that_a_database_cannot_hold_do_not_break_anything(
    client: AppClient, writer: dict[str, str], owner: dict[str, str]
) -> None:
    made = await post(client, writer, "a\0b", content_text="c\0d", tags=["e\0f"])
    assert "\0" not in str(made)
    for body in ({"url": "local:x", "title": "a\0b"}, {"url": "http://blog.example/\0"}, {"url": "local:a\0b"}):
        answer = await client.post("/api/sources", json=body, headers=owner)
        assert answer.status_code in (201, 400, 422), answer.text
    for path in ("/api/entries/%00", "/api/sources/%00", "/api/entries?source=%00", "/api/entries?q=%00&tag=%00"):
        assert (await client.get(path)).status_code in (200, 404)
    answer = await client.post("/api/entries", json={"title": "x", "source": "\0"}, headers=writer)
    assert answer.status_code in (404, 422)


async def test_entries_are_written_into_local_sources_only(
    client: AppClient, writer: dict[str, str], owner: dict[str, str]
) -> None:
    await client.post("/api/sources", json={"url": "http://blog.example/feed", "slug": "blog"}, headers=owner)
    answer = await client.post("/api/entries", json={"title": "x", "source": "blog"}, headers=writer)
    assert is_problem(answer, 409)
    answer = await client.post("/api/entries", json={"title": "x", "source": "nowhere"}, headers=writer)
    assert is_problem(answer, 404)


async def test_the_same_key_again_gives_the_first_calls_entry(client: AppClient, writer: dict[str, str]) -> None:
    key = writer | {"Idempotency-Key": "k-1"}
    calls = [client.post("/api/entries", json={"title": f"call {number}"}, headers=key) for number in range(5)]
    answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await listed(client))["entries"]) == 1
    await post(client, writer | {"Idempotency-Key": "k-2"}, "another")
    assert len((await listed(client))["entries"]) == 2


async def test_an_edit_changes_what_was_given_and_gets_a_new_number(client: AppClient, writer: dict[str, str]) -> None:
    made = await post(client, writer, **FULL)
    path = f"/api/entries/{made['id']}"
    edited = (await client.patch(path, json={"title": "Better"}, headers=writer)).json()
    assert edited["seq"] > made["seq"]
    assert edited["updated"] is not None
    same = ENTRY - {"seq", "title", "updated", "html"}
    assert {name: edited[name] for name in same} == {name: made[name] for name in same}
    assert edited["title"] == "Better"
    assert (await client.get(path)).json() == edited
    none = (await client.patch(path, json={"title": None, "location": None, "tags": []}, headers=writer)).json()
    assert (none["title"], none["location"], none["tags"]) == (None, None, [])


async def test_a_deleted_entry_is_gone_and_its_words_with_it(client: AppClient, writer: dict[str, str]) -> None:
    made = await post(client, writer, "secret")
    path = f"/api/entries/{made['id']}"
    assert (await client.delete(path, headers=writer)).status_code == 204
    assert is_problem(await client.get(path), 410)
    for again in (client.delete(path, headers=writer), client.patch(path, json={"title": "x"}, headers=writer)):
        assert is_problem(await again, 410)
    changed = await listed(client, after=made["seq"])
    (gone,) = changed["entries"]
    assert set(gone) == ENTRY
    assert (gone["id"], gone["deleted"], gone["title"], gone["content_html"]) == (made["id"], True, None, "")
    assert "secret" not in str(changed)


async def test_what_is_not_there_is_404(client: AppClient, writer: dict[str, str], owner: dict[str, str]) -> None:
    for path in ("/api/entries/nothing", "/api/sources/nothing", "/api/nothing"):
        assert is_problem(await client.get(path), 404)
    assert is_problem(await client.delete("/api/entries/nothing", headers=writer), 404)
    assert is_problem(await client.patch("/api/entries/nothing", json={"title": "x"}, headers=writer), 404)
    assert is_problem(await client.delete("/api/sources/nothing", headers=owner), 404)
    assert is_problem(await client.post("/api/sources/nothing/pause", headers=owner), 404)


# -- listing ----------------------------------------------------------------------------------


async def test_a_listing_pages_through_everything_once(client: AppClient, writer: dict[str, str]) -> None:
    for number in range(7):
        await post(client, writer, f"{number}")
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await listed(client, limit=3, **({"before": cursor} if cursor else {}))
        assert set(page) == {"entries", "next", "seq"}
        seen += titles(page)
        cursor = page["next"]
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]


@pytest.mark.parametrize("limit", ["0", "-1", "201", "x", "1e3", "9" * 30])
@on_sqlite
async def test_a_limit_out_of_bounds_is_refused(client: AppClient, limit: str) -> None:
    answer = await client.get("/api/entries", params={"limit": limit})
    assert is_problem(answer, answer.status_code)
    assert answer.status_code in (400, 422)


@on_sqlite
async def test_the_default_limit_is_50_and_the_most_200(client: AppClient, writer: dict[str, str]) -> None:
    await gets_history(client.site, *(f"{number}" for number in range(210)))
    assert len((await listed(client))["entries"]) == 50
    assert len((await listed(client, limit=200))["entries"]) == 200
    assert len((await listed(client, after=0))["entries"]) == 50


@pytest.mark.parametrize(
    "query",
    ["kind=sandwich", "near=1", "near=91,0,1", "before=x", "after=x", "after=-1", "after=1.5", "q=" + "x" * 300],
)
@on_sqlite
async def test_a_filter_that_makes_no_sense_is_refused(client: AppClient, query: str) -> None:
    assert is_problem(await client.get(f"/api/entries?{query}"), 400)


async def test_filters_may_be_combined(client: AppClient, writer: dict[str, str]) -> None:
    await post(client, writer, **FULL)
    await post(client, writer, **(FULL | {"title": "Another", "tags": ["Park"], "kind": "note"}))
    for query, found in (
        ({"kind": "photo"}, ["A walk"]),
        ({"tag": "PARK"}, ["Another", "A walk"]),
        ({"tag": "park", "kind": "photo", "source": "notes", "q": "THROUGH park"}, ["A walk"]),
        ({"near": "51.5,-0.1,10"}, ["Another", "A walk"]),
        ({"near": "48.8,2.3,10"}, []),
        ({"source": "blog"}, []),
        ({"q": "nowhere"}, []),
    ):
        assert sorted(titles(await listed(client, **query))) == sorted(found), query


async def test_after_gives_every_change_oldest_first_and_then_the_head(
    client: AppClient, writer: dict[str, str]
) -> None:
    made = [await post(client, writer, f"{number}") for number in range(5)]
    await client.delete(f"/api/entries/{made[1]['id']}", headers=writer)
    edited = (await client.patch(f"/api/entries/{made[0]['id']}", json={"title": "edited"}, headers=writer)).json()
    page = await listed(client, after=0, limit=3)
    assert titles(page) == ["2", "3", "4"]
    assert page["seq"] == made[4]["seq"]
    page = await listed(client, after=page["seq"], limit=3)
    assert [(one["title"], one["deleted"]) for one in page["entries"]] == [(None, True), ("edited", False)]
    assert page["seq"] == edited["seq"]
    page = await listed(client, after=page["seq"])
    assert (page["entries"], page["seq"]) == ([], edited["seq"])
    assert (await listed(client))["seq"] == edited["seq"]


@on_sqlite
async def test_after_with_a_filter_goes_on_to_the_head(client: AppClient, writer: dict[str, str]) -> None:
    first = await post(client, writer, "photo", kind="photo")
    for number in range(5):
        last = await post(client, writer, f"{number}")
    page = await listed(client, after=0, kind="photo", limit=1)
    assert (titles(page), page["seq"]) == (["photo"], first["seq"])
    page = await listed(client, after=page["seq"], kind="photo", limit=1)
    assert (titles(page), page["seq"]) == ([], last["seq"])


@on_sqlite
async def test_quiet_entries_are_listed_with_after_too(client: AppClient) -> None:
    await gets_history(client.site, "old")
    assert titles(await listed(client, after=0)) == ["old"]
    assert titles(await listed(client)) == ["old"]


# -- sources ----------------------------------------------------------------------------------


async def test_a_source_has_the_contracts_form(client: AppClient, owner: dict[str, str]) -> None:
    body = {"url": "http://blog.example/", "title": "Blog", "slug": "blog", "kind": "article", "visibility": "public"}
    answer = await client.post("/api/sources", json=body, headers=owner)
    assert answer.status_code == 201
    made = answer.json()
    assert set(made) == SOURCE
    assert {name: made[name] for name in body} == body
    assert (made["state"], made["delivery"], made["entry_count"]) == ("pending", "polling", 0)
    unknown = ("feed_url", "topic", "hub_url", "lease_expires", "last_push", "last_fetch", "last_entry", "last_error")
    assert all(made[name] is None for name in unknown)
    assert (await client.get("/api/sources/blog")).json() == made
    listed = (await client.get("/api/sources")).json()
    assert [one["slug"] for one in listed] == ["notes", "blog"]
    assert listed[1] == made


async def test_notes_is_there_from_the_start(client: AppClient) -> None:
    (notes,) = (await client.get("/api/sources")).json()
    assert set(notes) == SOURCE
    assert (notes["slug"], notes["url"], notes["state"], notes["delivery"], notes["visibility"]) == (
        "notes", "local:notes", "active", "local", "public",
    )  # fmt: skip
    assert (notes["feed_url"], notes["topic"]) == (None, None)


async def test_a_local_source_can_be_made_and_written_into(
    client: AppClient, owner: dict[str, str], writer: dict[str, str]
) -> None:
    made = (await client.post("/api/sources", json={"url": "local:diary"}, headers=owner)).json()
    assert (made["slug"], made["url"], made["delivery"], made["state"]) == ("diary", "local:diary", "local", "active")
    await post(client, writer, "dear diary", source="diary")
    assert (await client.get("/api/sources/diary")).json()["entry_count"] == 1
    assert (await client.get("/api/sources/diary")).json()["last_entry"] is not None


async def test_what_is_followed_already_is_a_conflict(client: AppClient, owner: dict[str, str]) -> None:
    body = {"url": "http://blog.example/feed", "slug": "blog"}
    assert (await client.post("/api/sources", json=body, headers=owner)).status_code == 201
    for again in (
        body, {"url": "https://BLOG.example:443/feed"}, {"url": "http://other.example/", "slug": "blog"},
        {"url": "local:notes"}, {"url": "local:blog"},
    ):  # fmt: skip
        assert is_problem(await client.post("/api/sources", json=again, headers=owner), 409), again


@pytest.mark.parametrize(
    "body",
    [
        {}, {"url": ""}, {"url": "two words"}, {"url": "ftp://blog.example/"}, {"url": "javascript:alert(1)"},
        {"url": "local:"}, {"url": "local:../x"}, {"url": "http://b.example/", "slug": "No Slug"},
        {"url": "http://b.example/", "visibility": "some"}, {"url": "http://b.example/", "kind": "sandwich"},
        {"url": "http://b.example/", "hub": "x"}, {"url": "http://b.example/", "more": 1},
        {"url": "http://user:pass@b.example/"}, {"url": "http://" + "b" * 9000},
    ],
    ids=lambda body: str(body)[:60],
)  # fmt: skip
@on_sqlite
async def test_a_source_that_makes_no_sense_is_refused_in_words(
    client: AppClient, owner: dict[str, str], body: dict[str, Any]
) -> None:
    answer = await client.post("/api/sources", json=body, headers=owner)
    assert answer.status_code in (400, 422), answer.text
    assert is_problem(answer, answer.status_code)
    assert len((await client.get("/api/sources")).json()) == 1


async def test_a_source_can_be_renamed_hidden_and_shown(
    client: AppClient, owner: dict[str, str], writer: dict[str, str]
) -> None:
    await client.post("/api/sources", json={"url": "local:diary"}, headers=owner)
    made = await post(client, writer, "dear diary", source="diary")
    changed = {"title": "My diary", "kind": "note", "visibility": "private"}
    answer = await client.patch("/api/sources/diary", json=changed, headers=owner)
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in changed} == changed
    assert is_problem(await client.get("/api/sources/diary"), 404)
    assert is_problem(await client.get(f"/api/entries/{made['id']}"), 404)
    assert (await client.get(f"/api/entries/{made['id']}", headers=owner)).json()["source"]["title"] == "My diary"
    (gone,) = (await listed(client, after=made["seq"]))["entries"]
    assert (gone["id"], gone["deleted"]) == (made["id"], True)
    assert "dear diary" not in str(gone)
    await client.patch("/api/sources/diary", json={"visibility": "public"}, headers=owner)
    assert titles(await listed(client)) == ["dear diary"]


async def test_a_removed_source_takes_its_entries_with_it(
    client: AppClient, owner: dict[str, str], writer: dict[str, str]
) -> None:
    await client.post("/api/sources", json={"url": "local:diary"}, headers=owner)
    made = await post(client, writer, "dear diary", source="diary")
    assert (await client.delete("/api/sources/diary", headers=owner)).status_code == 204
    assert is_problem(await client.get("/api/sources/diary", headers=owner), 404)
    assert is_problem(await client.get(f"/api/entries/{made['id']}"), 410)
    assert [one["deleted"] for one in (await listed(client, after=made["seq"]))["entries"]] == [True]
    assert (await client.post("/api/sources", json={"url": "local:diary"}, headers=owner)).status_code == 201
    assert (await listed(client))["entries"] == []


async def test_a_source_can_be_paused_resumed_and_refreshed(client: AppClient, owner: dict[str, str]) -> None:
    await client.post("/api/sources", json={"url": "http://blog.example/feed", "slug": "blog"}, headers=owner)
    for action, state in (("pause", "paused"), ("refresh", "paused"), ("resume", "pending"), ("refresh", "pending")):
        answer = await client.post(f"/api/sources/blog/{action}", headers=owner)
        assert (answer.status_code, answer.json()["state"]) == (200, state), action
    answer = await client.post("/api/sources/blog/explode", headers=owner)
    assert answer.status_code in (404, 422)
    assert is_problem(answer, answer.status_code)
    assert is_problem(await client.post("/api/sources/notes/pause", headers=owner), 409)


# -- who may do what --------------------------------------------------------------------------

CALLS = [
    ("POST", "/api/entries", "write"), ("PATCH", "/api/entries/x", "write"), ("DELETE", "/api/entries/x", "write"),
    ("POST", "/api/sources", "owner"), ("PATCH", "/api/sources/notes", "owner"),
    ("DELETE", "/api/sources/notes", "owner"), ("POST", "/api/sources/notes/refresh", "owner"),
    ("POST", "/api/sources/notes/pause", "owner"), ("POST", "/api/sources/notes/resume", "owner"),
]  # fmt: skip
ALLOWED = {"write": {"write", "owner"}, "owner": {"owner"}}


@pytest.mark.parametrize(("method", "path", "scope"), CALLS)
@on_sqlite
async def test_each_call_needs_its_scope(client: AppClient, method: str, path: str, scope: str) -> None:
    body = {"title": "x", "url": "http://blog.example/"}
    anonymous = await client.request(method, path, json=body)
    assert is_problem(anonymous, 401)
    assert anonymous.headers["www-authenticate"].startswith("Bearer")
    assert is_problem(await client.request(method, path, json=body, headers={"Authorization": "Bearer ls_no"}), 401)
    for held in ("read", "scrobble", "write", "owner"):
        answer = await client.request(method, path, json=body, headers=await client.token(held))
        if held in ALLOWED[scope]:
            assert answer.status_code not in (401, 403), held
        else:
            assert is_problem(answer, 403), held


async def test_a_token_sees_private_sources_by_its_scope(client: AppClient, owner: dict[str, str]) -> None:
    await has_source(client.site, "diary", "private")
    made = await post(client, owner, "dear diary", source="diary")
    for scope, sees in ((None, False), ("scrobble", False), ("read", True), ("write", True), ("owner", True)):
        headers = await client.token(scope) if scope else {}
        answers = [
            await client.get(path, headers=headers) for path in (f"/api/entries/{made['id']}", "/api/sources/diary")
        ]
        assert [answer.status_code == 200 for answer in answers] == [sees, sees], scope
        for path in ("/api/entries", "/api/entries?after=0", "/api/sources"):
            assert ("diary" in (await client.get(path, headers=headers)).text) is sees, (scope, path)


@on_sqlite
async def test_a_token_that_is_none_is_not_taken_for_a_stranger(client: AppClient) -> None:
    for header in ("Bearer nonsense", "bearer ", "Bearer é".encode()):
        assert is_problem(await client.get("/api/entries", headers={"Authorization": header}), 401)


@on_sqlite
async def test_any_origin_may_read_what_anybody_may(client: AppClient) -> None:
    for path in ("/api/entries", "/api/sources", "/api/entries/nothing"):
        answer = await client.get(path, headers={"Origin": "https://reader.example"})
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


@on_sqlite
async def test_the_api_is_described_by_openapi(client: AppClient) -> None:
    answer = await client.get("/api/openapi.json")
    assert answer.status_code == 200
    described = answer.json()
    assert described["openapi"].startswith("3.")
    assert {"/api/entries", "/api/entries/{id}", "/api/sources", "/api/sources/{slug}"} <= set(described["paths"])


@on_sqlite
async def test_every_kind_can_be_written_and_asked_for(client: AppClient, writer: dict[str, str]) -> None:
    for kind in KINDS:
        await post(client, writer, kind, kind=kind)
        assert titles(await listed(client, kind=kind)) == [kind]


# -- the canary -------------------------------------------------------------------------------


async def test_no_word_of_a_private_source_is_on_any_anonymous_surface(
    client: AppClient, owner: dict[str, str]
) -> None:
    canary = "zanzibarcanary"
    body = {"url": "local:" + canary, "title": canary, "visibility": "private"}
    assert (await client.post("/api/sources", json=body, headers=owner)).status_code == 201
    words = {"title": canary, "content_text": canary, "tags": [canary], "url": f"https://{canary}.example/"}
    made = await post(client, owner, source=canary, **words)
    edited = await post(client, owner, source=canary, **words)
    await client.patch(f"/api/entries/{edited['id']}", json={"title": canary + "2"}, headers=owner)
    gone = await post(client, owner, source=canary, **words)
    await client.delete(f"/api/entries/{gone['id']}", headers=owner)
    feed = {"url": f"http://{canary}.example/feed", "slug": canary + "-feed", "visibility": "private"}
    await client.post("/api/sources", json=feed, headers=owner)
    await post(client, owner, "public")

    paths = [
        "/", f"/?source={'x' * 5}", "/sources", "/hub", "/login", "/feed.atom", "/api/entries", "/api/entries?after=0",
        "/api/sources", "/api/openapi.json", "/healthz", "/readyz", "/sources/notes", "/sources/notes/feed.atom",
    ]  # fmt: skip
    ids = (made["id"], edited["id"], gone["id"])
    paths += [f"/entries/{one}" for one in ids] + [f"/api/entries/{one}" for one in ids]
    for path in paths:
        answer = await client.get(path)
        assert canary not in answer.text and canary not in str(answer.headers), path
        assert not any(one in answer.text for one in ids), path
    for one in ids:
        assert (await client.get(f"/api/entries/{one}")).status_code == 404
        assert (await client.get(f"/entries/{one}")).status_code == 404
    hidden = ["/sources/{}", "/sources/{}/feed.atom", "/api/sources/{}"]
    for path in hidden:  # indistinguishable from what is not there, but for the name that was asked for
        there, nowhere = await client.get(path.format(canary)), await client.get(path.format("x" * len(canary)))
        assert there.status_code == nowhere.status_code == 404
        assert there.text.replace(canary, "x" * len(canary)) == nowhere.text
    ping = {"hub.mode": "publish", "hub.url": feed["url"]}
    assert canary not in (await client.post("/hub", data=ping)).text


@on_sqlite
async def test_the_pictures_in_what_is_posted_are_its_media(client: AppClient) -> None:
    text = '<p>Look: <img src="https://photos.example/1.jpg" alt="Dunes" width="1200" height="800"></p>'
    answer = await client.post("/api/entries", json={"content_html": text}, headers=await client.token("write"))
    assert [(one["url"], one["width"], one["alt"]) for one in answer.json()["media"]] == [
        ("https://photos.example/1.jpg", 1200, "Dunes")
    ]
    given = {"content_html": text, "media": []}
    answer = await client.post("/api/entries", json=given, headers=await client.token("write"))
    assert answer.json()["media"] == []
