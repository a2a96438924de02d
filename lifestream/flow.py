"""The line that every notification goes along, from what arrived to what is in the log.

    a feed is due ──→ fetch ─┐
                             ├→ parse → identify → decide → clean → record ──→ the log
    a document was pushed ───┘

`look` works off a due feed, `work_off` a batch of pushed documents; arrival.py has the steps from deciding to
recording. Each ends in one transaction: what was stored, the source's books, and the end of the work itself.
docs/flow.md draws the whole.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import random
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream import exchanges, subscribe
from lifestream.arrival import Arrival, clean_ahead, record, waves
from lifestream.clean.columns import microseconds
from lifestream.client import Client
from lifestream.errors import BadStatus, Conflict, FetchError, LifestreamError, ParseError
from lifestream.exchanges import Exchange
from lifestream.fetch import Document, Unchanged, Validators, fetch
from lifestream.log import bound, get_logger
from lifestream.protocol import moves, silence
from lifestream.protocol.addresses import check_url
from lifestream.protocol.caching import next_poll_at
from lifestream.protocol.hub import address_key
from lifestream.protocol.links import Advertised, Discovery, Page, advertised, discover, parse_link_header
from lifestream.reading import Reading, read_document
from lifestream.site import Site
from lifestream.store import changes, deliveries, entries, feeds, inbox, sources, subscribers
from lifestream.store.deliveries import Content
from lifestream.store.feeds import DueFeed
from lifestream.store.tables import AnyRow
from lifestream.types import Feed, Source, Via

log = get_logger(__name__)

GONE = 410
NO_FEED = Reading(Feed("h-feed"), ())
"""What a stranger's topic says that is none."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look saw: the document, read, and what it and its headers advertise."""

    url: str
    document: Document
    reading: Reading
    advertised: Advertised


# -- a feed is due ----------------------------------------------------------------------------


async def look(site: Site, feed: DueFeed, source: Source | None) -> bool:
    """Fetches a feed and takes in what is new for its source, if it has one.

    Says whether another look was asked for meanwhile.
    Whatever goes wrong becomes the source's state and one sentence.
    """
    client = site.client if source else site.stranger_client
    what = "fetch" if feed.discovered else "discovery"
    asking = site.exchanges.asking(what, feed_ids=[feed.id], about=feed.url)
    with bound(source=source.slug if source else feed.url, via=feed.via), asking:
        try:
            seen = await (_read(client, feed, source) if feed.discovered else _discover(site, feed, source))
            if isinstance(seen, Unchanged):
                return await _same(site, feed, source, seen)
            return await _take_in(site, feed, source, seen)
        except LifestreamError as error:
            asking.says("failed", str(error))
            return await _failed(site, feed, source, error)


async def _read(client: Client, feed: DueFeed, source: Source | None) -> Looked | Unchanged:
    """The feed's document, unless it is the one we know. A stranger's topic need be no feed (WebSub 1)."""
    document = await fetch(client, feed.url, Validators(feed.etag, feed.last_modified))
    if isinstance(document, Unchanged):
        return document
    if _digest(document.body) == feed.body_digest:
        return Unchanged(document.url, document.validators, document.cache_control, document.permanent_url)
    try:
        reading = await read_document(document.body, document.media_type, document.url)
    except ParseError:
        if source:
            raise
        reading = NO_FEED
    exchanges.step("Parsed", _described(reading.feed))
    return Looked(feed.url, document, reading, _advertised(document, reading.feed))


async def _discover(site: Site, feed: DueFeed, source: Source | None) -> Looked:
    """Finds the feed that the address leads to: itself, or one that the page there links to (WebSub 4)."""
    conversation = discover(feed.url)
    documents: dict[str, Document] = {}
    readings: dict[str, Reading] = {}
    try:
        url = next(conversation)
        while True:
            try:
                client = site.client_for(url, named_by=feed.url) if source else site.stranger_client
                document = await fetch(client, url)
                assert isinstance(document, Document)
                documents[url] = document
                page = await _page(document, url, readings)
            except FetchError as error:
                url = conversation.throw(error)
            else:
                url = conversation.send(page)
    except StopIteration as end:
        found: Discovery = end.value
    document = documents[found.asked]
    reading = Reading(found.feed, readings[found.asked].items)
    # Where it was sent for now only, it need not be next time (RFC 9110, 15.4.3 and 15.4.8).
    return Looked(document.permanent_url or check_url(found.asked), document, reading, found.advertised)


async def _page(document: Document, url: str, readings: dict[str, Reading]) -> Page:
    """As `discover` wants it; the reading, if it is a feed, is put with the others."""
    try:
        reading = await read_document(document.body, document.media_type, document.url)
    except ParseError as error:
        return Page(document.url, document.body, document.media_type, document.links, None, str(error))
    readings[url] = reading
    exchanges.step("Parsed", _described(reading.feed))
    return Page(document.url, document.body, document.media_type, document.links, reading.feed)


async def _take_in(site: Site, feed: DueFeed, source: Source | None, seen: Looked) -> bool:
    now, document = site.now(), seen.reading.feed
    via: Via = _via(feed.via) if feed.has_document else "backfill"
    arrival = None
    if source:
        quiet = not feed.has_document
        arrival = Arrival.of(source, seen.reading, seen.document.url, via, quiet=quiet, whole=True)
        await clean_ahead(site, arrival, now)
    done = entries.Recorded()
    async with site.store.begin() as db:
        pushed: bool | None = False
        missed = 0
        if source:
            await changes.in_turn(db)  # nobody puts it elsewhere from here on
        if not await feeds.still_meant(db, feed, followed=source is not None):
            return await _left(db, feed, now)
        source = await _as_it_is(db, feed, source)
        itself = await _told_apart(site, db, feed, seen)
        if source and arrival:
            done = await record(db, [arrival], now)
            pushed = await subscribe.settle(
                site, db, source, feed.id, seen.url, seen.advertised, document.cloud, now, in_turn=feed.via == "poll"
            )
            missed = done.new if _push_should_have_told(feed, source) else 0
            if missed:
                source = await _missed(db, feed, source, missed, now)
            moved, trouble = await _moved(site, db, feed, source, seen.document.permanent_url)
            trouble = trouble or moves.trouble_of(document, seen.url, seen.document.url)
            source = await _keep_books(db, feed, source, done, document, bool(pushed), trouble, now)
            itself |= moved
        poll = _next_poll(
            site, feed, source, now, found=done.any, cache_control=seen.document.cache_control, missed=bool(missed)
        )
        kept = _seen_columns(feed, seen, now) | ({} if pushed is not None else feeds.READ_AGAIN)
        again = await feeds.finish(db, feed, now, found=True, **poll, **kept, **itself)
        relayed = feed.has_document and await _relay(db, feed, source, seen.document, now)
    exchanges.step("Stored")
    hub = f"; it names the hub {seen.advertised.hubs[0]}" if seen.advertised.hubs and not feed.has_document else ""
    exchanges.says("ok", f"{_why(feed)}: {done.words}{hub}")
    _ring(site, log=done.any, subscriptions=bool(pushed or (source and source.hub_url)), deliveries=relayed)
    log.info("looked", status="ok", new=done.new, changed=done.changed, deleted=done.deleted)
    return again


async def _same(site: Site, feed: DueFeed, source: Source | None, seen: Unchanged) -> bool:
    now = site.now()
    async with site.store.begin(durable=False) as db:
        if not await feeds.still_meant(db, feed, followed=source is not None):
            return await _left(db, feed, now)
        source = await _as_it_is(db, feed, source)
        columns: dict[str, Any] = {
            "etag": seen.validators.etag,
            "last_modified": seen.validators.last_modified,
            "failures": 0,
            "fetched_at": now,
        }
        if source:
            moved, trouble = await _moved(site, db, feed, source, seen.permanent_url)
            trouble = trouble or moves.still_said(source.last_error)
            source = await _keep_books(db, feed, source, entries.Recorded(), None, False, trouble, now)
            columns |= moved
        poll = _next_poll(site, feed, source, now, found=False, cache_control=seen.cache_control)
        again = await feeds.finish(db, feed, now, found=False, **poll, **columns)
    exchanges.says("ok", f"{_why(feed)}: nothing new")
    log.info("looked", status="same")
    return again


async def _failed(site: Site, feed: DueFeed, source: Source | None, error: LifestreamError) -> bool:
    now = site.now()
    failures = feed.failures + 1
    retry_after = error.retry_after if isinstance(error, BadStatus) else None
    poll = _next_poll(site, feed, source, now, found=False, retry_after=retry_after, failures=failures)
    if isinstance(error, BadStatus) and error.status == GONE:
        poll = {"poll_at": None}  # it is asked again when somebody says that it is back
    async with site.store.begin() as db:
        if not await feeds.still_meant(db, feed, followed=source is not None):
            return await _left(db, feed, now)
        source = await _as_it_is(db, feed, source)
        if source and moves.still_said(source.last_error):
            poll |= feeds.READ_AGAIN  # what goes wrong now hides that, and the same document would not be read
        again = await feeds.finish(db, feed, now, found=False, **poll, failures=failures, fetched_at=now)
        if source and source.state != "paused":
            await sources.change(db, source, state="failing", last_error=str(error))
    log.warning("looked", status="failed", error=str(error))
    return again


async def _left(db: AsyncConnection, feed: DueFeed, now: datetime) -> bool:
    """Ends a look that nobody means any more, whatever it saw: the next one goes where its owner put it."""
    exchanges.says("ok", f"{_why(feed)}: its address was changed meanwhile, or it was added or removed")
    await feeds.finish(db, feed, now, found=False, poll_at=now)
    return True


async def _as_it_is(db: AsyncConnection, feed: DueFeed, source: Source | None) -> Source | None:
    """The source now: it may have been paused, removed or made private while its feed was fetched."""
    return (await sources.of_feeds(db, [feed.id])).get(feed.id) if source else None


async def _told_apart(site: Site, db: AsyncConnection, feed: DueFeed, seen: Looked) -> dict[str, Any]:
    """By which addresses the feed is known here. Raises Conflict where another source follows it already.

    What a document says of itself does not make it ours or somebody else's: a self link under our own address, or
    one that another feed is fetched from, is for the hub that it names and counts for nothing here.
    """
    ours = address_key(site.config.base_url + "/")
    url_key, self_key = address_key(seen.url), address_key(seen.advertised.self_url or seen.url)
    found_at = url_key if feed.discovered else address_key(seen.document.url)
    others = await feeds.others(db, feed.id, {url_key, self_key, found_at})
    if slug := others.get(url_key) or others.get(found_at):
        raise Conflict(f"{seen.url} is followed already, as the source “{slug}”.")
    known: dict[str, Any] = {"self_key": "" if self_key in others or self_key.startswith(ours) else self_key}
    if not feed.discovered:
        known |= {"url": seen.url} | ({} if url_key in others else {"url_key": url_key})
    return known


async def _moved(
    site: Site, db: AsyncConnection, feed: DueFeed, source: Source, permanent_url: str | None
) -> tuple[dict[str, Any], str]:
    """The feed's columns where it has moved for good (RFC 9110, 15.4.2 and 15.4.9), and what is wrong with that.

    Only what is said twice in a row is believed: a captive portal or a slip in a server's settings says 301, too. The
    old address stays known, so that whoever subscribed by it at our hub is still served.
    """
    if not feed.discovered or not permanent_url:
        return {"moved_to": None}, ""
    if permanent_url != feed.moved_to:
        return {"moved_to": permanent_url}, ""
    key = address_key(permanent_url)
    others = await feeds.others(db, feed.id, {key})
    if others.get(key):
        return {}, (
            f"{feed.url} has moved for good to {permanent_url}, which is followed already, "
            f"as the source “{others[key]}”: remove one of the two."
        )
    if key in others or key.startswith(address_key(site.config.base_url + "/")):
        return {}, ""
    await feeds.moves(db, feed.id, key)
    log.info("moved", source=source.slug, to=permanent_url)
    return {"url": permanent_url, "url_key": key, "moved_to": None}, ""


def _push_should_have_told(feed: DueFeed, source: Source) -> bool:
    """Whether what this look found is what push missed: it came about since the last look, and so in push's time."""
    if feed.via != "poll" or source.delivery not in (*subscribe.PUSHED, "hub"):
        return False
    since = source.pushed_since
    return since is not None and feed.fetched_at is not None and feed.fetched_at >= since


async def _missed(db: AsyncConnection, feed: DueFeed, source: Source, count: int, now: datetime) -> Source:
    """Counts what push missed, and asks a hub that fell silent anew."""
    source = await sources.missed(db, source, count, now)
    if source.delivery in subscribe.PUSHED and silence.asks_anew(source.missed_looks):
        await subscribe.ask_anew(db, feed.id, now)
    return source


async def _keep_books(
    db: AsyncConnection,
    feed: DueFeed,
    source: Source,
    done: entries.Recorded,
    document: Feed | None,
    hub_asked: bool,
    trouble: str,
    now: datetime,
) -> Source:
    """Keeps the source's books after a look that went well; returns it as it is now."""
    if feed.via == "ping" and source.delivery == "polling":
        await sources.pushed_by(db, source, "hub", now)
        source = replace(source, delivery="hub")
    # Nobody signs what a cloud tells: only where it was true it is the cloud's word.
    by_cloud = feed.via == "cloud" and source.delivery == "rsscloud" and done.any
    told = feed.via == "push" or by_cloud or (feed.via == "ping" and source.delivery == "hub")
    if told:
        source = replace(source, missed_looks=0)
    await sources.counted(db, source, done, now, told=told, **_in_order(source, document, hub_asked, trouble))
    return source


def _seen_columns(feed: DueFeed, seen: Looked, now: datetime) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "etag": seen.document.validators.etag,
        "last_modified": seen.document.validators.last_modified,
        "body_digest": _digest(seen.document.body),
        "self_url": seen.advertised.self_url,
        "failures": 0,
        "fetched_at": now,
        "discovered": True,
    }
    if not feed.has_document:
        columns["first_document_at"] = now
    return columns


def _in_order(source: Source, feed: Feed | None, hub_asked: bool, trouble: str) -> dict[str, Any]:
    """The source's columns after a look that went well. `trouble` is what the owner should know all the same."""
    values: dict[str, Any] = {} if source.state == "denied" else {"last_error": trouble or _silence_of(source)}
    if source.state == "failing" or (source.state == "pending" and not hub_asked and feed):
        values["state"] = "active"
    if feed:
        values["site_url"] = feed.site_url
        if feed.title:
            values["feed_title"] = feed.title[:200]
    return values


def _silence_of(source: Source) -> str:
    if source.delivery not in subscribe.PUSHED or not silence.is_silent(source.missed_looks):
        return ""
    return silence.sentence(source.hub_url or "", source.last_push or source.pushed_since)


def _next_poll(
    site: Site,
    feed: DueFeed,
    source: Source | None,
    now: datetime,
    *,
    found: bool,
    cache_control: str = "",
    retry_after: float | None = None,
    failures: int = 0,
    missed: bool = False,
) -> dict[str, Any]:
    """When to look again although nobody says so.

    A source that is pushed is polled as rarely as the settings allow, until a poll finds what push `missed`: then as
    if nobody pushed it, from the shortest interval on, until the next push.
    """
    if source is None:  # a stranger's topic at our hub: looked at when pinged
        return {"poll_at": None}
    config = site.config
    rarely = source.delivery in subscribe.PUSHED and not source.missed_looks and not failures
    poll_at, interval = next_poll_at(
        now,
        interval=timedelta(seconds=config.poll_min if missed else feed.interval or config.poll_min),
        found=found,
        cache_control=cache_control,
        retry_after=retry_after,
        failures=failures,
        jitter=random(),
        minimum=timedelta(seconds=config.poll_max if rarely else config.poll_min),
        maximum=timedelta(seconds=config.poll_max),
    )
    return {"poll_at": poll_at, "interval": int(interval.total_seconds())}


async def _relay(db: AsyncConnection, feed: DueFeed, source: Source | None, document: Document, now: datetime) -> bool:
    """Hands the document as it came to those who subscribed to this feed at our own hub, by whatever address."""
    if source and source.visibility != "public":
        return False
    relayed = False
    for key in await subscribers.topics_of_feed(db, feed.id, now):
        content = Content(feed.url, key, microseconds(now), document.media_type, document.body)
        relayed |= await deliveries.distribute(db, content, now)
    return relayed


# -- a document was pushed --------------------------------------------------------------------


async def work_off(site: Site, rows: Sequence[AnyRow]) -> None:
    """Takes in pushed documents, oldest first, in one transaction. One that cannot be read becomes a look instead."""
    now = site.now()
    async with site.store.read() as db:
        by_feed = await sources.of_feeds(db, list({row.feed_id for row in rows}))
    arrivals: list[Arrival] = []
    unreadable: list[int] = []
    for row in rows:
        source = by_feed.get(row.feed_id)
        told = site.exchanges.of_push(row.feed_id, row.body)
        if source is None or source.state == "paused":
            _ends(told, "refused", "the source is paused or gone")
            continue
        url = source.feed_url or source.url
        try:
            reading = await read_document(row.body, row.media_type, url)
            arrival = Arrival.of(source, reading, url, "push", told=told)
            if told:
                told.step("Parsed", _described(reading.feed))
            await clean_ahead(site, arrival, now)
        except ParseError as error:
            log.warning("pushed", source=source.slug, status="unreadable", error=str(error))
            _ends(told, "failed", f"{error} The feed is looked at instead.")
            unreadable.append(row.feed_id)
        else:
            arrivals.append(arrival)
        await asyncio.sleep(0)
    await _record_batch(site, rows, arrivals, unreadable, now)


async def _record_batch(
    site: Site, rows: Sequence[AnyRow], arrivals: Sequence[Arrival], unreadable: Sequence[int], now: datetime
) -> None:
    total = entries.Recorded()
    pushes = [arrival.told for arrival in arrivals if arrival.told]
    async with site.store.begin() as db:
        for together in waves(arrivals):
            done = await record(db, together, now)
            _say_what_came(together, done)
            source = together[0].source
            spoken = {"last_error": ""} if _silence_of(source) else {}  # the hub that was silent speaks again
            await sources.counted(db, source, done, now, told=True, **spoken)
            total = total + done
        pushed = {arrival.source.feed_id for arrival in arrivals if arrival.source.feed_id}
        relayed = await subscribers.feeds_with_subscribers(db, list(pushed), now)
        hints: dict[int, tuple[int, Via]] = {feed_id: (1, "push") for feed_id in [*unreadable, *relayed]}
        if hints:
            await feeds.ask(db, hints, now)
        await inbox.done(db, [row.id for row in rows])
        upto = await changes.head(db) if pushes and total.any else 0
    for push in pushes:
        push.step("Stored", push.detail)
    site.exchanges.stored(pushes, upto)
    _ring(site, log=total.any, feeds=bool(hints))
    log.info("pushed", status="ok", documents=len(rows), new=total.new, changed=total.changed, deleted=total.deleted)


def _say_what_came(together: Sequence[Arrival], done: entries.Recorded) -> None:
    words = done.words if len(together) == 1 else f"{done.words} in {len(together)} pushes at once"
    for arrival in together:
        if arrival.told:
            arrival.told.says("ok", words)


def _ends(told: Exchange | None, outcome: str, detail: str) -> None:
    """Nothing more will become of this push."""
    if told:
        told.says(outcome, detail)
        told.open_until = 0.0


# -- the steps --------------------------------------------------------------------------------


def _described(parsed: Feed) -> str:
    return f"{parsed.format}, {len(parsed.entries)} {'entry' if len(parsed.entries) == 1 else 'entries'}"


def _why(feed: DueFeed) -> str:
    """For people: why this look."""
    return {"ping": "pinged", "push": "pushed", "cloud": "told by its cloud", "hub": "subscribed"}.get(
        feed.via, "polled"
    )


def _via(asked: str) -> Via:
    return "ping" if asked == "ping" else "push" if asked in ("push", "cloud") else "poll"


def _advertised(document: Document, feed: Feed) -> Advertised:
    links = parse_link_header(document.links, document.url)
    return advertised(links, feed.hubs, feed.self_url)


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _ring(site: Site, **rung: bool) -> None:
    for name, something in rung.items():
        if something:
            site.store.bells.ring(name)
