"""The sources as a list to follow (`/opml`), and everything the owner has as one JSON document."""

from collections.abc import AsyncIterator, Iterable

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lifestream import __version__
from lifestream.config import Config
from lifestream.protocol import opml
from lifestream.protocol.topics import Topic
from lifestream.publish.encode import entry_dict
from lifestream.publish.feeds.document import site_title
from lifestream.site import Site
from lifestream.store import changes, sources
from lifestream.types import Filter, Source, Stored
from lifestream.write import moment, source_json

PAGE = 200


async def opml_list(request: Request) -> Response:
    """`/opml`: the public sources."""
    site: Site = request.app.state.site
    async with site.store.read() as db:
        found = await sources.every(db, audience="public")
    headers = {"Cache-Control": "public, max-age=0, must-revalidate", "Access-Control-Allow-Origin": "*"}
    body = opml_of(site.config, found)
    return Response(body, headers=headers | {"Content-Type": "text/x-opml; charset=utf-8"})


def opml_of(config: Config, found: Iterable[Source]) -> bytes:
    outlines = [_outline(config, source) for source in found]
    return opml.write(f"Sources of {site_title(config)}", config.author, outlines)


def _outline(config: Config, source: Source) -> opml.Outline:
    """What is written here is followed by our own feed of it."""
    own = config.base_url + Topic(wanted=Filter(source=source.slug)).path
    page = f"{config.base_url}/sources/{source.slug}"
    return opml.Outline(
        xml_url=own if source.local else source.feed_url or source.url,
        title=source.title,
        html_url=page if source.local else source.site_url,
        slug=source.slug,
        kind="" if source.kind == "other" else source.kind,
        private=source.visibility == "private",
    )


async def everything(site: Site, db: AsyncConnection) -> AsyncIterator[bytes]:
    """One JSON object, piece by piece, from one snapshot: the sources, then the entries in the order of the log."""
    head = await changes.head(db)
    found = [source_json(one) for one in await sources.every(db, audience="owner")]
    about = {
        "generator": f"lifestream {__version__}",
        "base_url": site.config.base_url,
        "title": site_title(site.config),
        "author": site.config.author,
        "exported": moment(site.now()),
        "seq": head,
        "sources": found,
    }
    yield orjson.dumps(about)[:-1] + b',"entries":['
    position, parting = 0, b"\n"
    while page := await changes.after(db, position, audience="owner", limit=PAGE, upto=head, whole=True):
        for stored in page:
            if not stored.deleted:
                yield parting + orjson.dumps(_entry(stored))
                parting = b",\n"
        position = page[-1].seq
    yield b"\n]}\n"


def _entry(stored: Stored) -> dict[str, object]:
    """The contract's Entry; its card is made from it, and no part of it."""
    found = entry_dict(stored, stored.entry, "", hidden=False)
    more = {"in_reply_to": stored.entry.in_reply_to, "language": stored.entry.language, "quiet": stored.quiet}
    return {name: value for name, value in found.items() if name not in ("html", "deleted")} | more


routes = [Route("/opml", opml_list, methods=["GET"])]
