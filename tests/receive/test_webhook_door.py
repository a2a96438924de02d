"""`POST /hooks/{slug}`: what is believed, what is posted or pinged, what is known again, and what is written down."""

import json
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from lifestream.config import Config
from lifestream.receive.webhook import LIMIT
from lifestream.store import sources
from lifestream.store.tables import FeedRow
from tests.fakes import AppClient
from tests.hooks.deliveries import SECRET, WRONGS, Sample, sample, samples
from tests.living import Living, living, on_sqlite

BLOG = "http://blog.example/feed.xml"
FORGES = sorted({one.name.partition("/")[0] for one in samples()})
NAMELESS = ("jellyfin", "plex")
"""Who says nothing by which a delivery is known again but what it says."""
each_forge = pytest.mark.parametrize("forge", FORGES)
pytestmark = on_sqlite


async def owners(client: AppClient) -> dict[str, str]:
    return await client.token("owner")


async def makes(client: AppClient, adapter: str, *, slug: str = "forge", **more: str) -> dict[str, Any]:
    values = {"adapter": adapter, "slug": slug, "secret": SECRET} | more
    answer = await client.post("/api/hooks", json=values, headers=await owners(client))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def sends(client: AppClient, one: Sample, how: str = "right", slug: str = "forge") -> httpx2.Response:
    return await client.post(f"/hooks/{slug}", content=one.body, headers=one.signed(how))


async def entries(client: AppClient, slug: str = "") -> list[dict[str, Any]]:
    answer = await client.get("/api/entries", params={"source": slug}, headers=await owners(client))
    found: list[dict[str, Any]] = answer.json()["entries"]
    return found


async def deliveries(client: AppClient, slug: str = "forge") -> list[dict[str, Any]]:
    answer = await client.get(f"/api/hooks/{slug}", headers=await owners(client))
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


async def follows_blog(client: AppClient) -> None:
    async with client.site.store.begin() as db:
        await sources.add_feed(db, BLOG, now=client.site.now(), slug="blog")


async def looks(client: AppClient) -> int:
    async with client.site.store.read() as db:
        return (await db.execute(select(FeedRow.asked))).scalar_one()


@each_forge
async def test_a_delivery_is_posted_or_ignored_and_the_second_time_changes_nothing(
    client: AppClient, forge: str
) -> None:
    for slug, one in await with_hooks(client, forge):
        before = await entries(client)
        first = await sends(client, one, slug=slug)
        assert first.status_code == 200, first.text
        outcome = (await deliveries(client, slug))[0]["outcome"]
        there = await entries(client)
        assert (there != before) == (outcome == "posted"), one.name
        assert (await sends(client, one, slug=slug)).status_code == 200
        assert (await deliveries(client, slug))[0]["outcome"] in ("duplicate", outcome)
        assert await entries(client) == there


@each_forge
@pytest.mark.parametrize("topic", ["", BLOG], ids=["post", "ping"])
async def test_what_is_not_signed_rightly_gets_403_and_changes_nothing(
    client: AppClient, forge: str, topic: str
) -> None:
    await follows_blog(client)
    before = await looks(client)
    for slug, one in await with_hooks(client, forge, topic=topic):
        for how in WRONGS:
            assert (await sends(client, one, how, slug)).status_code == 403, (one.name, how)
        assert {came["outcome"] for came in await deliveries(client, slug)} == {"refused"}
    assert await entries(client) == [] and await looks(client) == before


@pytest.mark.parametrize("forge", [forge for forge in FORGES if forge not in NAMELESS])
async def test_a_ping_looks_at_the_topic_and_posts_nothing(client: AppClient, forge: str) -> None:
    await follows_blog(client)
    for slug, one in await with_hooks(client, forge, topic=BLOG):
        before = await looks(client)
        assert (await sends(client, one, slug=slug)).status_code == 200
        outcome = (await deliveries(client, slug))[0]["outcome"]
        assert outcome in ("pinged", "ignored", "test")
        for _ in range(2):  # by its id it is known again
            assert await looks(client) == before + (outcome == "pinged"), one.name
            assert (await sends(client, one, slug=slug)).status_code == 200
    assert await entries(client) == []


async def with_hooks(client: AppClient, forge: str, **more: str) -> list[tuple[str, Sample]]:
    """A hook for each sample of a forge."""
    hooks = [(f"hook-{number}", one) for number, one in enumerate(samples()) if one.name.startswith(f"{forge}/")]
    for slug, one in hooks:
        await makes(client, one.adapter, slug=slug, **more)
    return hooks


async def test_another_id_on_the_same_words_is_known_again(client: AppClient) -> None:
    one = sample("github/issues-opened.json")
    await makes(client, "github")
    await sends(client, one)
    replayed = await client.post("/hooks/forge", content=one.body, headers=one.headers | {"x-github-delivery": "other"})
    assert replayed.status_code == 200 and "seen before" in replayed.text
    assert len(await entries(client)) == 1


async def test_a_form_and_its_json_are_one_event(client: AppClient) -> None:
    await makes(client, "gogs")
    for name in ("gogs/push.json", "gogs/push.form"):
        assert (await sends(client, sample(name))).status_code == 200
    (entry,) = await entries(client)
    assert entry["title"] == "Pushed 1 commit to webhooks" and entry["kind"] == "code"
    assert entry["source"]["slug"] == "forge" and entry["data"]["commits"][0]["message"] == "Add new feature"


async def test_a_release_that_is_deleted_takes_its_entry_along(client: AppClient) -> None:
    await makes(client, "github")
    await sends(client, sample("github/release-published.json"))
    (entry,) = await entries(client)
    assert entry["kind"] == "release" and "0.0.1" in entry["title"]
    assert "1 deleted" in (await sends(client, sample("github/release-deleted.json"))).text
    assert await entries(client) == []


async def test_a_star_that_is_taken_back_takes_its_entry_along(client: AppClient) -> None:
    await makes(client, "github")
    await sends(client, sample("github/star-created.json"))
    assert [entry["kind"] for entry in await entries(client)] == ["like"]
    await sends(client, sample("github/star-deleted.json"))
    assert await entries(client) == []


async def test_an_edit_changes_the_entry_that_is_there(client: AppClient) -> None:
    await makes(client, "generic")
    said = {"id": "1", "title": "Low tide"}
    await tells(client, said)
    (first,) = await entries(client)
    await tells(client, said | {"title": "High tide"})
    (second,) = await entries(client)
    assert second["id"] == first["id"] and second["title"] == "High tide" and second["seq"] > first["seq"]


async def tells(client: AppClient, said: dict[str, Any], slug: str = "forge") -> httpx2.Response:
    answer = await client.post(f"/hooks/{slug}", json=said, headers={"Authorization": f"Bearer {SECRET}"})
    assert answer.status_code == 200, answer.text
    return answer


def push(*ids: str, private: bool = False) -> dict[str, Any]:
    return {
        "ref": "refs/heads/main", "before": "f" * 40, "after": ids[-1] * 40, "compare": "",
        "commits": [{"id": one * 40, "message": f"Commit {one}"} for one in ids],
        "repository": {"full_name": "mara/boat", "html_url": "https://git.example/mara/boat", "private": private},
    }  # fmt: skip


async def pushes(client: AppClient, *ids: str, private: bool = False) -> httpx2.Response:
    """By an old Gogs, which signs with nothing but the secret itself."""
    payload = push(*ids, private=private) | {"secret": SECRET}
    return await client.post("/hooks/forge", json=payload, headers={"X-Gogs-Event": "push"})


async def test_pushes_that_follow_each_other_become_one_entry(client: AppClient) -> None:
    await makes(client, "gogs")
    await pushes(client, "a")
    await pushes(client, "b", "c")
    (entry,) = await entries(client)
    assert entry["title"] == "Pushed 3 commits to boat"
    assert [one["id"][0] for one in entry["data"]["commits"]] == ["a", "b", "c"]
    assert "nothing" in (await pushes(client, "a", "b", "c")).text
    assert len(await entries(client)) == 1


async def test_what_the_owner_deleted_does_not_come_back(client: AppClient) -> None:
    await makes(client, "generic")
    await tells(client, {"id": "1", "title": "Low tide"})
    (entry,) = await entries(client)
    await client.delete(f"/api/entries/{entry['id']}", headers=await owners(client))
    assert "nothing" in (await tells(client, {"id": "1", "title": "High tide"})).text
    assert await entries(client) == []


async def test_what_is_private_is_posted_where_the_public_cannot_see_it(client: AppClient) -> None:
    await makes(client, "gogs")
    assert "forge-private" in (await pushes(client, "a", private=True)).text
    (entry,) = await entries(client)
    assert entry["source"]["slug"] == "forge-private"
    assert (await client.get("/api/entries")).json()["entries"] == []


async def test_what_is_private_is_left_out_where_its_source_was_made_public(client: AppClient) -> None:
    await makes(client, "gogs")
    async with client.site.store.begin() as db:
        await sources.add_local(db, "forge-private", now=client.site.now())
    answer = await pushes(client, "a", private=True)
    assert answer.status_code == 200 and "is not" in answer.text
    assert await entries(client) == []


async def test_a_topic_that_nobody_follows_is_said_and_may_come_again(client: AppClient) -> None:
    await makes(client, "generic", topic=BLOG)
    assert "add it as a source" in (await rings(client)).text
    await follows_blog(client)
    assert "looked at" in (await rings(client)).text


async def rings(client: AppClient) -> httpx2.Response:
    return await client.post(f"/hooks/forge?token={SECRET}", content=b'{"title": "deployed"}')


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"payload={}", b"[" * 5000])
async def test_a_body_that_cannot_be_read_gets_400(client: AppClient, body: bytes) -> None:
    await makes(client, "gitlab")
    answer = await client.post("/hooks/forge", content=body, headers={"X-Gitlab-Token": SECRET})
    assert answer.status_code == 400 and answer.text.count("\n") == 1
    assert (await deliveries(client))[0]["outcome"] == "unreadable"


async def test_too_large_a_body_gets_413(client: AppClient) -> None:
    await makes(client, "generic")
    answer = await client.post("/hooks/forge", content=b" " * (LIMIT + 1))
    assert answer.status_code == 413
    assert await deliveries(client) == []


async def test_an_address_that_is_none_gets_404(client: AppClient) -> None:
    for slug in ("nothing", "a%00b", "é"):
        assert (await client.post(f"/hooks/{slug}", content=b"{}")).status_code == 404


async def test_a_slash_at_the_end_is_no_other_address(client: AppClient) -> None:
    await makes(client, "github")
    assert (await sends(client, sample("github/ping.json"), slug="forge/")).text == "The hook works; this was a test.\n"


async def test_a_browser_learns_what_the_address_is_and_not_whether_there_is_a_hook(client: AppClient) -> None:
    await makes(client, "github")
    there, not_there = await client.get("/hooks/forge"), await client.get("/hooks/nothing")
    assert there.status_code == 200 and there.text == not_there.text


async def test_the_same_refusal_is_written_down_once_in_a_while(client: AppClient) -> None:
    await makes(client, "generic")
    for _ in range(5):
        assert (await client.post("/hooks/forge", content=b"{}")).status_code == 403
    assert len(await deliveries(client)) == 1


async def test_a_secret_is_shown_when_it_is_made_and_never_again(client: AppClient) -> None:
    made = await makes(client, "github", secret="")
    assert len(made["secret"]) == 64 and made["secret"] in made["set_up"] and made["url"] in made["set_up"]
    for path in ("/api/hooks", "/api/hooks/forge"):
        assert made["secret"] not in (await client.get(path, headers=await owners(client))).text


async def test_the_secret_before_a_rotation_stays_good(client: AppClient) -> None:
    await makes(client, "generic")
    answer = await client.post("/api/hooks/forge/rotate", json={"secret": "fresh"}, headers=await owners(client))
    assert answer.json()["secret"] == "fresh"
    for token in (SECRET, "fresh"):
        assert (await client.post(f"/hooks/forge?token={token}", json={"title": token})).status_code == 200
    await client.post("/api/hooks/forge/rotate", json={}, headers=await owners(client))
    assert (await client.post(f"/hooks/forge?token={SECRET}", json={"title": "old"})).status_code == 403


async def test_only_the_owner_sees_and_makes_hooks(client: AppClient) -> None:
    await makes(client, "github")
    headers = await client.token("write")
    for answer in (
        await client.get("/api/hooks", headers=headers),
        await client.get("/api/hooks/forge", headers=headers),
        await client.post("/api/hooks", json={"adapter": "gogs", "slug": "mine"}, headers=headers),
        await client.post("/api/hooks/forge/rotate", json={}, headers=headers),
        await client.delete("/api/hooks/forge", headers=headers),
    ):
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"adapter": "cvs", "slug": "x"}, 400),
        ({"adapter": "gogs", "slug": "Not A Slug"}, 400),
        ({"adapter": "gogs", "slug": "x" * 60}, 400),
        ({"adapter": "gogs", "slug": "x", "topic": "ftp://x"}, 400),
        ({"adapter": "gogs", "slug": "forge"}, 409),
        ({"adapter": "gogs", "slug": "blog"}, 409),
        ({"adapter": "gogs"}, 422),
    ],
)
async def test_a_hook_that_cannot_be_is_refused(client: AppClient, values: dict[str, str], status: int) -> None:
    await follows_blog(client)
    await makes(client, "gogs")
    answer = await client.post("/api/hooks", json=values, headers=await owners(client))
    assert answer.status_code == status, answer.text


async def test_what_a_hook_posted_stays_when_it_is_removed(client: AppClient) -> None:
    await makes(client, "generic")
    await tells(client, {"title": "Low tide"})
    assert (await client.delete("/api/hooks/forge", headers=await owners(client))).status_code == 204
    assert (await client.delete("/api/hooks/forge", headers=await owners(client))).status_code == 404
    assert (await client.post("/hooks/forge", json={})).status_code == 404
    assert len(await entries(client)) == 1


@given(
    st.dictionaries(
        st.sampled_from(["content-type", "x-gogs-event", "x-gogs-signature", "x-gogs-delivery", "authorization"]),
        st.text(st.characters(codec="latin-1", exclude_characters="\0\r\n"), max_size=30).map(str.strip),
        max_size=4,
    ),
    st.binary(max_size=200) | st.just(json.dumps({"secret": SECRET, "ref": [], "repository": 1}).encode()),
)  # fmt: skip
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_nothing_that_is_sent_breaks_the_door(client: AppClient, headers: dict[str, str], body: bytes) -> None:
    if (await client.get("/api/hooks/forge", headers=await owners(client))).status_code == 404:
        await makes(client, "gogs")
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = await client.post("/hooks/forge", content=body, headers=encoded)  # type: ignore[arg-type]
    assert answer.status_code in (200, 400, 403)


async def test_a_push_is_live_a_moment_after_the_forge_said_so(config: Config) -> None:
    async with living(config) as site:
        await site.http.post(
            "/api/hooks", json={"adapter": "forgejo", "slug": "forge", "secret": SECRET}, headers=await site.owners()
        )
        one = sample("forgejo/push.json")
        async with site.http.stream("GET", "/live/events") as stream:
            lines = stream.aiter_lines()
            await _hello(lines)
            answer = await site.http.post("/hooks/forge", content=one.body, headers=one.headers)
            assert answer.status_code == 200
            change = await _change(lines)
        assert change["entry"]["title"] == "Pushed 1 commit to webhooks"
        await in_its_feed(site)


async def _hello(lines: Any) -> None:
    async for line in lines:
        if line.startswith("data:") and json.loads(line[5:])["type"] == "hello":
            return


async def _change(lines: Any) -> dict[str, Any]:
    async for line in lines:
        if line.startswith("data:") and json.loads(line[5:])["type"] == "entry":
            found: dict[str, Any] = json.loads(line[5:])
            return found
    raise AssertionError("the stream ended")


async def in_its_feed(site: Living) -> None:
    assert "Pushed 1 commit to webhooks" in (await site.http.get("/sources/forge/feed.atom")).text
