"""One believable day of somebody's, with an entry of every kind, and the host that has its pictures."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import cache
from io import BytesIO
from math import sin
from typing import Any

from PIL import Image, ImageDraw

from lifestream.clean.html import clean_with_pictures, summary_of, text_of_clean
from lifestream.site import Site
from lifestream.store import sources
from lifestream.types import Author, Kind, Location, Media, Stored
from tests.fakes import Publisher, serving
from tests.stories import writes

SOURCES = {
    "blog": "The blog", "flickr": "Flickr", "listens": "ListenBrainz", "forgejo": "Forgejo",
    "mastodon": "Mastodon", "swarm": "Swarm", "peertube": "PeerTube", "letterboxd": "Letterboxd", "links": "Linkding",
}  # fmt: skip
PICTURES: dict[str, tuple[int, int, int]] = {
    "ridge": (1600, 1000, 6), "dunes": (1600, 1067, 11), "pines": (800, 1000, 8), "tide": (1600, 1067, 18),
    "rain": (1280, 720, 22), "tower": (600, 1200, 14), "bay": (2000, 800, 12), "boats": (1200, 900, 16),
    "lamp": (900, 900, 20), "estuary": (600, 600, 13), "paper-sun": (600, 600, 17), "slow-ferry": (600, 600, 4),
}  # fmt: skip
"""Width, height, and the hour whose light they are in."""
SKIES = {
    4: ("#232a5c", "#7d5a9c"), 6: ("#6d6a9b", "#f6c19a"), 8: ("#9fb7c9", "#e9d9bd"), 11: ("#5c86b8", "#ecd9be"),
    12: ("#2c6fb4", "#bfe0f2"), 13: ("#2877b0", "#d9ecd8"), 14: ("#3a7fb8", "#cfe4ee"), 16: ("#88a5b5", "#f0cf95"),
    17: ("#c96f52", "#ffd9a0"), 18: ("#43497f", "#f2a07a"), 20: ("#2a2340", "#b86d86"), 22: ("#0b1024", "#39315f"),
}  # fmt: skip
LONG_WORD = "rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"
POST = (
    "A tide table is a promise printed a year ahead about something nobody controls. It is wrong by a few minutes "
    "every day, and sailors trust it with their lives. I have started to write my expiry times the same way."
)


@asynccontextmanager
async def picture_host() -> AsyncIterator[str]:
    """Serves the pictures to the end of the block; gives its address."""
    host = Publisher()
    for name in PICTURES:
        host.publish(f"/{name}.jpg", painted(name), "image/jpeg")
    async with serving(host.app) as url:
        yield url


@cache
def painted(name: str) -> bytes:
    """A landscape: a sky, a sun, and hills that fade with their distance."""
    width, height, hour = PICTURES[name]
    top, bottom = SKIES[hour]
    scale = Image.linear_gradient("L").resize((width, height))
    picture = Image.composite(Image.new("RGB", scale.size, bottom), Image.new("RGB", scale.size, top), scale)
    draw = ImageDraw.Draw(picture)
    radius = height // 14
    x, y = width * (hour % 5 + 2) // 8, height * 2 // 5
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill="#fff3d6")
    for hill in range(5):
        level = height * (0.5 + 0.11 * hill)
        fade = 0.78 - 0.15 * hill
        shade = tuple(round(int(top[part : part + 2], 16) * fade) for part in (1, 3, 5))
        ridge = [(x, level + height * 0.06 * _wave(x / width, hill, hour)) for x in range(0, width + 8, 8)]
        draw.polygon([(0, height), *ridge, (width, height)], fill=shade)
    found = BytesIO()
    picture.save(found, "JPEG", quality=82)
    return found.getvalue()


def _wave(x: float, hill: int, hour: int) -> float:
    return sin(x * (7 + 3 * hill) + hour) + 0.4 * sin(x * 31 + hill)


def photo(host: str, name: str, alt: str, *, sized: bool = True) -> Media:
    width, height, _ = PICTURES[name]
    unsized = Media("image/jpeg", f"{host}/{name}.jpg", alt=alt)
    return replace(unsized, width=width, height=height) if sized else unsized


async def filled(site: Site, host: str, day: date) -> dict[str, Stored]:
    """Writes the day, in the owner's zone; gives the entries by what they are."""
    async with site.store.begin() as db:
        for slug, title in SOURCES.items():
            await sources.add_local(db, slug, title=title, now=site.now())
    return {name: await _written(site, day, *entry) for name, entry in _day(host).items()}


async def _written(site: Site, day: date, clock: str, slug: str, kind: Kind, fields: dict[str, Any]) -> Stored:
    hour, minute = clock.split(":")
    at = datetime(day.year, day.month, day.day, tzinfo=site.config.zone) + timedelta(
        hours=int(hour), minutes=int(minute)
    )
    values = {"title": None, "url": f"https://{slug}.example/{clock.replace(':', '')}"} | fields
    if content := values.pop("content", ""):
        body, _ = clean_with_pictures(content, "https://mara.example/")
        values |= {"content_html": body, "summary": summary_of(text_of_clean(body))}
    return await writes(site, slug=slug, kind=kind, published=at, **values)


def _day(host: str) -> dict[str, tuple[str, str, Kind, dict[str, Any]]]:
    """When, where, what."""
    lisbon = Location(38.72, -9.14, "Lisbon")
    comporta = Location(38.38, -8.8, "Praia da Comporta")
    found: dict[str, tuple[str, str, Kind, dict[str, Any]]] = {
        "photo": ("06:52", "flickr", "photo", {
            "title": "Six fifty-two, Serra da Arrábida",
            "media": (photo(host, "ridge", "Mountain ridges stacked in rose mist before sunrise"),),
        }),
        "album": ("07:40", "mastodon", "photo", {
            "title": "A morning in shapes", "media": tuple(
                photo(host, name, name.capitalize())
                for name in ("dunes", "pines", "tower", "bay", "lamp", "boats", "tide")
            ),
        }),
        "post": ("09:10", "blog", "article", {
            "title": "What a tide table taught me about caching", "tags": ("caching", "sea"),
            "content": f"<p>{POST}</p><p><img src='{host}/tide.jpg' alt='The sun touching the sea'></p>"
            + f"<p>{POST}</p>" * 40,
            "media": (photo(host, "tide", "The sun touching the sea", sized=False),),
        }),
        "bookmark": ("09:31", "links", "bookmark", {
            "title": "Natural Earth", "content": "<p>Free vector and raster map data, at three scales.</p>",
        }),
        "like": ("09:58", "mastodon", "like", {
            "content": "<blockquote><p>The pencil does not ask me to update it.</p></blockquote>",
            "data": {"about": {
                "title": "Why I still keep a paper logbook", "author": "Tomas Reyes", "url": "https://t.example/1",
            }},
        }),
        "liked_photo": ("10:05", "mastodon", "like", {
            "data": {"about": {"type": "photo", "author": "Ilse Vann", "url": "https://t.example/2"}},
            "media": (photo(host, "boats", "Boats at low water"),),
        }),
        "push": ("10:41", "forgejo", "code", {
            "title": "Pushed 7 commits to tidepool", "data": {
                "repository": "mara/tidepool", "branch": "main", "compare_url": "https://forgejo.example/compare/a...b",
                "additions": 214, "deletions": 61, "files": 9,
                "commits": [
                    {"id": f"{number}f2c1e7aa90", "message": message, "url": f"https://forgejo.example/c/{number}"}
                    for number, message in enumerate((
                        "Keep the reader’s place when entries arrive above", "Draw the rail with two hour classes",
                        "Renew leases at two thirds of their length", "Say what the hub said", "A name of its own",
                        "Fewer words", "Round the corners",
                    ))
                ],
            },
        }),
        "issue": ("10:55", "forgejo", "code", {"title": "Opened issue tidepool#12: Tables lose their datum"}),
        "reply": ("11:20", "mastodon", "reply", {
            "in_reply_to": "https://social.example/@tomas/1123", "content": "<p>Only on paper. The wet kind.</p>",
        }),
        "track": ("12:02", "listens", "listen", {
            "title": "Salt Marsh Radio – Estuary", "media": (photo(host, "estuary", ""),),
            "data": {"track": "Estuary", "artist": "Salt Marsh Radio", "album": "Estuary", "duration": 241},
        }),
        "event": ("12:30", "blog", "event", {
            "title": "Reading the coast: a talk",
            "content": "<p>Forty minutes on charts that are wrong on purpose.</p>",
            "data": {"start": "2026-12-03T19:00:00+00:00", "end": "2026-12-03T20:30:00+00:00"}, "location": lisbon,
        }),
        "checkin": ("13:20", "swarm", "checkin", {"title": "Praia da Comporta", "location": comporta}),
        "photos": ("13:48", "flickr", "photo", {
            "title": "After the wind", "location": comporta, "tags": ("dunes", "film", LONG_WORD),
            "media": (
                photo(host, "dunes", "Wind-ribbed dunes under a pale sky"), photo(host, "pines", "Pine trunks in fog"),
            ),
        }),
        "note": ("14:31", "notes", "note", {
            "url": None,
            "content": "<p>The wind has rearranged the whole beach overnight. "
            "Same <a href='https://maps.example/'>place</a>, new map.</p>",
        }),
        "long_note": ("14:50", "mastodon", "note", {"content": "<p>" + (POST + " ") * 5 + "</p>"}),
        "warned": ("15:02", "mastodon", "note", {
            "title": "Spiders, up close", "content": "<p>Eight eyes, all of them on me.</p>",
            "media": (photo(host, "lamp", "A spider on a lamp"),),
            "data": {"content_warning": "Spiders, up close", "sensitive": True},
        }),
        "arabic": ("15:30", "mastodon", "repost", {
            "language": "ar", "content": "<blockquote><p>البحر لا يكتب مواعيده، لكنه يأتي كل يوم.</p></blockquote>",
            "data": {"about": {"type": "note", "author": "ليلى حداد", "url": "https://t.example/3"}},
        }),
        "tall_photo": ("16:10", "flickr", "photo", {
            "title": "Cabo Espichel", "media": (photo(host, "tower", "A lighthouse"),),
            "content": "<p>Three hundred steps, and a keeper who counts them for you.</p>",
        }),
        "audio": ("16:40", "blog", "audio", {
            "title": "Low water, recorded", "content": "<p>Seven minutes of a harbour emptying.</p>",
            "media": (Media("audio/mpeg", "https://mara.example/low-water.mp3"),), "data": {"duration": 421},
        }),
        "video": ("17:32", "peertube", "video", {
            "title": "Line 15, in the rain", "data": {"duration": 48},
            "media": (
                Media("video/mp4", "https://tube.example/15.mp4", 1280, 720, "A wet tram window", f"{host}/rain.jpg"),
            ),
        }),
        "linked_video": ("17:50", "peertube", "video", {
            "title": "How charts are drawn", "data": {"duration": 1503},
            "media": (Media("video", "https://www.youtube.com/watch?v=abcdefghijk", thumbnail=f"{host}/bay.jpg"),),
        }),
        "release": ("18:20", "forgejo", "release", {
            "title": "tidepool 2.1.0", "data": {"repository": "mara/tidepool", "tag": "2.1.0"},
            "content": "<ul><li>Tables print with their harbour and datum on every page</li>"
            "<li>Predictions for 212 more ports</li></ul>",
        }),
        "triptych": ("18:50", "flickr", "photo", {
            "title": "The way back",
            "media": tuple(photo(host, name, name.capitalize()) for name in ("boats", "bay", "lamp")),
        }),
        "watch": ("19:05", "letterboxd", "watch", {
            "title": "The Lighthouse Keeper’s Daughter",
            "content": "<p>Mostly weather. I would watch it again tomorrow.</p>",
            "media": (photo(host, "paper-sun", "The poster", sized=False),),
        }),
        "follow": ("19:47", "mastodon", "follow", {
            "data": {"about": {"type": "person", "title": "Tomas Reyes", "url": "https://social.example/@tomas"}},
        }),
        "other": ("20:15", "links", "other", {"title": "Badge: five years of tide tables"}),
        "unsized_photo": ("21:02", "mastodon", "photo", {
            "content": f"<p>The lamp is back.</p><p><img src='{host}/lamp.jpg' alt='A lamp at night'></p>",
            "media": (photo(host, "lamp", "A lamp at night", sized=False),),
        }),
        "single_listen": ("22:14", "listens", "listen", {
            "title": "Ilse Vann – Last Tram to Algés", "media": (photo(host, "paper-sun", ""),),
            "data": {"track": "Last Tram to Algés", "artist": "Ilse Vann", "album": "Paper Sun"},
        }),
        "by_somebody": ("22:40", "mastodon", "note", {
            "author": Author("Ilse Vann", "https://social.example/@ilse"), "content": "<p>See you at the quay.</p>",
        }),
    }  # fmt: skip
    for number, track in enumerate(("Groyne Song", "Neap", "Leaving Setúbal", "Slow Ferry")):
        found[f"burst_{number}"] = (f"11:{35 + 5 * number}", "listens", "listen", {
            "title": f"The Harbour Lights – {track}",
            "media": (photo(host, ("estuary", "slow-ferry")[number % 2], ""),),
            "data": {"track": track, "artist": "The Harbour Lights", "album": "Slow Ferry", "duration": 230 + number},
        })  # fmt: skip
    return found
