"""The owner's pages: set-up, signing in and out, and forms that only the owner's own pages can send."""

import re
from typing import Any

import pytest

from lifestream.admin import TRIES_A_MINUTE, Tries, new_setup_link, set_password
from lifestream.app import create_app, running
from lifestream.config import Config
from lifestream.errors import TooManyRequests
from lifestream.protocol.limits import MOST_NAMES
from lifestream.store import sources
from lifestream.types import Source
from tests.fakes import AppClient
from tests.living import on_sqlite

PASSWORD = "correct horse battery"


@pytest.fixture
async def owner(client: AppClient) -> AppClient:
    """The app in the owner's browser: signed in, and sending the Origin that browsers send."""
    await set_password(client.site, PASSWORD)
    client.headers["Origin"] = client.site.config.base_url
    answer = await client.post("/login", data={"password": PASSWORD})
    assert answer.status_code == 303
    return client


async def token_of(client: AppClient) -> str:
    """The form token of the owner's page."""
    page = await client.get("/admin/sources")
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found
    return found[1]


async def send(client: AppClient, path: str, **form: str) -> Any:
    return await client.post(path, data={"csrf": await token_of(client)} | form)


async def slugs(client: AppClient) -> list[str]:
    async with client.site.store.read() as db:
        return [one.slug for one in await sources.every(db, audience="owner")]


async def source(client: AppClient, slug: str = "blog") -> Source:
    async with client.site.store.read() as db:
        return await sources.get(db, slug, audience="owner")


def path_of(link: str | None) -> str:
    assert link
    return "/" + link.split("/", 3)[3]


# -- set-up -----------------------------------------------------------------------------------


async def test_nobody_keeps_the_pages_that_lead_in(client: AppClient) -> None:
    link = path_of(await new_setup_link(client.site))
    for path, status in ((link, 200), ("/setup?token=x", 403), ("/login", 200), ("/admin/nothing", 404)):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["cache-control"], answer.headers.get("etag")) == (
            status, "no-store", None
        ), path  # fmt: skip
    refused = await client.post("/login", data={"password": "wrong"})
    assert (refused.status_code, refused.headers["cache-control"]) == (401, "no-store")


async def test_the_set_up_link_works_once(client: AppClient) -> None:
    link = path_of(await new_setup_link(client.site))
    page = await client.get(link)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    form = {"token": link.partition("token=")[2], "password": PASSWORD}
    answer = await client.post("/setup", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin/sources")
    assert (await client.get("/admin/sources")).status_code == 200, "the owner is signed in"
    client.cookies.clear()
    assert (await client.get(link)).status_code == 403
    assert (await client.post("/setup", data=form | {"password": "another one"})).status_code == 403
    assert (await client.post("/login", data={"password": PASSWORD})).status_code == 303
    assert await new_setup_link(client.site) is None


@on_sqlite
async def test_only_the_newest_set_up_link_works(client: AppClient) -> None:
    first, second = path_of(await new_setup_link(client.site)), path_of(await new_setup_link(client.site))
    assert (await client.get(first)).status_code == 403
    assert (await client.get(second)).status_code == 200


@on_sqlite
async def test_a_set_up_link_that_nobody_gave_out_is_refused(client: AppClient) -> None:
    for link in ("/setup", "/setup?token=", "/setup?token=x", "/setup?token=%C3%A9"):
        assert (await client.get(link)).status_code == 403
    await new_setup_link(client.site)
    assert (await client.post("/setup", data={"token": "x", "password": PASSWORD})).status_code == 403


@on_sqlite
async def test_a_short_password_is_refused_in_words_and_the_link_stays_good(client: AppClient) -> None:
    link = path_of(await new_setup_link(client.site))
    answer = await client.post("/setup", data={"token": link.partition("token=")[2], "password": "short"})
    assert answer.status_code == 422
    assert "8" in answer.text
    assert (await client.get(link)).status_code == 200


# -- signing in and out -----------------------------------------------------------------------


async def test_the_cookie_is_for_this_site_and_out_of_scripts_reach(client: AppClient) -> None:
    await set_password(client.site, PASSWORD)
    answer = await client.post("/login", data={"password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("lifestream=")
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/" in cookie
    assert "secure" not in cookie, "over plain http it would be lost"


@on_sqlite
async def test_over_https_the_cookie_is_secure_and_bound_to_the_host(config: Config) -> None:
    app = create_app()
    secure = config.model_copy(update={"base_url": "https://stream.example"})
    async with running(app, secure, background=False), AppClient(app, secure.base_url) as client:
        await set_password(client.site, PASSWORD)
        answer = await client.post("/login", data={"password": PASSWORD})
        assert answer.headers["set-cookie"].startswith("__Host-lifestream=")
        assert "secure" in answer.headers["set-cookie"].lower()
        assert (await client.get("/admin/sources")).status_code == 200


async def test_a_wrong_password_is_refused_and_soon_slowed(client: AppClient) -> None:
    await set_password(client.site, PASSWORD)
    for _ in range(TRIES_A_MINUTE):
        answer = await client.post("/login", data={"password": "wrong"})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
    answer = await client.post("/login", data={"password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    assert (await client.get("/admin/sources")).status_code == 303


def test_a_guesser_has_the_network_around_his_address_and_is_not_forgotten_for_others() -> None:
    tries = Tries()
    for number in range(TRIES_A_MINUTE):
        tries.count(f"2001:db8::{number}")
    for number in range(MOST_NAMES - 1):
        tries.count(f"2001:db8:{number >> 8:x}:{number & 255 or 256:x}::1")
    with pytest.raises(TooManyRequests):
        tries.count("2001:db8::ffff")
    tries.count("198.51.100.7")
    assert len(tries._tries) == MOST_NAMES


@on_sqlite
async def test_without_a_password_nobody_gets_in(client: AppClient) -> None:
    for given in ("", "x", "\0"):
        assert (await client.post("/login", data={"password": given})).status_code == 401


async def test_signing_out_ends_the_session(owner: AppClient) -> None:
    cookie = dict(owner.cookies)
    answer = await send(owner, "/logout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    owner.cookies.clear()
    for name, value in cookie.items():
        owner.cookies.set(name, value)
    assert (await owner.get("/admin/sources")).status_code == 303, "the old cookie is worth nothing"


@on_sqlite
async def test_a_new_password_signs_everybody_out(owner: AppClient) -> None:
    await set_password(owner.site, "another password")
    assert (await owner.get("/admin/sources")).status_code == 303


@on_sqlite
async def test_a_stranger_is_sent_to_sign_in(client: AppClient) -> None:
    for path in ("/admin", "/admin/sources"):
        answer = await client.get(path, follow_redirects=True)
        assert answer.url.path == "/login"
    client.cookies.set("lifestream", "nonsense")
    assert (await client.get("/admin/sources")).headers["location"] == "/login"


# -- forms ------------------------------------------------------------------------------------

FORMS = [
    "/logout", "/admin/sources", "/admin/sources/notes/refresh", "/admin/sources/notes/pause",
    "/admin/sources/notes/resume", "/admin/sources/notes/remove",
]  # fmt: skip


@pytest.mark.parametrize("path", FORMS)
@on_sqlite
async def test_a_form_is_taken_from_our_own_pages_only(owner: AppClient, path: str) -> None:
    token = await token_of(owner)
    form = {"csrf": token, "url": "http://blog.example/"}
    wrong = [
        ({}, {"csrf": ""}), ({}, {"csrf": "x"}), ({}, {"csrf": "é"}), ({"Origin": "https://evil.example"}, {}),
        ({"Origin": "null"}, {}), ({"Origin": ""}, {}), ({"Origin": "http://127.0.0.1:1"}, {}),
    ]  # fmt: skip
    for headers, change in wrong:
        answer = await owner.post(path, data=form | change, headers=headers)
        assert answer.status_code == 403, (headers, change)
    owner.cookies.clear()
    assert (await owner.post(path, data=form)).status_code == 401
    assert await slugs(owner) == ["notes"]


@on_sqlite
async def test_a_token_from_another_session_is_no_good(owner: AppClient) -> None:
    old = await token_of(owner)
    await owner.post("/login", data={"password": PASSWORD})
    assert (await owner.post("/admin/sources", data={"csrf": old, "url": "http://b.example/"})).status_code == 403


@on_sqlite
async def test_the_api_does_not_take_the_cookie_for_changes(owner: AppClient) -> None:
    assert (await owner.post("/api/entries", json={"title": "x"})).status_code == 401
    assert (await owner.delete("/api/sources/notes")).status_code == 401


async def test_a_source_can_be_added_paused_resumed_refreshed_and_removed(owner: AppClient) -> None:
    form = {"url": "http://blog.example/", "slug": "blog", "title": "My blog", "visibility": "private"}
    added = await send(owner, "/admin/sources", **form)
    assert added.status_code == 303
    page = await owner.get(added.headers["location"])
    assert "My blog" in page.text and "blog” was added" in page.text
    made = await source(owner)
    assert (made.url, made.title, made.visibility, made.state) == (form["url"], "My blog", "private", "pending")
    for action, state in (("pause", "paused"), ("resume", "pending"), ("refresh", "pending")):
        assert (await send(owner, f"/admin/sources/blog/{action}")).status_code == 303
        assert (await source(owner)).state == state
    assert (await send(owner, "/admin/sources/blog/remove")).status_code == 303
    assert await slugs(owner) == ["notes"]


@pytest.mark.parametrize("url", ["", "two words", "javascript:x", "local:notes", "http://" + "x" * 9000])
@on_sqlite
async def test_what_cannot_be_added_is_said_beside_the_form_that_keeps_its_words(owner: AppClient, url: str) -> None:
    answer = await send(owner, "/admin/sources", title="<b>My words", url=url)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert "&lt;b&gt;My words" in answer.text
    assert await slugs(owner) == ["notes"]


@on_sqlite
async def test_what_is_not_there_is_said_on_a_page(owner: AppClient) -> None:
    for path, status in (("/admin/sources/nobody/pause", 404), ("/admin/sources/notes/explode", 400),
                         ("/admin/sources/notes/pause", 409)):  # fmt: skip
        answer = await send(owner, path)
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/html")
        assert "<h1>" in answer.text


@on_sqlite
async def test_what_the_page_says_cannot_be_markup(owner: AppClient) -> None:
    page = await owner.get("/admin/sources", params={"said": "<script>alert(1)</script>"})
    assert "<script>alert" not in page.text


# -- headers ----------------------------------------------------------------------------------


@on_sqlite
async def test_every_answer_carries_the_strict_headers(owner: AppClient) -> None:
    paths = ["/", "/sources", "/hub", "/login", "/setup", "/admin/sources", "/entries/nothing", "/nothing",
             "/api/entries", "/api/nothing", "/feed.atom", "/static/style.css", "/healthz"]  # fmt: skip
    for path in paths:
        headers = (await owner.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy, path
        assert "unsafe" not in policy and "*" not in policy, path
        assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy, path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"], path


@on_sqlite
async def test_the_owners_pages_are_kept_by_nobody(owner: AppClient) -> None:
    for path in ("/", "/sources", "/admin/sources"):
        headers = (await owner.get(path)).headers
        assert "private" in headers["cache-control"] and "public" not in headers["cache-control"], path
        assert "cookie" in headers["vary"].lower(), path


@on_sqlite
async def test_an_error_is_a_page_for_people(client: AppClient) -> None:
    answer = await client.get("/nothing/here")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1>" in answer.text and "Traceback" not in answer.text
