"""What could be followed at an address: found, ranked, previewed, and told in a sentence when it is nothing."""

import socket
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import orjson
import pytest
from starlette.responses import RedirectResponse
from structlog.testing import capture_logs

from lifestream.client import Client
from lifestream.discover import WELL_KNOWN, feeds_at
from lifestream.errors import TimedOut
from lifestream.protocol.addresses import Networks
from lifestream.settings import Settings
from lifestream.site import Site
from lifestream.store import sources
from tests.documents import atom, entry
from tests.fakes import AppClient, Publisher, serving
from tests.living import on_sqlite

pytestmark = on_sqlite
HTML = "text/html; charset=utf-8"
RSS = "application/rss+xml"


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
async def web(publisher: Publisher) -> AsyncIterator[str]:
    async with serving(publisher.app) as url:
        yield url


@pytest.fixture
async def owner(client: AppClient) -> dict[str, str]:
    return await client.token("owner")


def page(*links: tuple[str, str, str]) -> str:
    """A page that links to feeds: (address, media type, title)."""
    tags = (f'<link rel="alternate" href="{url}" type="{kind}" title="{title}">' for url, kind, title in links)
    return f"<!doctype html><html><head><title>Blog</title>{''.join(tags)}</head><body><p>Hello</p></body></html>"


def rss(*titles: str, title: str = "Blog", more: str = "") -> str:
    items = "".join(f"<item><guid>urn:r:{one}</guid><title>{one}</title></item>" for one in titles)
    return f'<rss version="2.0"><channel><title>{title}</title>{more}{items}</channel></rss>'


async def found(client: AppClient, owner: dict[str, str], url: str) -> dict[str, Any]:
    answer = await client.post("/api/discover", json={"url": url}, headers=owner)
    assert answer.status_code == 200, answer.text
    value: dict[str, Any] = answer.json()
    return value


async def test_a_feed_is_found_with_its_hub_and_its_newest_three(
    client: AppClient, owner: dict[str, str], publisher: Publisher, web: str
) -> None:
    body = atom(*(entry(number) for number in range(5)), hubs=["https://hub.example/"], title="Tales")
    publisher.publish("/tales", body)
    listing = await found(client, owner, f"{web}/tales")
    [feed] = listing["feeds"]
    previews = feed.pop("entries")
    assert feed == {
        "url": f"{web}/tales", "title": "Tales", "kind": "article", "format": "atom",
        "hub": "https://hub.example/", "pushed": True, "count": 5, "moved_to": None,
        "followed": None,
    }  # fmt: skip
    assert [one["title"] for one in previews] == ["Post 4", "Post 3", "Post 2"]
    assert previews[0]["published"] == "2026-03-20T10:00:04Z"
    assert (previews[0]["url"], previews[0]["kind"]) == ("http://blog.example/4", "article")
    assert "<article" in previews[0]["html"]
    assert (listing["tried"], publisher.asked) == ([f"{web}/tales"], ["/tales"])


async def test_the_best_comes_first(client: AppClient, owner: dict[str, str], publisher: Publisher, web: str) -> None:
    publisher.publish(
        "/",
        page(
            ("/comments.atom", "application/atom+xml", "Comments"),
            ("/posts.rss", RSS, "Posts"),
            ("/posts.json", "application/feed+json", "Posts"),
            ("/pushed.rss", RSS, "Pushed"),
        ),
        HTML,
    )
    publisher.publish("/comments.atom", atom(entry(1), hubs=["https://hub.example/"], title="Comments on Blog"))
    publisher.publish("/posts.rss", rss("a"), RSS)
    publisher.publish(
        "/posts.json",
        '{"version": "https://jsonfeed.org/version/1.1", "title": "Blog", "items": [{"id": "a"}]}',
        "application/feed+json",
    )
    hub = '<link xmlns="http://www.w3.org/2005/Atom" rel="hub" href="https://hub.example/"/>'
    publisher.publish("/pushed.rss", rss("a", more=hub), RSS)
    listing = await found(client, owner, f"{web}/")
    assert [one["url"].removeprefix(web) for one in listing["feeds"]] == [
        "/pushed.rss", "/posts.json", "/posts.rss", "/comments.atom",
    ]  # fmt: skip
    assert sorted(publisher.asked) == ["/", "/comments.atom", "/posts.json", "/posts.rss", "/pushed.rss"]


async def test_link_headers_name_feeds_and_clouds_push(
    client: AppClient, owner: dict[str, str], publisher: Publisher, web: str
) -> None:
    publisher.publish("/", page(), HTML)
    publisher.headers["/"] = {"Link": f'</hidden>; rel="alternate"; type="{RSS}"'}
    cloud = '<cloud domain="rpc.example" port="80" path="/pleaseNotify" registerProcedure="" protocol="http-post"/>'
    publisher.publish("/hidden", rss("a", more=cloud), RSS)
    [feed] = (await found(client, owner, web))["feeds"]
    assert (feed["url"], feed["hub"], feed["pushed"]) == (f"{web}/hidden", None, True)


async def test_somebodys_outbox_is_what_an_actor_leads_to(
    client: AppClient, owner: dict[str, str], publisher: Publisher, web: str
) -> None:
    note = {
        "id": "urn:a",
        "type": "Create",
        "to": "as:Public",
        "object": {"id": "urn:n", "type": "Note", "content": "Hi"},
    }
    documents = {
        "/mara": {"type": "Person", "name": "Mara", "outbox": f"{web}/outbox"},
        "/outbox": {"type": "OrderedCollection", "first": f"{web}/outbox?page=true"},
        "/outbox?page=true": {"type": "OrderedCollectionPage", "orderedItems": [note]},
    }
    for path, value in documents.items():
        context = {"@context": "https://www.w3.org/ns/activitystreams"}
        publisher.publish(path, orjson.dumps(context | value), "application/activity+json")
    [feed] = (await found(client, owner, f"{web}/mara"))["feeds"]
    assert (feed["url"], feed["title"]) == (f"{web}/outbox?page=true", "Mara")
    assert (feed["format"], feed["kind"], feed["entries"][0]["summary"]) == ("activitystreams", "note", "Hi")


async def test_usual_names_are_tried_where_nothing_is_linked(
    client: AppClient, owner: dict[str, str], publisher: Publisher, web: str
) -> None:
    publisher.publish("/about", page(), HTML)
    publisher.publish("/feed.xml", rss("a", title=""), RSS)
    listing = await found(client, owner, f"{web}/about")
    [feed] = listing["feeds"]
    assert (feed["url"], feed["title"], feed["pushed"]) == (f"{web}/feed.xml", "127.0.0.1", False)
    assert listing["tried"] == [f"{web}{path}" for path in ("/about", *WELL_KNOWN)]
    assert sorted(publisher.asked) == sorted(("/about", *WELL_KNOWN))


async def test_the_same_feed_is_listed_once(
    client: AppClient, owner: dict[str, str], publisher: Publisher, web: str
) -> None:
    publisher.publish(
        "/",
        page(
            ("/moved", RSS, ""),
            ("/a.rss", RSS, "A"),
            ("/a.atom?utm_source=page", "application/atom+xml", "A"),
            ("/a.atom", "application/atom+xml", "A"),
        ),
        HTML,
    )
    publisher.publish("/a.rss", rss("a"), RSS)
    publisher.answers["/moved"] = RedirectResponse("/a.rss", 301)
    publisher.publish("/a.atom", atom(entry(1), self_url=f"{web}/a.atom"))
    listing = await found(client, owner, web)
    assert len(listing["feeds"]) == 2
    assert {one["format"] for one in listing["feeds"]} == {"atom", "rss"}


async def test_what_is_followed_already_is_said(
    client: AppClient, owner: dict[str, str], publisher: Publisher, web: str
) -> None:
    publisher.publish("/a", atom(entry(1)))
    publisher.publish("/b", atom(entry(2), self_url=f"{web}/a"))
    await client.post("/api/sources", json={"url": f"{web}/a", "slug": "mine", "visibility": "private"}, headers=owner)
    assert (await found(client, owner, f"{web}/a"))["feeds"][0]["followed"] == "mine"
    assert (await found(client, owner, f"{web}/b"))["feeds"][0]["followed"] is None
    await client.delete("/api/sources/mine", headers=owner)
    assert (await found(client, owner, f"{web}/a"))["feeds"][0]["followed"] is None


async def test_a_preview_is_clean_and_nothing_is_stored(
    client: AppClient, owner: dict[str, str], publisher: Publisher, web: str
) -> None:
    publisher.publish("/", atom(entry(1, "&lt;script&gt;alert(1)&lt;/script&gt;&lt;p onclick=x()&gt;fine&lt;/p&gt;")))
    [feed] = (await found(client, owner, web))["feeds"]
    assert "fine" in feed["entries"][0]["html"]
    assert "alert" not in feed["entries"][0]["html"] and "onclick" not in feed["entries"][0]["html"]
    assert [one["slug"] for one in (await client.get("/api/sources", headers=owner)).json()] == ["notes"]
    assert (await client.get("/api/entries", headers=owner)).json()["entries"] == []


async def test_a_page_with_nothing_says_what_was_tried(
    client: AppClient, owner: dict[str, str], publisher: Publisher, web: str
) -> None:
    publisher.publish("/", page(("/gone", RSS, ""), ("/page", RSS, "")), HTML)
    publisher.publish("/page", page(), HTML)
    answer = await client.post("/api/discover", json={"url": web}, headers=owner)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["detail"] == (
        f"{web}/ links to feeds, but none of them can be read. "
        "Tried /gone: 127.0.0.1 has nothing at this address (404); look up the feed's address anew. — "
        "/page: This is an HTML page (“Blog”), not a feed. — "
        "the page itself: This is an HTML page (“Blog”), not a feed. "
        "Tried /feed, /feed.xml, /atom.xml, /rss, /rss.xml, /index.xml, /feed.json, /feed/, too."
    )


@pytest.mark.parametrize(
    ("body", "media_type", "seen"),
    [
        ("<!doctype html><title>Sign in</title><input type=password>", HTML, "This is a login page (“Sign in”)"),
        ("<!doctype html><title>Just a moment...</title>", HTML, "This is a guard against robots (“Just a moment...”)"),
        ("%PDF-1.7", "application/pdf", "This is a PDF, not a feed."),
        ("", HTML, "The document is empty."),
        ('{"error": "rate limited"}', "application/json", "This is JSON, but not a JSON Feed"),
        ("<!doctype html><p>None", HTML, "This is an HTML page, not a feed."),
    ],
    ids=["login", "guard", "pdf", "empty", "json", "page"],
)
async def test_what_is_there_instead_of_a_feed_is_said(
    client: AppClient, owner: dict[str, str], publisher: Publisher, web: str, body: str, media_type: str, seen: str
) -> None:
    publisher.publish("/it", body, media_type)
    detail = (await client.post("/api/discover", json={"url": f"{web}/it"}, headers=owner)).json()["detail"]
    assert detail.startswith(f"{web}/it answered, but names no feed and holds none. {seen}")
    assert detail.endswith(
        'Tried its Link headers, the <link rel="alternate"> in its head, /feed, /feed.xml, /atom.xml, /rss, /rss.xml, '
        "/index.xml, /feed.json, /feed/."
    )


async def test_a_forge_s_page_without_feeds_points_to_the_webhook(
    client: AppClient, owner: dict[str, str], publisher: Publisher, web: str
) -> None:
    publisher.publish("/ana", '<!doctype html><title>Ana</title><meta name="author" content="Gogs">', HTML)
    answer = await client.post("/api/discover", json={"url": f"{web}/ana"}, headers=owner)
    assert "`lifestream hook add gogs --slug NAME`, or at /admin/hooks." in answer.json()["detail"]
    added = await client.post("/api/hooks", json={"adapter": "gogs", "slug": "name"}, headers=owner)
    assert added.status_code == 201, "what the sentence says can be done"


async def test_what_is_linked_and_cannot_be_read_is_told_beside_what_can(
    client: AppClient, owner: dict[str, str], publisher: Publisher, web: str
) -> None:
    entries = '<div class="h-feed"><div class="h-entry"><p class="p-name e-content">Hello</p></div></div>'
    publisher.publish("/", page(("/broken", RSS, "")).replace("<p>Hello</p>", entries), HTML)
    publisher.publish("/broken", "<!doctype html><p>Sorry", HTML)
    listing = await found(client, owner, f"{web}/")
    assert [one["format"] for one in listing["feeds"]] == ["h-feed"]
    assert listing["unreadable"] == [{"url": f"{web}/broken", "why": "This is an HTML page, not a feed."}]
    publisher.publish("/broken", rss("a"), RSS)
    assert (await found(client, owner, f"{web}/"))["unreadable"] == []


NEW_LOCATION = "<redirect><newLocation>{}</newLocation></redirect>"


async def test_where_a_feed_says_that_it_has_moved_is_looked_at_and_comes_first(
    client: AppClient, owner: dict[str, str], publisher: Publisher, web: str
) -> None:
    pod = '<itunes:new-feed-url xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">{}</itunes:new-feed-url>'
    publisher.publish("/old", rss("a", title="Old", more=pod.format(f"{web}/new")), RSS)
    publisher.publish("/new", rss("a", "b", title="New", more=pod.format(f"{web}/new")), RSS)
    listing = await found(client, owner, f"{web}/old")
    assert [(one["title"], one["moved_to"]) for one in listing["feeds"]] == [("New", None), ("Old", f"{web}/new")]
    assert (listing["tried"], listing["unreadable"]) == ([f"{web}/old", f"{web}/new"], [])
    publisher.publish("/old", rss("a", title="Old", more=pod.format("http://169.254.169.254/")), RSS)
    listing = await found(client, owner, f"{web}/old")
    assert [(one["title"], one["moved_to"]) for one in listing["feeds"]] == [("Old", "http://169.254.169.254/")]
    [unreadable] = listing["unreadable"]
    assert unreadable["url"] == "http://169.254.169.254/" and "private or special space" in unreadable["why"]


async def test_a_document_that_is_only_about_a_new_location_leads_there(
    client: AppClient, owner: dict[str, str], publisher: Publisher, web: str
) -> None:
    publisher.publish("/old", NEW_LOCATION.format("/new"), "text/xml")
    publisher.publish("/new", rss("a"), RSS)
    assert [one["url"] for one in (await found(client, owner, f"{web}/old"))["feeds"]] == [f"{web}/new"]
    del publisher.documents["/new"]
    answer = await client.post("/api/discover", json={"url": f"{web}/old"}, headers=owner)
    assert f"the page itself: It only says that the feed has moved to {web}/new." in answer.json()["detail"]


async def test_a_page_of_the_web_leads_to_nothing_in_the_owner_s_networks(
    site: Site, publisher: Publisher, web: str
) -> None:
    async def resolve(host: str, port: int) -> list[IPv4Address | IPv6Address]:
        return [IPv4Address("127.0.0.1")]

    settings = Settings(site.config.model_copy(update={"base_url": "https://stream.example"}))
    limits: dict[str, Any] = {"user_agent": "test", "max_bytes": 10**6, "resolve": resolve}
    ours, theirs = Client(allow=site.config.allow_networks, **limits), Client(allow=Networks(), **limits)
    away = replace(site, settings=settings, client=ours, stranger_client=theirs)
    async with aclosing(ours), aclosing(theirs):
        publisher.publish("/", page((f"{web}/inside", RSS, ""), ("/feed", RSS, "")), HTML)
        publisher.publish("/inside", rss("secret"), RSS)
        publisher.publish("/feed", rss("a"), RSS)
        listing = await feeds_at(away, web.replace("127.0.0.1", "blog.example"))
    assert [one.url for one in listing.feeds] == [web.replace("127.0.0.1", "blog.example") + "/feed"]
    assert "private or special space" in listing.unreadable[f"{web}/inside"] and "/inside" not in publisher.asked


async def test_what_a_publisher_cannot_answer_is_no_error_of_ours(
    client: AppClient, owner: dict[str, str], web: str
) -> None:
    with capture_logs() as lines:
        answer = await client.post("/api/discover", json={"url": f"{web}/nowhere"}, headers=owner)
    assert answer.status_code == 502
    [line] = [line for line in lines if line["event"] == "request"]
    assert (line["log_level"], line["status"], line["error"]) == ("info", 502, "BadStatus")


@pytest.mark.parametrize(
    ("url", "status", "words"),
    [
        ("ftp://blog.example/", 400, "http"),
        ("http://10.0.0.1/", 400, "10.0.0.1"),
        ("javascript:1", 400, "must start with http:// or https://"),
        ("", 422, "url"),
    ],
)
async def test_where_we_do_not_go_is_said(
    client: AppClient, owner: dict[str, str], url: str, status: int, words: str
) -> None:
    answer = await client.post("/api/discover", json={"url": url}, headers=owner)
    assert answer.status_code == status and words in answer.json()["detail"]


async def test_who_does_not_answer_is_said(client: AppClient, owner: dict[str, str]) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        answer = await client.post("/api/discover", json={"url": url}, headers=owner)
    assert answer.status_code == 502 and "127.0.0.1" in answer.json()["detail"]


async def test_only_the_owner_looks_around(client: AppClient) -> None:
    assert (await client.post("/api/discover", json={"url": "blog.example"})).status_code == 401
    header = await client.token("write")
    assert (await client.post("/api/discover", json={"url": "blog.example"}, headers=header)).status_code == 403


async def test_who_is_slow_holds_up_nobody_else(site: Site, publisher: Publisher, web: str) -> None:
    publisher.publish("/", page(("/slow", RSS, ""), ("/quick", RSS, "")), HTML)
    publisher.publish("/slow", rss("a"), RSS)
    publisher.publish("/quick", rss("b"), RSS)
    arrived = publisher.hold("/slow")
    listing = await feeds_at(site, web, within=2.0)
    assert [one.url for one in listing.feeds] == [f"{web}/quick"]
    assert listing.unreadable == {f"{web}/slow": "Time ran out before it was read."}
    held = publisher.hold("/")
    with pytest.raises(TimedOut, match="did not answer within 0.1 s"):
        await feeds_at(site, web, within=0.1)
    arrived.set()
    held.set()
    async with site.store.read() as db:
        assert len(await sources.every(db, audience="owner")) == 1
