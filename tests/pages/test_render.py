import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.places import top
from lifestream.render import LABELS, Renderer, filter_title, stream_url
from lifestream.types import KINDS, Author, Entry, Filter, Kind, Location, Media, Near, SourceName, Stored

ENTRY_KEYS = [
    "id", "seq", "first_seq", "source", "kind", "verb", "title", "url", "content_html", "summary", "author",
    "published", "updated", "received", "tags", "media", "location", "data", "deleted", "html",
]  # fmt: skip
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BLOG = SourceName("blog", "Mara's blog", "https://blog.example/")
PAGES = sorted(path.name for path in top("templates").glob("*.html") if path.name[0] != "_" and path.stem != "base")

renderer = Renderer(ZoneInfo("Asia/Tokyo"), "Mara")


def stored(kind: Kind = "note", *, source: SourceName = BLOG, at: datetime = NOON, **fields: Any) -> Stored:
    entry = Entry(kind=kind, published=at, **fields)
    return Stored("e1", seq=12, first_seq=11, source=source, entry=entry, received=at, ordered_at=at)


def card(kind: Kind = "note", **fields: Any) -> str:
    return renderer.entry_card(stored(kind, **fields))


def json_of(one: Stored) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(renderer.entry_json(one))
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
    one = stored(title="Kitten")
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
    said = renderer.tombstone_json(one).decode()
    assert '"slug":"blog"' in said
    assert "New name" not in said and "key" not in said and "Secret" not in said


# -- cards ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_it_is_and_shows_its_title(kind: Kind) -> None:
    shown = card(kind, title="Kitten", url="https://blog.example/1")
    assert LABELS[kind] in shown
    assert re.search(r'<a class="u-[a-z-]+" href="https://blog.example/1">Kitten</a>', shown)


def test_a_card_says_where_it_stands_in_the_stream_and_in_the_owners_day() -> None:
    shown = card(at=datetime(2026, 11, 21, 16, 30, tzinfo=UTC))
    assert '<article class="h-entry k-note h01" id="e-e1" data-id="e1" data-seq="12" data-first-seq="11"' in shown
    assert 'data-ordered="2026-11-21T16:30:00.000000Z" data-day="2026-11-22" data-weekday="Sunday"' in shown
    assert 'datetime="2026-11-22T01:30:00+09:00"' in shown and ">01:30</time>" in shown


def test_a_title_is_text() -> None:
    shown = card(title="<img src=x onerror=alert(1)> & more")
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; more" in shown
    assert "<img" not in shown


def test_clean_content_stays_markup_and_long_content_is_shown_by_its_beginning() -> None:
    assert "<p>All <em>of</em> it.</p>" in card(content_html="<p>All <em>of</em> it.</p>")
    long = stored("article", content_html="<p>" + "word " * 1000 + "</p>", summary="The beginning…")
    assert "The beginning…" in renderer.entry_card(long)
    assert "word word" not in renderer.entry_card(long)
    assert "word word" in renderer.entry_card(long, whole=True)


def test_a_listen_is_a_track_by_an_artist() -> None:
    shown = card("listen", title="x", data={"track": "Low Water", "artist": "Salt Marsh Radio", "album": "Estuary"})
    assert 'Low Water <span class="by">by Salt Marsh Radio</span>' in shown
    assert "Estuary" in shown


def test_code_is_a_list_of_commits() -> None:
    commits = [
        {"id": f"{n}123456789", "message": f"Change {n}\n\nLong", "url": "https://git.example/"} for n in range(7)
    ]
    push = stored("code", title="x", data={"repository": "mara/tidepool", "branch": "main", "commits": commits})
    shown = renderer.entry_card(push)
    assert "7 commits to <bdi>mara/tidepool</bdi>" in shown
    assert "Change 4</span>" in shown and "Change 5" not in shown and "and 2 more" in shown and "Long" not in shown
    assert "Change 6" in renderer.entry_card(push, whole=True)


@pytest.mark.parametrize("commits", [None, "x", 7, {}, [1, None, "x"], [{}], [{"id": 1, "message": [], "url": {}}]])
def test_data_of_the_wrong_shape_breaks_nothing(commits: object) -> None:
    shown = card("code", title="Pushed", data={"commits": commits, "repository": 1, "branch": [], "compare_url": 2})
    assert "Pushed" in shown or "1 commit" in shown
    assert "Song" in card("listen", title="Song", data={"track": [commits], "artist": 1})


def test_pictures_are_links_and_not_told_twice() -> None:
    pictures = (
        Media("image/jpeg", "https://a.example/1.jpg?a&b"),
        Media("image", "https://a.example/2.jpg", alt="Cat"),
    )
    content = '<p><a href="https://a.example/1.jpg?a&amp;b">Dog</a></p>'
    shown = card("photo", content_html=content, media=pictures)
    assert shown.count("1.jpg") == 1
    assert '<a class="u-photo" href="https://a.example/2.jpg" dir="auto">Cat</a>' in shown
    assert "2 photos" in shown and "<img" not in shown


def test_sounds_and_films_load_only_when_played() -> None:
    shown = card("audio", media=(Media("audio/mpeg", "https://a.example/1.mp3"), Media("video", "https://a.example/v")))
    assert '<audio class="u-audio" controls preload="none" src="https://a.example/1.mp3"></audio>' in shown
    assert '<a class="u-video" href="https://a.example/v"' in shown


def test_somebody_elses_entry_says_whose_it_is() -> None:
    assert "p-author" not in card(author=Author("mara"))
    assert '<a class="p-author h-card" href="https://ann.example/"' in card(
        author=Author("Ann", "https://ann.example/")
    )


def test_no_link_leads_to_a_script() -> None:
    bad = "javascript:alert(1)"
    everything: dict[str, Any] = {
        "title": "x", "url": bad, "in_reply_to": bad, "author": Author("Ann", bad), "media": (Media("image", bad),),
        "data": {"commits": [{"id": "1", "message": "m", "url": bad}], "compare_url": bad, "track": "t"},
    }  # fmt: skip
    assert all("javascript" not in card(kind, **everything) for kind in KINDS)


hostile = st.text(st.sampled_from("<>\"'&/= \n\0aé\u202e{}%"), min_size=1, max_size=20)


@given(title=hostile, author=hostile, tag=hostile, place=hostile, word=hostile)
def test_no_words_of_strangers_make_markup(title: str, author: str, tag: str, place: str, word: str) -> None:
    def marks(title: str, author: str, tag: str, place: str, word: str) -> list[tuple[int, int]]:
        fields: dict[str, Any] = {
            "title": title, "author": Author(author), "tags": (tag,), "location": Location(1, 2, place),
            "summary": word, "language": word, "in_reply_to": f"https://a.example/{word}",
            "data": {"track": title, "artist": author, "album": word, "branch": word, "repository": word,
                     "commits": [{"id": word, "message": "-" + word, "url": f"https://a.example/{word}"}]},
        }  # fmt: skip
        shown = [card(kind, source=SourceName(word, title, ""), **fields) for kind in KINDS]
        return [(one.count("<"), one.count('"')) for one in shown]

    assert marks(title, author, tag, place, word) == marks("a", "a", "a", "a", "a")


# -- pages ------------------------------------------------------------------------------------


def source_facts(slug: str, **changed: Any) -> dict[str, Any]:
    return {
        "slug": slug, "title": slug.capitalize(), "url": f"https://{slug}.example/",
        "feed_url": f"https://{slug}.example/feed", "topic": None, "kind": "", "visibility": "public",
        "state": "active", "delivery": "websub", "hub_url": "https://hub.example/",
        "lease_expires": "2026-12-01T14:31:00Z", "last_push": "2026-11-21T14:31:00.500000Z", "last_fetch": None,
        "missed": 0, "last_entry": None, "last_error": None, "entry_count": 3,
    } | changed  # fmt: skip


def context(template: str, entries: list[Stored], **changed: Any) -> dict[str, Any]:
    page = {
        "entries": entries,
        "days": [(renderer.day_of(one), [one]) for one in entries],
        "next": "/?before=x",
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
            "base_url": "https://stream.example", "hub_url": "https://stream.example/hub", "timezone": "Asia/Tokyo",
        },
        "owner": False, "csrf": "", "path": "/", "now": NOON,
    }  # fmt: skip
    sources = [
        source_facts("blog", state="failing", last_error="This page names no feed."),
        source_facts("notes", delivery="local", url="local:notes", feed_url=None, hub_url=None, visibility="private"),
        source_facts("code", delivery="polling", state="paused", kind="code"),
        source_facts("photos", delivery="hub", state="pending"),
        source_facts("songs", delivery="rsscloud", state="denied"),
    ]
    own: Mapping[str, dict[str, Any]] = {
        "timeline.html": {"page": page},
        "source.html": {"page": page, "source": sources[0]},
        "entry.html": {"stored": entries[0] if entries else stored(title="Kitten", updated=NOON.replace(hour=13))},
        "sources.html": {"sources": sources},
        "admin_sources.html": {"sources": sources, "said": "Paused: blog", "error": "", "form": {"kind": "code"}},
        "login.html": {"error": "That is not the password."},
        "setup.html": {"token": "t", "error": "", "minimum": 8},
        "error.html": {"status": 404, "title": "Not found", "detail": "There is nothing at this address."},
        "gone.html": {},
        "hub.html": {},
    }
    return everywhere | own[template] | changed


@pytest.mark.parametrize("template", PAGES)
@pytest.mark.parametrize("owner", [False, True], ids=["visitor", "owner"])
def test_every_page_renders_with_what_it_is_promised(template: str, owner: bool) -> None:
    shown = renderer.page(template, context(template, [stored(title="Kitten")], owner=owner, csrf="token"))
    assert shown.startswith("<!DOCTYPE html>") and shown.rstrip().endswith("</html>")
    assert shown.count("<h1") == 1
    assert ('action="/logout"' in shown) is owner
    forms = re.findall(r'<form[^>]*method="post" action="(.*?)">(.*?)</form>', shown, re.S)
    unsigned = {"/login", "/setup"}
    assert all('name="csrf" value="token"' in form for action, form in forms if action not in unsigned)


def test_a_live_page_hands_its_facts_to_the_script() -> None:
    shown = renderer.page("timeline.html", context("timeline.html", [stored()]))
    assert 'data-live-url="/live?" data-position="12"' in shown
    assert all(
        f'<script type="module" src="{renderer.static_url(name)}">' in shown for name in ("timeline.js", "live.js")
    )
    older = context("timeline.html", [stored()])
    older["page"] |= {"live": False}
    assert "<script" not in renderer.page("timeline.html", older)


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
    assert renderer.day_of(late) == date(2026, 11, 22)
    assert '<span>Sunday</span> <time datetime="2026-11-22">22 November 2026</time>' in renderer.page(
        "timeline.html", context("timeline.html", [late])
    )


def test_filters_keep_what_else_is_asked_for() -> None:
    wanted = Filter("photo", "blog", "a&b", "two words", Near(51.5, -0.12, 10))
    assert stream_url(wanted, kind="") == "/?source=blog&tag=a%26b&near=51.5%2C-0.12%2C10&q=two+words"
    assert filter_title(wanted) == (
        "Photos from blog tagged “a&b” within 10 km of 51.50, -0.12 with the words “two words”"
    )
    assert stream_url(Filter()) == "/"


# -- files ------------------------------------------------------------------------------------


def test_static_files_carry_the_hash_of_what_they_hold() -> None:
    assert re.fullmatch(r"/static/style\.css\?v=[0-9a-f]{12}", renderer.static_url("style.css"))


@pytest.mark.parametrize("path", sorted(top("templates").glob("*.html")), ids=lambda path: path.name)
def test_templates_hold_nothing_that_the_csp_forbids(path: Any) -> None:
    source = path.read_text("utf-8")
    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:|<base\b", source)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", source))


def test_one_place_alone_trusts_markup() -> None:
    everything = "".join(path.read_text("utf-8") for path in top("templates").glob("*.html"))
    assert len(re.findall(r"\|\s*safe\b", everything)) == 1
