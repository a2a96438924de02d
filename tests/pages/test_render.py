import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from lifestream import static_files
from lifestream.around import Day, Lead, Side
from lifestream.config import Link
from lifestream.places import top
from lifestream.publish import head
from lifestream.publish.encode import Encoder
from lifestream.render import Renderer
from lifestream.store import days
from lifestream.types import Author, Entry, Filter, Kind, Location, Media, Near, SourceName, Stored
from lifestream.view import calendar, sentence
from lifestream.view.bursts import Group
from lifestream.view.filters import filter_title, stream_url
from lifestream.view.ribbon import SLIM, Tick, ribbon

ENTRY_KEYS = [
    "id", "seq", "first_seq", "source", "kind", "verb", "title", "url", "content_html", "summary", "author",
    "published", "updated", "received", "tags", "media", "location", "data", "deleted", "html",
]  # fmt: skip
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BLOG = SourceName("blog", "Mara's blog", "https://blog.example/")
PAGES = "timeline source day month year entry sources login setup error gone hub about".split()
"""Those whose context is made here; the others are rendered in tests of their own."""

renderer = Renderer(ZoneInfo("Asia/Tokyo"), "Mara")


def stored(kind: Kind = "note", *, source: SourceName = BLOG, at: datetime = NOON, **fields: Any) -> Stored:
    entry = Entry(kind=kind, published=at, **fields)
    return Stored("e1", seq=12, first_seq=11, source=source, entry=entry, received=at, ordered_at=at)


def local(one: Stored) -> datetime:
    return one.ordered_at.astimezone(ZoneInfo("Asia/Tokyo"))


def day_of(one: Stored) -> date:
    return local(one).date()


def card(kind: Kind = "note", **fields: Any) -> str:
    return renderer.entry_card(stored(kind, **fields))


def json_of(one: Stored) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(Encoder(renderer).entry(one))
    return found


# -- the API's Entry --------------------------------------------------------------------------


def test_an_entry_has_exactly_the_keys_of_the_contract() -> None:
    full = json_of(
        stored(
            "photo",
            title="Kitten",
            url="https://blog.example/1",
            content_html="<p>Small.</p>",
            author=Author("Ann", "https://ann.example/", ""),
            updated=NOON,
            tags=("cat", "small"),
            media=(Media("image/jpeg", "https://blog.example/1.jpg", 3, 2, "A kitten"),),
            location=Location(38.7, -9.1, "Lisbon"),
            data={"camera": "old"},
        )
    )
    assert list(full) == ENTRY_KEYS
    assert full["published"] == full["updated"] == full["received"] == "2026-11-21T12:00:00Z"
    assert full["source"] == {"slug": "blog", "title": "Mara's blog", "url": "https://blog.example/"}
    assert full["author"] == {"name": "Ann", "url": "https://ann.example/", "photo": ""}
    assert full["tags"] == ["cat", "small"]
    assert full["media"] == [
        {
            "type": "image/jpeg",
            "url": "https://blog.example/1.jpg",
            "width": 3,
            "height": 2,
            "alt": "A kitten",
            "thumbnail": "",
        }
    ]
    assert full["location"] == {"lat": 38.7, "lon": -9.1, "name": "Lisbon"}
    assert full["data"] == {"camera": "old"}
    assert full["deleted"] is False


def test_what_an_entry_does_not_say_is_null() -> None:
    bare = json_of(replace(stored(), entry=Entry()))
    assert [name for name in ENTRY_KEYS if bare[name] is None] == [
        "title", "url", "author", "published", "updated", "location",
    ]  # fmt: skip
    assert (bare["tags"], bare["media"], bare["data"]) == ([], [], {})


def test_the_html_of_an_entry_is_the_card_of_the_pages() -> None:
    one = replace(stored(title="Kitten"), id="kitten")  # pages keep cards: no other test has this one
    assert json_of(one)["html"] == renderer.entry_card(one)
    assert renderer.entry_card(one) in renderer.page("timeline.html", context("timeline.html", [one]))


def test_a_deleted_entry_says_who_it_was_and_nothing_else() -> None:
    gone = json_of(replace(stored("photo", title="Secret", data={"a": 1}), deleted=True))
    assert list(gone) == ENTRY_KEYS
    assert (gone["id"], gone["seq"], gone["first_seq"], gone["source"]["slug"]) == ("e1", 12, 11, "blog")
    assert gone["deleted"] is True
    assert not any(gone[name] for name in ("title", "url", "content_html", "summary", "data", "html"))
    assert "Secret" not in str(gone)


def test_the_tombstone_of_a_private_source_does_not_tell_what_it_is_called_now() -> None:
    one = stored(title="Secret", source=SourceName("blog", "New name", "https://blog.example/key", "private"))
    said = Encoder(renderer).tombstone(one).decode()
    assert '"slug":"blog"' in said
    assert "New name" not in said and "key" not in said and "Secret" not in said


# -- pages ------------------------------------------------------------------------------------


def source_facts(slug: str, **changed: Any) -> dict[str, Any]:
    return {
        "slug": slug, "title": slug.capitalize(), "url": f"https://{slug}.example/",
        "feed_url": f"https://{slug}.example/feed", "topic": None, "kind": "other", "visibility": "public",
        "state": "active", "delivery": "websub", "hub_url": "https://hub.example/",
        "lease_expires": "2026-12-01T14:31:00Z", "last_push": "2026-11-21T14:31:00.500000Z", "last_fetch": None,
        "missed": 0, "last_entry": None, "last_error": None, "entry_count": 3,
    } | changed  # fmt: skip


def context(template: str, entries: list[Stored], **changed: Any) -> dict[str, Any]:
    today = date(2026, 11, 21)
    said = sentence.of_today({"photo": 3}, author="Mara", lang="en")
    squares = calendar.month(today.replace(day=1), {today: 3, date(2026, 11, 2): 1}, today)
    song = SourceName("listens", "Listens", "")
    songs = [stored("listen", source=song, title="Song", data={"track": "Song", "artist": "Ana"})] * 3
    page = {
        "entries": entries,
        "days": [
            Day(
                day_of(one),
                [(one, f"{local(one):%H}"), (Group("listen:listens", tuple(songs)), "00")],
                ribbon([], height=SLIM),
            )
            for one in entries
        ],
        "heading": "",
        "lead": Lead(today, today, said, ribbon([Tick(NOON, "photo", 3)], now=NOON), {"photo": 3}),
        "side": Side([], 2, 48_210, entries, squares),
        "next": "/?before=x",
        "next_day": date(2026, 11, 19),
        "seq": 12,
        "filter": Filter(),
        "live": True,
        "live_url": "/live?",
        "feed_url": "/feed.atom",
        "first_run": False,
    }
    everywhere: dict[str, Any] = {
        "site": {
            "title": "Mara's stream", "author": "Mara", "author_url": "https://mara.example", "lang": "en",
            "note": "Cartographer in Lisbon.", "picture": "/owner.webp?v=1",
            "links": (Link(name="Flickr", url="https://photos.example/mara"),),
            "base_url": "https://stream.example", "hub_url": "https://stream.example/hub", "timezone": "Asia/Tokyo",
        },
        "owner": False, "csrf": "", "path": "/", "now": NOON, "theme": "", "meta": head.unlisted("Mara's stream"),
    }  # fmt: skip
    sources = [
        source_facts("blog", state="failing", last_error="This page names no feed."),
        source_facts("notes", delivery="local", url="local:notes", feed_url=None, hub_url=None, visibility="private"),
        source_facts("code", delivery="polling", state="paused", kind="code"),
        source_facts("photos", delivery="hub", state="pending"),
        source_facts("songs", delivery="rsscloud", state="denied"),
    ]
    own: Mapping[str, dict[str, Any]] = {
        "timeline.html": {"playing": None, "page": page},
        "source.html": {"playing": None, "page": page, "source": sources[0]},
        "day.html": {
            "day": today,
            "lead": page["lead"],
            "cards": [(one, "00") for one in entries],
            "shown_count": 2,
            "filter": Filter(),
            "oldest_first": False,
            "beside": (date(2026, 11, 20), None),
        },
        "month.html": {"months": [squares], "beside": (date(2026, 10, 2), None)},
        "year.html": {"months": [squares] * 12, "beside": (date(2025, 10, 2), None)},
        "entry.html": {
            "stored": entries[0] if entries else stored(title="Kitten", updated=NOON.replace(hour=13)),
            "told": Entry(title="Kitten"),
            "same_kind": (days.Neighbour("e0", "note", "Before", NOON), None),
            "same_day": (None, days.Neighbour("e2", "photo", "", NOON)),
            "via": "push",
            "day": today,
            "ribbon": ribbon([], height=SLIM),
        },
        "sources.html": {"sources": sources},
        "login.html": {"error": "That is not the password."},
        "setup.html": {"token": "t", "error": "", "minimum": 8},
        "error.html": {"status": 404, "title": "Not found", "detail": "There is nothing at this address."},
        "gone.html": {},
        "hub.html": {},
        "about.html": {},
    }
    return everywhere | own[template] | changed


@pytest.mark.parametrize("template", [f"{page}.html" for page in PAGES])
@pytest.mark.parametrize("owner", [False, True], ids=["visitor", "owner"])
def test_every_page_renders_with_what_it_is_promised(template: str, owner: bool) -> None:
    shown = renderer.page(template, context(template, [stored(title="Kitten")], owner=owner, csrf="token"))
    assert shown.startswith("<!DOCTYPE html>") and shown.rstrip().endswith("</html>")
    assert shown.count("<h1") == 1
    assert ('action="/logout"' in shown) is owner
    forms = re.findall(r'<form[^>]*method="post" action="(.*?)">(.*?)</form>', shown, re.S)
    unsigned = {"/login", "/setup", "/theme"}
    assert all('name="csrf" value="token"' in form for action, form in forms if action not in unsigned)


def test_a_live_page_hands_its_facts_to_the_script() -> None:
    shown = renderer.page("timeline.html", context("timeline.html", [stored()]))
    assert 'data-live-url="/live?" data-position="12"' in shown
    assert all(
        f'<script type="module" src="{static_files.address(name)}">' in shown for name in ("timeline.js", "live.js")
    )
    older = context("timeline.html", [stored()])
    older["page"] |= {"live": False}
    assert "live.js" not in renderer.page("timeline.html", older)


def test_an_empty_page_says_why_and_what_to_do() -> None:
    def shown(owner: bool = False, **changed: Any) -> str:
        given = context("timeline.html", [], owner=owner)
        given["page"] |= changed
        return renderer.page("timeline.html", given)

    assert "Add the first source" in shown(owner=True, first_run=True)
    assert "Mara has just set this up." in shown(first_run=True)
    assert 'href="/">Show everything</a>' in shown(filter=Filter(kind="photo"))


def test_days_are_the_owners() -> None:
    late = stored(at=datetime(2026, 11, 21, 16, 0, tzinfo=UTC))
    shown = renderer.page("timeline.html", context("timeline.html", [late]))
    assert "<span>Sunday</span>" in shown
    assert '<a href="/day/2026-11-22"><time datetime="2026-11-22">22 November 2026</time></a>' in shown


def test_filters_keep_what_else_is_asked_for() -> None:
    wanted = Filter("photo", "blog", "a&b", "two words", Near(51.5, -0.12, 10))
    assert stream_url(wanted, kind="") == "/?source=blog&tag=a%26b&near=51.5%2C-0.12%2C10&q=two+words"
    assert filter_title(wanted) == (
        "Photos from blog tagged “a&b” within 10 km of 51.50, -0.12 with the words “two words”"
    )
    assert stream_url(Filter()) == "/"


# -- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(top("templates").glob("*.html")), ids=lambda path: path.name)
def test_templates_hold_nothing_that_the_csp_forbids(path: Any) -> None:
    source = path.read_text("utf-8")
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:|<base\b", source)
    assert all("src=" in tag or "ld+json" in tag for tag in re.findall(r"<script[^>]*>", source))


def test_one_place_alone_trusts_markup() -> None:
    everything = "".join(path.read_text("utf-8") for path in top("templates").glob("*.html"))
    assert len(re.findall(r"\|\s*safe\b", everything)) == 1
