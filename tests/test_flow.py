"""The line from what arrives to the log, with real databases and a real publisher."""

from lifestream import flow
from lifestream.site import Site
from lifestream.store import changes, entries, feeds, sources
from lifestream.types import Filter
from tests.fakes import Publisher, serving

FEED = """<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:f</id><title>Blog</title>{}</feed>"""


def entry(number: int, text: str = "hello") -> str:
    return (
        f"<entry><id>urn:e:{number}</id><title>Post {number}</title><link href='http://blog.example/{number}'/>"
        f"<updated>2026-11-20T10:00:0{number}Z</updated><content type='html'>{text}</content></entry>"
    )


async def add(site: Site, url: str) -> None:
    async with site.store.begin() as db:
        await sources.add_feed(db, url, now=site.now(), slug="blog")


async def look_once(site: Site) -> int:
    async with site.store.begin() as db:
        due = await feeds.claim(db, site.now(), 10)
    for one in due:
        await flow.look(site, one)
    return len(due)


async def titles(site: Site) -> list[str | None]:
    async with site.store.read() as db:
        found, _ = await entries.page(db, audience="public", wanted=Filter(), limit=50)
    return [one.entry.title for one in found]


async def test_every_new_entry_of_a_document_is_stored(site: Site) -> None:
    publisher = Publisher()
    publisher.publish("/feed", FEED.format(entry(2) + entry(1)))
    async with serving(publisher.app) as url:
        await add(site, url + "/feed")
        assert await look_once(site) == 1
        assert await titles(site) == ["Post 2", "Post 1"]
        async with site.store.read() as db:
            blog = await sources.get(db, "blog", audience="public")
            log = await changes.after(db, 0, audience="public", limit=10)
        assert (blog.state, blog.last_error, blog.entry_count, blog.feed_url) == ("active", None, 2, url + "/feed")
        assert [change.quiet for change in log] == [True, True]
