"""What programs read of a page: its head, the pictures and embeds of its links, the files at the site's root."""

import asyncio
import io
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from lxml import etree, html
from PIL import Image

from lifestream.protocol.links import parse_link_header
from lifestream.publish import preview, previews
from lifestream.publish.head import preview_of, veiled
from lifestream.publish.preview import Preview
from lifestream.publish.previews import Previews
from lifestream.types import Location, Media
from tests.fakes import AppClient
from tests.living import on_sqlite
from tests.stories import deletes, edits, gets_history, has_source, writes

SITEMAPS = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


class Head:
    def __init__(self, text: str) -> None:
        self.tree = html.fromstring(text)

    def links(self, rel: str, kind: str = "") -> list[str]:
        found = self.tree.xpath("//head/link[@rel=$rel]", rel=rel)
        return [one.get("href") for one in found if kind in (one.get("type") or "")]

    def meta(self, name: str) -> list[str]:
        return [one.get("content") for one in self.tree.xpath("//head/meta[@name=$n or @property=$n]", n=name)]

    @property
    def json_ld(self) -> Any:
        (found,) = self.tree.xpath('//script[@type="application/ld+json"]/text()')
        return json.loads(found)


async def head_of(client: AppClient, path: str, status: int = 200, **headers: str) -> Head:
    answer = await client.get(path, headers=headers)
    assert answer.status_code == status
    return Head(answer.text)


@on_sqlite
async def test_a_page_names_its_one_address_and_its_feeds(client: AppClient) -> None:
    base = client.site.config.base_url
    await writes(client.site, "one")
    for path, canonical, feed in (
        ("/", "/", "/feed.atom"),
        ("/?utm_source=x", "/", "/feed.atom"),
        ("/?tag=Cat&kind=note", "/?kind=note&tag=cat", "/feed.atom?kind=note&tag=cat"),
        ("/?source=notes", "/sources/notes", "/sources/notes/feed.atom"),
        ("/sources/notes", "/sources/notes", "/sources/notes/feed.atom"),
    ):
        head = await head_of(client, path)
        assert head.links("canonical") == [base + canonical], path
        assert head.meta("og:url") == [base + canonical]
        assert head.links("self") == [base + feed]
        assert head.links("hub") == [base + "/hub"]
        for name, kind in (("atom", "atom+xml"), ("rss", "rss+xml"), ("json", "feed+json")):
            alternates = head.links("alternate", kind)
            assert alternates[0] == feed.replace("atom", name), path
            assert alternates[-1] == f"/feed.{name}", "the whole stream is offered everywhere"
    assert (await head_of(client, "/about")).links("canonical") == [base + "/about"]
    named = parse_link_header([(await client.get("/?kind=note")).headers["link"]], base)
    found = {(link.type, link.url) for link in named if "alternate" in link.rels}
    assert ("application/feed+json", f"{base}/feed.json?kind=note") in found and len(found) == 3


@on_sqlite
async def test_older_pages_have_addresses_of_their_own(client: AppClient) -> None:
    await gets_history(client.site, *(f"{number}" for number in range(60)))
    older = (await head_of(client, "/")).links("next")[0]
    assert (await head_of(client, older)).links("canonical") == [client.site.config.base_url + older]


async def test_an_entry_says_how_a_link_to_it_is_shown(client: AppClient) -> None:
    base = client.site.config.base_url
    stored = await writes(
        client.site, 'A "walk" <in> & out', summary="Through the park </script><script>", tags=("park", "rain"),
        location=Location(51.50123, -0.12789, "London"), url="https://me.example/walk",
    )  # fmt: skip
    head = await head_of(client, f"/entries/{stored.id}")
    assert head.meta("og:title") == ['A "walk" <in> & out']
    assert head.meta("og:description") == ["Through the park </script><script>"]
    assert head.meta("og:type") == ["article"]
    assert head.meta("og:image") == [f"{base}/og/{stored.id}.png?v={stored.seq:x}"]
    assert (head.meta("og:image:width"), head.meta("og:image:height")) == (["1200"], ["630"])
    assert head.meta("article:tag") == ["park", "rain"]
    thing = head.json_ld
    assert (thing["@type"], thing["url"]) == ("SocialMediaPosting", f"{base}/entries/{stored.id}")
    assert (thing["name"], thing["isBasedOn"]) == ('A "walk" <in> & out', "https://me.example/walk")
    assert thing["description"] == "Through the park </script><script>"
    assert thing["contentLocation"]["geo"] == {"@type": "GeoCoordinates", "latitude": 51.5, "longitude": -0.13}
    text = (await client.get(f"/entries/{stored.id}")).text
    assert "near=51.5,-0.13,10" in text and "51.501" not in text and "0.127" not in text
    assert thing["author"] == {"@type": "Person", "name": "Mara", "url": base}


@on_sqlite
async def test_a_photograph_is_its_own_preview(client: AppClient) -> None:
    picture = Media("image/jpeg", "https://me.example/1.jpg", 640, 480, "A cat")
    stored = await writes(client.site, "", kind="photo", media=(picture,))
    head = await head_of(client, f"/entries/{stored.id}")
    ours = client.site.pictures.picture(picture.url)
    assert ours and head.meta("og:image") == [client.site.config.base_url + ours.src] == [head.json_ld["image"]]
    assert head.meta("og:description") == head.meta("description") == [], "nothing is said of it"
    assert head.meta("og:image:alt") == ["A cat"]
    assert head.json_ld["@type"] == "Photograph"


@on_sqlite
@pytest.mark.parametrize(
    ("data", "said"), [({"content_warning": "Blood"}, "Blood"), ({"sensitive": True}, "Sensitive")]
)
async def test_of_what_has_a_warning_links_show_the_warning(client: AppClient, data: dict[str, Any], said: str) -> None:
    picture = Media("image/jpeg", "https://me.example/1.jpg", 640, 480, "A wound")
    stored = await writes(client.site, "The wound", kind="photo", media=(picture,), summary="Deep wound", data=data)
    head = await head_of(client, f"/entries/{stored.id}")
    assert head.meta("og:title") == head.meta("og:description") == [said]
    (address,) = head.links("alternate", "json+oembed")
    embedded = await client.get(address)
    assert (embedded.json()["type"], embedded.json()["title"]) == ("rich", said)
    shown = etree.tostring(head.tree.find("head"), encoding="unicode") + embedded.text
    assert "wound" not in shown and "1.jpg" not in shown
    assert preview_of(client.site.config, veiled(stored)).title == said


@on_sqlite
async def test_the_page_of_a_private_entry_says_nothing(client: AppClient) -> None:
    await has_source(client.site, "diary", "private")
    stored = await writes(client.site, "Dear diary", "diary")
    owner = await client.token("owner")
    for path in (f"/entries/{stored.id}", "/sources/diary"):
        head = await head_of(client, path, **owner)
        assert head.meta("robots") == ["noindex"]
        assert head.links("canonical") + head.meta("og:title") + head.links("alternate") == []
    for path in (f"/og/{stored.id}.png", f"/oembed?url={client.site.config.base_url}/entries/{stored.id}"):
        assert (await client.get(path, headers=owner)).status_code == 404


@on_sqlite
async def test_the_owners_pages_and_errors_are_not_to_be_found(client: AppClient) -> None:
    for path, status in (("/login", 200), ("/nowhere", 404)):
        head = await head_of(client, path, status)
        assert head.meta("robots") == ["noindex"]
        assert head.links("canonical") == []


# -- previews -----------------------------------------------------------------------------------


def picture_of(body: bytes) -> Image.Image:
    found = Image.open(io.BytesIO(body))
    found.load()
    return found


@on_sqlite
async def test_a_preview_is_drawn_for_the_stream_and_for_each_entry(client: AppClient) -> None:
    stored = await writes(client.site, "Words", summary="x")
    bodies = []
    for path in ("/og.png", f"/og/{stored.id}.png"):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        assert picture_of(answer.content).size == (1200, 630)
        assert len(answer.content) < 100_000
        bodies.append(answer.content)
    await edits(client.site, stored, title="Other words")
    assert (await client.get(f"/og/{stored.id}.png")).content not in bodies
    await deletes(client.site, stored)
    assert (await client.get(f"/og/{stored.id}.png")).status_code == 410


@pytest.mark.parametrize(
    "title",
    ["", "Word", "Words " * 200, "W" * 500, "中文", "مرحبا", "a\nb\x00c", "👩‍👩‍👧‍👦 family"],
    ids=["nothing", "word", "many words", "a long word", "chinese", "arabic", "control characters", "emoji"],
)
def test_whatever_the_title_is_a_picture_is_drawn(title: str) -> None:
    assert picture_of(preview.drawn(Preview("Mara's stream", title, "Note", (23, 24)))).size == preview.SIZE


def test_what_the_font_does_not_know_is_left_out_and_never_a_box() -> None:
    for title, drawn_as in (("A 中文 walk", "A walk"), ("中文", "Mara")):
        assert preview.drawn(Preview("Mara", title, "", (1,))) == preview.drawn(Preview("Mara", drawn_as, "", (1,)))


@on_sqlite
async def test_drawn_pictures_are_kept_within_bounds(client: AppClient) -> None:
    kept = Previews(most=2)
    first = await kept.of(Preview("a", "a", "", (1,)))
    assert await kept.of(Preview("a", "a", "", (1,))) is first
    for name in "bc":
        await kept.of(Preview(name, name, "", (1,)))
    assert await kept.of(Preview("a", "a", "", (1,))) is not first


@on_sqlite
async def test_no_more_pictures_than_so_many_wait_to_be_drawn(
    client: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "MOST_WAITING", 2)
    stored = [await writes(client.site, name) for name in "abc"]
    answers = await asyncio.gather(*(client.get(f"/og/{one.id}.png") for one in stored))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 503]
    assert next(one for one in answers if one.status_code == 503).headers["retry-after"] == "5"
    assert [(await client.get(f"/og/{one.id}.png")).status_code for one in stored] == [200, 200, 200]


# -- oEmbed -------------------------------------------------------------------------------------


@on_sqlite
async def test_an_entry_can_be_embedded(client: AppClient) -> None:
    stored = await writes(client.site, "A <walk>", summary="Through the park")
    head = await head_of(client, f"/entries/{stored.id}")
    (address,) = head.links("alternate", "json+oembed")
    found = (await client.get(address)).json()
    url = f"{client.site.config.base_url}/entries/{stored.id}"
    assert (found["version"], found["type"], found["title"]) == ("1.0", "rich", "A <walk>")
    assert (found["provider_name"], found["author_name"]) == ("Mara's stream", "Mara")
    assert f'<blockquote cite="{url}"' in found["html"] and "A &lt;walk&gt;" in found["html"]
    assert found["thumbnail_url"].startswith(client.site.config.base_url + "/og/")
    (address,) = head.links("alternate", "xml+oembed")
    read = etree.fromstring((await client.get(address)).content)
    assert (read.tag, read.findtext("title"), read.findtext("html")) == ("oembed", "A <walk>", found["html"])
    small = (await client.get("/oembed", params={"url": url, "maxwidth": "200"})).json()
    assert small["width"] == 200 and "thumbnail_url" not in small


@on_sqlite
async def test_a_photo_is_embedded_as_one_where_it_fits(client: AppClient) -> None:
    picture = Media("image/jpeg", "https://me.example/1.jpg", 640, 480)
    stored = await writes(client.site, "A cat", kind="photo", media=(picture,))
    url = f"{client.site.config.base_url}/entries/{stored.id}"
    found = (await client.get("/oembed", params={"url": url})).json()
    assert (found["type"], found["url"], found["width"], found["height"]) == ("photo", picture.url, 640, 480)
    assert (await client.get("/oembed", params={"url": url, "maxwidth": "639"})).json()["type"] == "rich"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("url=https://elsewhere.example/entries/{id}", 404),
        ("url={base}/entries/nothing", 404),
        ("url={base}/", 404),
        ("url=http://[", 404),
        ("", 404),
        ("url={base}/entries/{id}&format=yaml", 501),
        ("url={base}/entries/{id}&maxwidth=wide", 400),
        ("url={base}/entries/{id}", 200),
        ("url=https://127.0.0.1:8000/entries/{id}?utm=1%23x", 200),
    ],
    ids=["elsewhere", "no entry", "no entry's page", "no address", "nothing", "format", "width", "one", "one by https"],
)
@on_sqlite
async def test_what_cannot_be_embedded_is_refused(client: AppClient, query: str, status: int) -> None:
    stored = await writes(client.site, "one")
    asked = query.format(id=stored.id, base=quote(client.site.config.base_url, safe=":/"))
    assert (await client.get(f"/oembed?{asked}")).status_code == status


# -- at the root --------------------------------------------------------------------------------


async def places(client: AppClient, path: str) -> list[str]:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/xml"
    found = etree.fromstring(answer.content).iter(SITEMAPS + "loc")
    return [one.text.removeprefix(client.site.config.base_url) for one in found]


async def test_the_sitemap_leads_to_every_public_entry(client: AppClient) -> None:
    assert await places(client, "/sitemap.xml") == ["/sitemap/pages.xml"]
    await has_source(client.site, "diary", "private")
    await writes(client.site, "secret", "diary", published=datetime(2025, 3, 1, tzinfo=UTC))
    old = await writes(client.site, "old", published=datetime(2024, 12, 31, 23, 59, tzinfo=UTC))
    new = await writes(client.site, "new", published=datetime(2025, 1, 1, tzinfo=UTC))
    newer = await writes(client.site, "newer", published=datetime(2025, 1, 2, tzinfo=UTC))
    index = await places(client, "/sitemap.xml")
    assert index == ["/sitemap/pages.xml", "/sitemap/2025-01.xml", "/sitemap/2024-12.xml"]
    assert await places(client, index[1]) == [f"/entries/{newer.id}", f"/entries/{new.id}"]
    assert await places(client, index[2]) == [f"/entries/{old.id}"]
    assert {"/", "/sources", "/sources/notes"} <= set(await places(client, index[0]))
    for path in ("/sitemap/2025-03.xml", "/sitemap/2025-13.xml", "/sitemap/0000-01.xml", "/sitemap/x.xml"):
        assert (await client.get(path)).status_code == 404, path


@on_sqlite
async def test_pages_of_the_sitemap_are_there(client: AppClient) -> None:
    for path in await places(client, "/sitemap/pages.xml"):
        assert (await client.get(path)).status_code == 200, path


@on_sqlite
async def test_robots_are_told_what_is_not_for_them(client: AppClient) -> None:
    words = (await client.get("/robots.txt")).text
    for path in ("/admin", "/api", "/login", "/setup"):
        assert f"Disallow: {path}\n" in words
    assert f"Sitemap: {client.site.config.base_url}/sitemap.xml" in words


@on_sqlite
async def test_the_manifest_names_icons_that_are_there(client: AppClient) -> None:
    answer = await client.get((await head_of(client, "/")).links("manifest")[0])
    assert answer.headers["content-type"] == "application/manifest+json"
    found = answer.json()
    assert found["name"] == "Mara's stream" and found["start_url"] == "/"
    assert {one["purpose"] for one in found["icons"]} == {"any", "maskable"}
    for icon in found["icons"]:
        size = int(icon["sizes"].partition("x")[0])
        assert picture_of((await client.get(icon["src"])).content).size == (size, size)
    for path in ("/favicon.ico", (await head_of(client, "/")).links("apple-touch-icon")[0]):
        assert (await client.get(path)).status_code == 200
