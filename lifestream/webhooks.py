"""Webhooks, whole: making them, and what becomes of a call: verified, known again, then pinged or posted.

The adapters (`hooks/`) say who sent it and what it means; the door is receive/webhook.py.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream import adapters
from lifestream.adapters import Adapter
from lifestream.errors import Conflict, InvalidInput, NotFound
from lifestream.log import get_logger
from lifestream.protocol.adapter import Call, Event, Ignored, Ping
from lifestream.site import Site
from lifestream.store import bells, feeds, hooks, sources
from lifestream.store.entries import Recorded
from lifestream.store.hooks import Delivery, Hook
from lifestream.types import Visibility
from lifestream.write import Strict, moment, typed_address

log = get_logger(__name__)

PRIVATE = "-private"
"""After a hook's name: the source for what the public may not see."""
LONGEST_SLUG = 64 - len(PRIVATE)


class NewHook(Strict):
    adapter: str = Field(min_length=1, max_length=40)
    slug: str = Field(min_length=1, max_length=64)
    secret: str = Field("", max_length=500)
    topic: str = Field("", max_length=8192)


class NewSecret(Strict):
    secret: str = Field("", max_length=500)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender is told, and what is written down of it."""

    status: int
    outcome: str
    sentence: str


# -- making them ------------------------------------------------------------------------------


async def add_hook(site: Site, new: NewHook) -> tuple[Hook, str]:
    """The hook, and what to tell its sender. Raises InvalidInput, or Conflict where the name is taken."""
    adapter = adapters.find(new.adapter, site.config.data_dir)
    if not sources.SLUG.fullmatch(new.slug) or len(new.slug) > LONGEST_SLUG:
        raise InvalidInput(
            f"slug: a hook's name has at most {LONGEST_SLUG} of the letters a to z, digits and hyphens between them."
        )
    topic = typed_address(new.topic) if new.topic else ""
    secret = new.secret or fresh_secret()
    async with site.store.begin() as db:
        if not topic:
            await _must_be_free(db, new.slug)
        await hooks.add(db, slug=new.slug, adapter=adapter.name, topic=topic, secret=secret, now=site.now())
        hook = await hooks.get(db, new.slug)
    return hook, _set_up(site, adapter, hook)


async def rotate_hook(site: Site, slug: str, secret: str = "") -> tuple[Hook, str]:
    """Gives a hook another secret; the one before stays good for a week."""
    async with site.store.begin() as db:
        await hooks.rotate(db, await hooks.get(db, slug), secret or fresh_secret(), site.now())
        hook = await hooks.get(db, slug)
    return hook, _set_up(site, adapters.find(hook.adapter, site.config.data_dir), hook)


def fresh_secret() -> str:
    """In letters that every form and every address takes."""
    return secrets.token_hex(32)


def address_of(site: Site, hook: Hook) -> str:
    return f"{site.config.base_url}/hooks/{hook.slug}"


async def shown(site: Site, slug: str) -> dict[str, Any]:
    """A hook with its last deliveries, for its owner."""
    async with site.store.read() as db:
        hook = await hooks.get(db, slug)
        came = await hooks.deliveries(db, hook)
    return hook_json(site, hook, came) | {"deliveries": [_delivery_json(one) for one in came]}


async def listing(site: Site) -> list[dict[str, Any]]:
    async with site.store.read() as db:
        return [hook_json(site, hook, await hooks.deliveries(db, hook, 1)) for hook in await hooks.every(db)]


def hook_json(site: Site, hook: Hook, came: Sequence[Delivery] = ()) -> dict[str, Any]:
    """Without its secret."""
    return {
        "slug": hook.slug,
        "adapter": hook.adapter,
        "action": "ping" if hook.topic else "post",
        "topic": hook.topic or None,
        "url": address_of(site, hook),
        "created_at": moment(hook.created_at),
        "last_delivery": _delivery_json(came[0]) if came else None,
    }


def _delivery_json(one: Delivery) -> dict[str, Any]:
    return {
        "received": moment(one.received_at), "status": one.status, "outcome": one.outcome, "verdict": one.verdict,
    }  # fmt: skip


def _set_up(site: Site, adapter: Adapter, hook: Hook) -> str:
    url = address_of(site, hook)
    return adapter.set_up.format(
        url=url, secret=hook.secret, quoted=quote(hook.secret, safe=""), host=urlsplit(url).hostname
    )


async def _must_be_free(db: AsyncConnection, slug: str) -> None:
    for name in (slug, slug + PRIVATE):
        try:
            source = await sources.get(db, name, audience="owner")
        except NotFound:
            continue
        if not source.local:
            raise Conflict(f"The source “{name}” is fed by {source.url}; give the hook another name.")


# -- a call -----------------------------------------------------------------------------------


async def take(site: Site, slug: str, call: Call) -> Answer:
    """What becomes of a call. Whatever is changed is on disk when this returns. Raises NotFound."""
    now = site.now()
    async with site.store.read() as db:
        hook = await hooks.get(db, slug)
    adapter = adapters.find(hook.adapter, site.config.data_dir)
    if why := adapter.doubt(call, hook.secrets(now), now):
        return await _refuse(site, hook, f"Refused: {why}.", now)
    try:
        payload = adapter.read(call)
    except InvalidInput as error:
        return await _noted(site, hook, Answer(400, "unreadable", str(error)), now)
    match adapter.events(call, payload):
        case Ping():
            return await _noted(site, hook, Answer(200, "test", "The hook works; this was a test."), now)
        case Ignored(why):
            return await _noted(site, hook, Answer(200, "ignored", f"Ignored: {why}."), now)
        case events:
            return await _act(site, hook, adapter, _marks(hook, adapter, call), events, now)


async def _act(
    site: Site, hook: Hook, adapter: Adapter, marks: Sequence[str], events: Sequence[Event], now: datetime
) -> Answer:
    try:
        async with site.store.begin(rings=[bells.LOG, bells.FEEDS]) as db:
            if not await hooks.first_time(db, hook, marks, now, adapter.same_for):
                answer = Answer(200, "duplicate", "This delivery was seen before; nothing was changed.")
            elif hook.topic:
                answer = await _ping(db, hook.topic, now)
            else:
                answer = await _post(db, hook, events, now)
            await hooks.note(db, hook, Delivery(now, answer.status, answer.outcome, answer.sentence))
    except Conflict as error:  # nothing was changed, and it may come again once that is put right
        return await _noted(site, hook, Answer(200, "ignored", f"Ignored: {error}"), now)
    log.info("hook", hook=hook.slug, status=answer.outcome)
    return answer


async def _ping(db: AsyncConnection, topic: str, now: datetime) -> Answer:
    """As a publish ping does; the address is the owner's, never one out of a payload."""
    found = await feeds.matching(db, [topic])
    if not found:
        raise Conflict(f"nothing here is fetched from {topic}; add it as a source.")
    await feeds.ask(db, {row.id: (1, "ping") for row in found}, now)
    return Answer(200, "pinged", f"Pinged: {topic} is looked at.")


async def _post(db: AsyncConnection, hook: Hook, events: Sequence[Event], now: datetime) -> Answer:
    done, where = Recorded(), []
    ways: list[tuple[Visibility, str]] = [("public", hook.slug), ("private", hook.slug + PRIVATE)]
    for visibility, slug in ways:
        wanted = [one for one in events if one.private is (visibility == "private")]
        if wanted and (recorded := await hooks.record(db, slug, visibility, wanted, now)).any:
            done += recorded
            where.append(slug)
    if not done.any:
        return Answer(200, "ignored", "It changes nothing that is here.")
    counts = {"new": done.new, "changed": done.changed, "deleted": done.deleted}
    words = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    return Answer(200, "posted", f"Posted to {' and '.join(where)}: {words}.")


async def _refuse(site: Site, hook: Hook, sentence: str, now: datetime) -> Answer:
    """Anybody can send these: the same one is written down once in a while only."""
    answer = Answer(403, "refused", sentence)
    async with site.store.read() as db:
        lately = await hooks.said_lately(db, hook, sentence, now)
    return answer if lately else await _noted(site, hook, answer, now)


async def _noted(site: Site, hook: Hook, answer: Answer, now: datetime) -> Answer:
    async with site.store.begin(durable=False) as db:
        await hooks.note(db, hook, Delivery(now, answer.status, answer.outcome, answer.sentence))
    log.info("hook", hook=hook.slug, status=answer.outcome)
    return answer


def _marks(hook: Hook, adapter: Adapter, call: Call) -> list[str]:
    """By what this delivery is known again: its id; and as no signature covers that, what it says.

    But for a ping: there the same words may well be a new one, and one too many is only a look.
    """
    named = call.first(*adapter.delivery)
    words = [] if hook.topic else [b"words " + call.text]
    ids = [f"id {named}".encode("utf-8", "surrogatepass")] if named else []
    return [hashlib.sha256(mark).hexdigest() for mark in words + ids]
