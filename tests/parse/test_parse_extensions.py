"""What hangs on an entry as real publishers write it: people, places, ratings, enclosures, deeds."""

import json
from time import process_time
from typing import Any

import pytest

from lifestream.parse import parse
from lifestream.parse.extensions import media_type
from lifestream.types import Author, Feed, Location, Media, RawEntry, Text, Tombstone

URL = "https://b.example/feed"
NAMESPACES = " ".join(
    f'xmlns:{prefix}="{address}"'
    for prefix, address in {
        "media": "http://search.yahoo.com/mrss/",
        "georss": "http://www.georss.org/georss",
        "gml": "http://www.opengis.net/gml",
        "activity": "http://activitystrea.ms/spec/1.0/",
        "itunes": "https://www.itunes.com/dtds/podcast-1.0.dtd",
        "podcast": "https://podcastindex.org/namespace/1.0",
        "cal": "urn:ietf:params:xml:ns:xcal",
    }.items()
)


def atom(inside: str) -> RawEntry:
    body = f'<feed xmlns="http://www.w3.org/2005/Atom" {NAMESPACES}><entry><id>urn:1</id>{inside}</entry></feed>'
    (only,) = parse(body.encode(), "", URL).entries
    return only


def rss(inside: str) -> RawEntry:
    body = f"<rss {NAMESPACES}><channel><item><guid>1</guid>{inside}</item></channel></rss>"
    (only,) = parse(body.encode(), "", URL).entries
    return only


def json_item(**said: Any) -> RawEntry:
    feed = {"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "1", **said}]}
    (only,) = parse(json.dumps(feed).encode(), "", URL).entries
    return only


# -- people -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Ana", "Ana"),
        ("ana@b.example (Ana  of the\nlooms)", "Ana of the looms"),
        ("ana@b.example (Ana (she))", "Ana (she)"),
        ("Ana Loom &lt;ana@b.example>", "Ana Loom"),
        ("Ana &lt;3 &lt;ana@b.example>", "Ana <3"),
        ("ana@b.example", "ana"),
        ("&lt;ana@b.example>", "ana"),
        ("@ana", "@ana"),
        ("Ana @ work", "Ana @ work"),
        ("Ana @ work (at night)", "Ana @ work (at night)"),
    ],
)
def test_mail_addresses_are_left_out_of_names(written: str, name: str) -> None:
    assert rss(f"<author>{written}</author>").author == Author(name)


@pytest.mark.parametrize("name", ["a@b" + " " * 3900 + "!", "@" * 4000, "a@b" + " (" * 1900 + ">", "<@" * 2000])
def test_a_name_cannot_keep_the_reader_busy(name: str) -> None:
    people = f"<author><name>{name.replace('<', '&lt;')}</name></author>" * 250
    began = process_time()
    assert atom(people).author is not None
    assert process_time() - began < 1  # a second is many times of what it takes, and a tenth of what it took


# -- ratings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inside", "sensitive"),
    [
        ('<media:content url="/1.png"><media:rating scheme="urn:simple">adult</media:rating></media:content>', True),
        ('<media:content url="/1.png"><media:rating scheme="urn:simple">nonadult</media:rating></media:content>', None),
        ("<media:group><media:content url='/1.mp4'/><media:rating> Adult </media:rating></media:group>", True),
        ("<media:rating>adult</media:rating>", True),
        ('<media:rating scheme="urn:mpaa">adult</media:rating>', None),
        ('<media:content url="/1.png"><rating>adult</rating></media:content>', None),
    ],
)
def test_what_is_rated_as_for_adults_is_sensitive(inside: str, sensitive: bool | None) -> None:
    assert rss(inside).data.get("sensitive") is sensitive


# -- texts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "content"),
    [
        ("First line\n\n- a\n- b", Text("First line\n\n- a\n- b")),
        (" 1 &amp;lt; 2 &lt; 3\n&lt;3 ", Text("1 < 2 < 3\n<3")),
        ("&lt;p>a\nb&lt;/p>", Text("<p>a\nb</p>", html=True)),
        ("\n  one line\n", Text("\n  one line\n", html=True)),
    ],
)
def test_a_description_with_lines_and_no_tag_is_plain_text(written: str, content: Text) -> None:
    found = rss(f"<description>{written}</description>").content
    assert found is not None
    assert (found.value, found.html) == (content.value, content.html)


# -- places -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inside", "place"),
    [
        ("<georss:box>-10 170 10 -170</georss:box>", Location(0, 180)),
        ("<georss:box>-10 160 10 -170</georss:box>", Location(0, 175)),
        ("<georss:box>-10 178 10 -160</georss:box>", Location(0, -171)),
        ("<georss:box>-10 -20 10 40</georss:box>", Location(0, 10)),
        ("<georss:box>10 40 -10 -20</georss:box>", Location(0, 10)),
        ("<georss:circle>38.4 -8.8 500</georss:circle>", Location(38.4, -8.8)),
        ('<georss:point featurename="Arrábida">38.4 -8.8</georss:point>', Location(38.4, -8.8, "Arrábida")),
        ("<gml:Point><gml:pos>38.4 -8.8</gml:pos></gml:Point>", Location(38.4, -8.8)),
        ("<georss:where><gml:Point><gml:coordinates>-8.8,38.4</gml:coordinates></gml:Point></georss:where>",
         Location(38.4, -8.8)),
        ("<gml:Point><gml:coordinates>38.4 -8.8</gml:coordinates></gml:Point>", Location(38.4, -8.8)),
        ("<gml:Point/><georss:circle/>", None),
        ('<podcast:location geo="geo:38.4,-8.8;u=9">Arrábida</podcast:location>', Location(38.4, -8.8, "Arrábida")),
        ('<podcast:location osm="R1">Arrábida</podcast:location>', None),
    ],
)  # fmt: skip
def test_a_place_is_found_however_it_is_written(inside: str, place: Location | None) -> None:
    assert rss(inside).location == place


# -- media ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "medium", "url", "kind"),
    [
        ("application/octet-stream", "", "https://b.example/a.mp3", "audio/mpeg"),
        ("binary/octet-stream", "video", "https://b.example/a", "video"),
        ("application/octet-stream", "", "https://b.example/a", "application/octet-stream"),
        ("application/pdf", "", "https://b.example/a.mp3", "application/pdf"),
    ],
)
def test_a_type_that_says_nothing_gives_way_to_the_ending(given: str, medium: str, url: str, kind: str) -> None:
    assert media_type(given, medium, url) == kind


def test_the_namespace_of_podcasts_is_known_with_https() -> None:
    assert rss("<itunes:duration>1:35</itunes:duration>").data == {"duration": 95}


def test_a_picture_beside_a_film_is_its_still() -> None:
    film = {"url": "/1.mp4", "mime_type": "video/mp4"}
    assert json_item(image="/1.jpg", attachments=[film]).media == (
        Media("video/mp4", "https://b.example/1.mp4", thumbnail="https://b.example/1.jpg"),
    )
    notes = {"url": "/1.pdf", "mime_type": "application/pdf"}
    assert [each.url[-3:] for each in json_item(image="/1.jpg", attachments=[notes, film]).media] == ["pdf", "mp4"]
    assert [each.url[-3:] for each in json_item(image="/1.jpg", attachments=[notes]).media] == ["jpg", "pdf"]
    same = {"url": "/1.jpg", "mime_type": "image/jpeg"}
    assert json_item(image="/1.jpg", attachments=[same]).media == (Media("image/jpeg", "https://b.example/1.jpg"),)


# -- deeds ------------------------------------------------------------------------------------


def deed(verb: str, kind: str, thing: str) -> RawEntry:
    schema = "http://activitystrea.ms/schema/1.0"
    return atom(
        f"<activity:verb>{schema}/{verb}</activity:verb>"
        f"<activity:object><activity:object-type>{schema}/{kind}</activity:object-type>{thing}</activity:object>"
    )


PHOTO = '<link rel="enclosure" type="image/jpeg" href="/kitten.jpg"/>'
KITTEN = (Media("image/jpeg", "https://b.example/kitten.jpg"),)


def test_a_photo_that_is_shared_is_shown() -> None:
    assert deed("share", "photo", PHOTO).media == KITTEN
    assert deed("share", "activity", f"<activity:object>{PHOTO}</activity:object>").media == KITTEN
    assert deed("favorite", "photo", PHOTO).media == ()
    assert deed("share", "note", "").media == ()


def test_a_place_that_is_on_no_map_is_named() -> None:
    cafe = '<title>Cafe Blue</title><link rel="alternate" href="/cafe"/>'
    assert deed("checkin", "place", cafe).data["about"] == {
        "url": "https://b.example/cafe",
        "title": "Cafe Blue",
        "type": "place",
    }
    found = deed("checkin", "place", f"{cafe}<georss:point>38.4 -8.8</georss:point>")
    assert (found.location, dict(found.data)) == (Location(38.4, -8.8, "Cafe Blue"), {})


def test_an_event_that_is_posted_says_when_it_is() -> None:
    when = "<cal:dtstart>2026-01-05T10:00:00Z</cal:dtstart><cal:dtend>2026-01-05T12:00:00Z</cal:dtend>"
    assert deed("post", "event", when).data == {"start": "2026-01-05T10:00:00Z", "end": "2026-01-05T12:00:00Z"}


# -- removals ---------------------------------------------------------------------------------


def tombstone(attributes: str) -> Feed:
    body = f'<?xml version="1.0"?><at:deleted-entry xmlns:at="http://purl.org/atompub/tombstones/1.0" {attributes}/>'
    return parse(body.encode(), "application/atomdeleted+xml", URL)


def test_a_removal_may_be_a_document_of_its_own() -> None:
    found = tombstone('ref="urn:1" when="2026-01-05T10:00:00Z"')
    assert (found.tombstones, found.entries) == ((Tombstone("urn:1", "2026-01-05T10:00:00Z"),), ())
    assert tombstone("").tombstones == ()
