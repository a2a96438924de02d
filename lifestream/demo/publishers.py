"""Five small publishers for the demo: a blog, a git host, a microblog, a scrobbler, a photo site, each with a feed."""

import html
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from xml.sax.saxutils import escape, quoteattr

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lifestream.demo.paintings import cover, landscape
from lifestream.types import Kind

KEPT = 10
DAY_AND_A_HALF = timedelta(hours=36)
HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">'

BLOG = (
    ("The harbour at five in the morning", "Nobody talks before the first boat is in. I went three days in a row."),
    ("What I keep in my tool drawer", "A list that began as a joke and turned into an inventory of bad decisions."),
    ("Reading maps that are wrong", "An old map is a letter from somebody who had to decide what to leave out."),
    ("Letters, again", "I have started to answer on paper. It takes four days and nobody expects it sooner."),
    ("A year without a to-do list", "Most of it got done. The rest, it turns out, was never going to be."),
)
NOTES = (
    "The wind has rearranged the whole beach overnight. Same place, new map.",
    "Found the good bakery. It was behind the bad bakery all along.",
    "Train is late, so I have now read the safety card in three languages.",
    "If you look long enough at a tide table it becomes a poem.",
    "Fog so thick that the ferry honked at the cathedral.",
    "Today's programming lesson: the bug was in the test of the test.",
)
COMMITS = (
    ("tidepool", "Read tide tables whose year has two digits"),
    ("tidepool", "Say which harbour is meant when two share a name"),
    ("tidepool", "Make the chart's needle move once a minute"),
    ("letters", "Leave room for the stamp"),
    ("letters", "Fold at the right line"),
)
SONGS = (
    ("Salt Marsh Radio", "Low Water", "Tidelines"),
    ("Salt Marsh Radio", "Herons", "Tidelines"),
    ("The Quiet Ferry", "Nine Minutes Late", "Timetables"),
    ("Ana Reis", "Janela", "Casa Branca"),
    ("Northern Windows", "Amber Hour", "Solstice"),
)
ALBUMS = [album for _, _, album in SONGS]
PHOTOS = ("Dune after the storm", "Rope, salt, rust", "Blue hour at the lock", "Two cranes", "Lighthouse from behind")

Entry = Callable[["Publisher", int, str], str]


@dataclass
class Publisher:
    """A feed that grows. `entry` writes one as Atom; `moments` are the seconds between two, from and to."""

    slug: str
    title: str
    kind: Kind
    base_url: str
    hub_url: str
    entry: Entry
    moments: tuple[float, float]
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    entries: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    updated: str = "2026-01-01T00:00:00Z"

    @property
    def feed_url(self) -> str:
        return f"{self.base_url}/{self.slug}/feed.atom"

    def pause(self) -> float:
        return random.uniform(*self.moments)

    def looks_back(self, now: datetime) -> None:
        """Has published before: the stream begins with a day and a half of it."""
        ages = sorted((random.uniform(0.02, 1) ** 2 * DAY_AND_A_HALF for _ in range(KEPT // 2)), reverse=True)
        for age in ages:
            self.write_something(now - age)

    def write_something(self, now: datetime) -> None:
        self.updated = now.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.entries.appendleft(self.entry(self, next(self.numbers), self.updated))

    def document(self) -> str:
        links = f'<link rel="self" href={quoteattr(self.feed_url)}/><link rel="hub" href={quoteattr(self.hub_url)}/>'
        page = f'<link rel="alternate" type="text/html" href={quoteattr(f"{self.base_url}/{self.slug}")}/>'
        top = f"<id>{escape(self.feed_url)}</id><title>{escape(self.title)}</title><updated>{self.updated}</updated>"
        return f"{HEAD}{top}{links}{page}<author><name>Mara</name></author>{''.join(self.entries)}</feed>"

    def atom_entry(self, number: int, when: str, title: str, content: str, more: str = "") -> str:
        url = f"{self.base_url}/{self.slug}/{number}"
        return (
            f"<entry><id>{url}</id><title>{escape(title)}</title><published>{when}</published><updated>{when}</updated>"
            f'<link rel="alternate" type="text/html" href="{url}"/><content type="html">{escape(content)}</content>'
            f"{more}</entry>"
        )

    def picture(self, number: int) -> str:
        return f"{self.base_url}/{self.slug}/{number}.jpg"


def publishers(base_url: str, hub_url: str) -> list[Publisher]:
    rows: Sequence[tuple[str, str, Kind, Entry, tuple[float, float]]] = (
        ("micro", "Mara, in short", "note", _note, (5, 12)),
        ("songs", "What Mara listens to", "listen", _listen, (4, 9)),
        ("code", "Mara's repositories", "code", _commit, (8, 18)),
        ("photos", "Mara's photographs", "photo", _photo, (9, 20)),
        ("blog", "Mara writes", "article", _article, (25, 50)),
    )
    return [Publisher(slug, title, kind, base_url, hub_url, entry, pace) for slug, title, kind, entry, pace in rows]


def application(made: Sequence[Publisher]) -> Starlette:
    by_slug = {one.slug: one for one in made}

    async def feed(request: Request) -> Response:
        one = by_slug.get(request.path_params["slug"])
        if one is None:
            return PlainTextResponse("no such publisher", 404)
        return Response(one.document(), media_type="application/atom+xml")

    async def picture(request: Request) -> Response:
        paint = cover if request.path_params["slug"] == "songs" else landscape
        return Response(await run_in_threadpool(paint, request.path_params["number"]), media_type="image/jpeg")

    async def page(request: Request) -> Response:
        return PlainTextResponse("This address belongs to a made-up publisher of lifestream's demo.")

    return Starlette(
        routes=[
            Route("/{slug}/feed.atom", feed),
            Route("/{slug}/{number:int}.jpg", picture),
            Route("/{rest:path}", page),
        ]
    )


def _article(self: Publisher, number: int, when: str) -> str:
    title, text = random.choice(BLOG)
    return self.atom_entry(number, when, title, f"<p>{html.escape(text)}</p>")


def _note(self: Publisher, number: int, when: str) -> str:
    return self.atom_entry(number, when, "", f"<p>{html.escape(random.choice(NOTES))}</p>")


def _commit(self: Publisher, number: int, when: str) -> str:
    repository, message = random.choice(COMMITS)
    content = f"<p>Mara pushed to <b>{repository}</b>: {html.escape(message)}</p>"
    return self.atom_entry(number, when, f"{repository}: {message}", content)


def _listen(self: Publisher, number: int, when: str) -> str:
    artist, track, album = random.choice(SONGS)
    content = f"<p>from <i>{html.escape(album)}</i></p>"
    cover = f'<thumbnail xmlns="http://search.yahoo.com/mrss/" url="{self.picture(ALBUMS.index(album))}"/>'
    return self.atom_entry(number, when, f"{track} by {artist}", content, cover)


def _photo(self: Publisher, number: int, when: str) -> str:
    title = random.choice(PHOTOS)
    place = '<point xmlns="http://www.georss.org/georss">38.69 -9.42</point>'
    enclosure = f'<link rel="enclosure" type="image/jpeg" href="{self.picture(number)}"/>{place}'
    return self.atom_entry(number, when, title, f"<p>{html.escape(title)}</p>", enclosure)
