"""The owner's pages for webhooks and tokens: what is secret is on the page that answers its making, and on no other."""

import html
import re

import httpx2
import pytest

from lifestream.admin import set_password
from lifestream.store import owner as keys
from lifestream.store import sources
from tests.fakes import AppClient

PASSWORD = "correct horse battery"


@pytest.fixture
async def owner(client: AppClient) -> AppClient:
    """The app in the owner's browser."""
    await set_password(client.site, PASSWORD)
    client.headers["Origin"] = client.site.config.base_url
    assert (await client.post("/login", data={"password": PASSWORD})).status_code == 303
    return client


async def sends(client: AppClient, path: str, **form: str) -> httpx2.Response:
    page = await client.get(f"/admin/{path.split('/')[2]}")
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found
    return await client.post(path, data={"csrf": found[1]} | form)


def secret_on(page: httpx2.Response) -> str:
    found = re.search(r"<dt>Secret</dt><dd><code>([^<]+)</code>", page.text)
    assert found, page.text
    return found[1]


async def test_a_hook_is_made_with_what_to_paste_and_its_secret_is_shown_once(owner: AppClient) -> None:
    made = await sends(owner, "/admin/hooks", adapter="forgejo", slug="code", does="post")
    assert made.status_code == 200 and made.headers["cache-control"] == "no-store"
    secret = secret_on(made)
    assert f"Target URL    {owner.site.config.base_url}/hooks/code\n" in made.text
    assert f"Secret        {secret}\n" in made.text
    page = await owner.get("/admin/hooks")
    assert 'id="h-code"' in page.text and "Nothing came yet" in page.text and secret not in page.text
    posted = await owner.post("/hooks/code", json={}, headers={"X-Forgejo-Signature": "0"})
    assert posted.status_code == 403
    page = await owner.get("/admin/hooks")
    assert "Needs you" in page.text and "not made with this hook" in page.text


async def test_a_hook_gets_another_secret_and_goes(owner: AppClient) -> None:
    first = secret_on(await sends(owner, "/admin/hooks", adapter="generic", slug="house", does="post"))
    second = secret_on(await sends(owner, "/admin/hooks/house/rotate"))
    assert first != second
    for token in (first, second):
        assert (await owner.post(f"/hooks/house?token={token}", json={"title": token})).status_code == 200
    page = await owner.get("/admin/hooks")
    assert "the secret before is good until" in page.text and "1 new" in page.text
    assert first not in page.text and second not in page.text
    assert "was removed" in (await sends(owner, "/admin/hooks/house/remove")).text
    assert (await owner.post(f"/hooks/house?token={second}", json={})).status_code == 404
    assert (await sends(owner, "/admin/hooks/house/remove")).status_code == 422
    assert (await sends(owner, "/admin/hooks/house/paint")).status_code == 400


async def test_a_hook_may_be_private_from_the_start_or_ping(owner: AppClient) -> None:
    await sends(owner, "/admin/hooks", adapter="gogs", slug="work", does="post", private="on")
    async with owner.site.store.read() as db:
        assert (await sources.get(db, "work", audience="owner")).visibility == "private"
    pings = await sends(owner, "/admin/hooks", adapter="gogs", slug="deploy", does="ping", topic="https://b.example/f")
    assert "pings <span" in pings.text
    async with owner.site.store.begin() as db:
        await sources.add_local(db, "open", now=owner.site.now())
    for form, words in (
        ({"adapter": "gogs", "slug": "again", "does": "ping", "topic": ""}, "needs the address"),
        ({"adapter": "gogs", "slug": "work", "does": "post"}, "already"),
        ({"adapter": "gogs", "slug": "open", "does": "post", "private": "on"}, "it is private, and"),
        ({"adapter": "plex", "slug": "music", "does": "post", "private": "on"}, "private or not for itself"),
        ({"adapter": "cvs", "slug": "x", "does": "post"}, "no adapter"),
        ({"adapter": "gogs", "slug": "", "does": "post"}, "slug:"),
    ):
        answer = await sends(owner, "/admin/hooks", **form)
        assert answer.status_code == 422 and words in html.unescape(answer.text), form


async def test_a_token_is_shown_once_with_what_to_enter_at_each_player(owner: AppClient) -> None:
    made = await sends(owner, "/admin/tokens", name="kitchen", scope="scrobble")
    found = re.search(r"<code>(ls_[\w-]+)</code>", made.text)
    assert found and made.headers["cache-control"] == "no-store"
    token = found[1]
    assert f"password = {token}\n" in made.text and f"LZ_TOKEN={token}" in made.text
    page = await owner.get("/admin/tokens")
    assert ">kitchen</th>" in page.text and ">never</td>" in page.text and token not in page.text
    answer = await owner.get("/scrobble/1/validate-token", headers={"Authorization": f"Token {token}"})
    assert answer.json()["valid"] is True
    await owner.site.uses.written()
    assert "never" not in (await owner.get("/admin/tokens")).text
    assert "was revoked" in (await sends(owner, "/admin/tokens/revoke", name="kitchen")).text
    answer = await owner.get("/scrobble/1/validate-token", headers={"Authorization": f"Token {token}"})
    assert answer.json()["valid"] is False


async def test_a_token_that_cannot_be_is_refused_in_words(owner: AppClient) -> None:
    await sends(owner, "/admin/tokens", name="kitchen", scope="read")
    for form, words in (
        ({"name": "kitchen", "scope": "read"}, "already"),
        ({"name": "x", "scope": "king"}, "is no scope"),
        ({"name": " ", "scope": "read"}, "name:"),
    ):
        answer = await sends(owner, "/admin/tokens", **form)
        assert answer.status_code == 422 and words in answer.text
    assert (await sends(owner, "/admin/tokens/revoke", name="other")).status_code == 422


@pytest.mark.parametrize(
    "path", ["/admin/hooks", "/admin/hooks/x/remove", "/admin/hooks/x/rotate", "/admin/tokens", "/admin/tokens/revoke"]
)
async def test_only_the_owners_own_pages_can_send_these_forms(owner: AppClient, path: str) -> None:
    answer = await owner.post(path, data={"csrf": "", "name": "x", "scope": "owner", "adapter": "gogs", "slug": "x"})
    assert answer.status_code == 403
    owner.cookies.clear()
    assert (await owner.post(path, data={})).status_code == 401
    assert (await owner.get("/admin/hooks")).headers["location"] == "/login"
    assert (await owner.get("/admin/tokens")).headers["location"] == "/login"


async def test_the_api_makes_and_revokes_tokens_for_the_owner(client: AppClient) -> None:
    headers = await client.token("owner")
    made = (await client.post("/api/tokens", json={"name": "a/b", "scope": "scrobble"}, headers=headers)).json()
    assert (made["name"], made["scope"], made["last_used"]) == ("a/b", "scrobble", None)
    assert any(made["token"] in words for words in made["set_up"].values())
    listed = (await client.get("/api/tokens", headers=headers)).json()
    assert "a/b" in [one["name"] for one in listed] and made["token"] not in str(listed)
    assert (await client.post("/api/tokens", json={"name": "a/b"}, headers=headers)).status_code == 409
    assert (await client.post("/api/tokens", json={"name": "x", "scope": "king"}, headers=headers)).status_code == 400
    assert (await client.delete("/api/tokens/a/b", headers=headers)).status_code == 204
    assert (await client.delete("/api/tokens/a/b", headers=headers)).status_code == 404
    writer = await client.token("write")
    assert (await client.get("/api/tokens", headers=writer)).status_code == 403
    assert (await client.post("/api/tokens", json={"name": "y"}, headers=writer)).status_code == 403


async def test_that_a_token_was_used_is_written_down_once_a_minute(client: AppClient) -> None:
    headers = await client.token("read")
    await client.get("/api/sources", headers=headers)
    await client.site.uses.written()
    first = await last_used(client)
    await client.get("/api/sources", headers=headers)
    await client.site.uses.written()
    assert first is not None and await last_used(client) == first


async def last_used(client: AppClient) -> object:
    async with client.site.store.read() as db:
        (token,) = await keys.tokens(db)
    return token.last_used
