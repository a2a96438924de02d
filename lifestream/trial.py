"""“Test ping”: tries out the way of a push, link by link, without waiting for somebody to publish.

A made-up document is signed and posted to a callback of ours, over HTTP, by the address that hubs are told. From there
it goes the way that every push goes: nothing on it knows of the test. It belongs to a private source that is made for
it and removed at once, so the owner's open pages show the entry for a moment, and nobody else's do.
"""

import asyncio
import secrets
from dataclasses import dataclass
from html import escape
from time import monotonic
from typing import Literal
from urllib.parse import urlencode, urlsplit

from lifestream import __version__
from lifestream.client import Client
from lifestream.errors import Conflict, FetchError
from lifestream.protocol.addresses import Networks
from lifestream.protocol.signatures import sign
from lifestream.publish.longpoll import Parked
from lifestream.publish.tail import Tail, View
from lifestream.site import Site
from lifestream.store import bells, changes, exchanges, sources, subscriptions, trials
from lifestream.store.exchanges import Kept, Wanted
from lifestream.store.inbox import Document
from lifestream.types import Filter, Source

ATOM = "application/atom+xml"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
WITHIN = 10.0
"""Seconds for a pushed entry to come to the live page."""
POST_WITHIN = 5.0

Verdict = Literal["ok", "failed", "unknown"]


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the chain. `at` is in milliseconds since the test began, where that is known."""

    name: str
    verdict: Verdict
    detail: str
    at: float | None = None


async def try_out(site: Site, tail: Tail, slug: str) -> list[Link]:
    """Each link of the chain from the callback to the live page. Raises NotFound."""
    token, secret = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
    url = f"{site.config.base_url}/test/{secrets.token_hex(8)}"
    async with site.store.begin() as db:
        tried = await sources.get(db, slug, audience="owner")
        source = await trials.begin(db, tried, url, token, secret, site.now())
    try:
        return [await _from_outside(site, tried), *await _chain(site, tail, tried, source, token, secret)]
    finally:
        async with site.store.begin(rings=[bells.LOG]) as db:
            await trials.end(db, source, site.now())
            await exchanges.hand_over(db, source.id, tried.id, "test")


async def ask_hub(site: Site, slug: str) -> Link:
    """Tells the source's hub that there is news, whether there is or not: a hub that finds some pushes it. Raises
    Conflict where no hub pushes it."""
    async with site.store.read() as db:
        source = await sources.get(db, slug, audience="owner")
    if source.delivery != "websub" or not source.hub_url or not source.topic:
        raise Conflict(f"“{slug}” has no hub that could be asked; look at the feed instead.")
    body = urlencode([("hub.mode", "publish"), ("hub.url", source.topic)]).encode()
    chosen = source.hub_choice == source.hub_url
    client = site.client if chosen else site.client_for(source.hub_url, named_by=source.feed_url or source.url)
    began = monotonic()
    try:
        with site.exchanges.asking("ping", slug=slug):
            answer = await client.post(source.hub_url, body=body, headers=FORM, timeout=WITHIN)
    except FetchError as error:
        return Link("The hub was asked", "failed", str(error))
    words = answer.body[:200].decode("utf-8", "replace").strip()
    at = (monotonic() - began) * 1000
    if 200 <= answer.status < 300:
        said = f"It answered {answer.status}. It looks at {source.topic} now, and pushes what it finds new there."
        return Link("The hub was asked", "ok", said, at)
    return Link("The hub was asked", "failed", f"It answered {answer.status}: {words or 'without a word'}", at)


def link_json(link: Link) -> dict[str, object]:
    at = None if link.at is None else round(link.at, 2)
    return {"name": link.name, "verdict": link.verdict, "ms": at, "detail": link.detail}


# -- the chain --------------------------------------------------------------------------------


async def _from_outside(site: Site, source: Source) -> Link:
    """What is known of whether hubs reach us, which nobody can find out from here."""
    name = "Reached from outside"
    if source.last_push:
        return Link(name, "ok", f"The last push came {_moment(source.last_push)}.")
    async with site.store.read() as db:
        ours = await subscriptions.of_feed(db, source.feed_id) if source.feed_id is not None else []
    if any(one.state == "active" for one in ours):
        return Link(name, "ok", "The hub has verified the subscription; no push came yet.")
    if urlsplit(site.config.base_url).hostname in ("localhost", "127.0.0.1", "::1"):
        return Link(name, "failed", f"{site.config.base_url} is this machine itself: set LIFESTREAM_BASE_URL.")
    return Link(name, "unknown", "Nothing has come from outside for this source yet.")


async def _chain(site: Site, tail: Tail, tried: Source, source: Source, token: str, secret: str) -> list[Link]:
    assert source.feed_id is not None
    async with site.store.read() as db:
        position = await changes.head(db)
    witness = Witness(tail, View("owner", Filter(source=source.slug)))
    hearing = asyncio.create_task(witness.hears(position, WITHIN))
    began = monotonic()
    body = _document(tried, site)
    links = [await _posted(site, tried, token, secret, body)]
    if links[0].verdict != "ok":  # the rest of the way can still be tried
        await site.inbox.put(Document(source.feed_id, body, ATOM))
    heard_at = await hearing
    links += await _steps(site, source, heard_at - began if heard_at else None)
    return links


async def _posted(site: Site, tried: Source, token: str, secret: str, body: bytes) -> Link:
    """The push, over HTTP and by the address that hubs are told, wherever that leads."""
    base_url, name = site.config.base_url, "Callback"
    client = Client(
        allow=Networks.parse(urlsplit(base_url).hostname or ""),
        user_agent=f"lifestream/{__version__} (+{base_url})",
        max_bytes=4096,
    )
    headers = {"Content-Type": ATOM, "X-Hub-Signature": sign(body, secret)}
    began = monotonic()
    try:
        with site.exchanges.asking("test", slug=tried.slug):
            answer = await client.post(f"{base_url}/push/{token}", body=body, headers=headers, timeout=POST_WITHIN)
    except FetchError as error:
        return Link(name, "failed", f"{error} Hubs are told this address; from here it leads nowhere.")
    finally:
        await client.aclose()
    at = (monotonic() - began) * 1000
    if answer.status == 202:
        return Link(name, "ok", f"{base_url}/push/… answered 202.", at)
    said = f"{base_url}/push/… answered {answer.status}: something else answers there, a proxy or another server."
    return Link(name, "failed", said, at)


async def _steps(site: Site, source: Source, heard: float | None) -> list[Link]:
    """What the log has of the push, and what was seen of it."""
    await site.exchanges.flush()
    async with site.store.read() as db:
        found = await exchanges.page(db, Wanted(source_id=source.id, what="push"), limit=1)
        stored = await trials.stored(db, source)
    links = _of_log(found[0]) if found else []
    if not found:
        links.append(Link("Stored", "ok", "another process took it in") if stored else NOT_STORED)
    elif not stored:
        links.append(NOT_STORED)
    if heard is not None:
        links.append(Link("Live page", "ok", "shown to you, and to nobody else; removed again", heard * 1000))
    else:
        links.append(Link("Live page", "failed", f"no live stream here was told of it within {WITHIN:.0f} s"))
    return links


NOT_STORED = Link("Stored", "failed", "it was not; is the background work running? `lifestream doctor` says.")


def _of_log(push: Kept) -> list[Link]:
    verdict: Verdict = "ok" if push.outcome == "ok" else "failed"
    if not push.steps:
        return [Link("Received", verdict, push.detail)]
    return [Link(step.name, verdict, step.detail, step.at) for step in push.steps if step.name != "Sent to browsers"]


class Witness(Parked):
    """A listener that remembers when it was told of something."""

    async def hears(self, position: int, seconds: float) -> float | None:
        """When something after `position` was told in its view; None when nothing was."""
        joining = asyncio.create_task(self.tail.join(self.view, position, self))
        try:
            async with asyncio.timeout(seconds):
                await self.woken.wait()
                return monotonic()
        except TimeoutError:
            return None
        finally:
            self.gone = True
            self.tail.leave(self.view, self)
            joining.cancel()


def _document(tried: Source, site: Site) -> bytes:
    now = site.now().isoformat()
    return (
        "<?xml version='1.0' encoding='utf-8'?><feed xmlns='http://www.w3.org/2005/Atom'>"
        f"<id>urn:lifestream:test</id><title>Test of {escape(tried.title)}</title><updated>{now}</updated>"
        f"<entry><id>urn:lifestream:test:{secrets.token_hex(8)}</id><title>A test of {escape(tried.title)}</title>"
        f"<updated>{now}</updated><category term='test'/>"
        "<content>Made up to try out the way of a push; it is removed at once.</content></entry></feed>"
    ).encode()


def _moment(when: object) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"
