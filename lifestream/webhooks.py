"""Webhooks, whole: making them, and what becomes of a call: verified, known again, then pinged or posted.

The adapters (`hooks/`) say who sent it and what it means; the door is receive/webhook.py.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from lifestream import adapters, exchanges
from lifestream.adapters import Adapter
from lifestream.errors import Conflict, InvalidInput, NotFound
from lifestream.log import get_logger
from lifestream.protocol.adapter import Call, Event, Ignored, Ping, Played, Playing, Stopped
from lifestream.protocol.listens import Listen
from lifestream.site import Site
from lifestream.store import bells, feeds, hooks, listens, sources
from lifestream.store.entries import Recorded
from lifestream.store.hooks import Delivery, Hook
from lifestream.store.together import Together
from lifestream.types import Visibility
from lifestream.write import Strict, moment, typed_address

log = get_logger(__name__)

PRIVATE = "-private"
"""After a hook's name: the source for what the public may not see."""
LONGEST_SLUG = 64 - len(PRIVATE)
LONGEST_VERDICT = 500
PAUSE = 0.003
MOST_AT_ONCE = 100
"""Deliveries in one transaction."""


class NewHook(Strict):
    adapter: str = Field(min_length=1, max_length=40)
    slug: str = Field(min_length=1, max_length=64)
    secret: str = Field("", max_length=500)
    topic: str = Field("", max_length=8192)
    private: bool = False
    """The source that it posts into is private from the start."""


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
    if new.private and (topic or adapter.source):
        into = f"into “{adapter.source}”, which is private or not for itself" if adapter.source else "nowhere: it pings"
        raise InvalidInput(f"private: this hook posts {into}.")
    async with site.store.begin() as db:
        if not topic and not adapter.source:
            await _must_be_free(db, new.slug)
        if new.private:
            await hooks.ensure_source(db, new.slug, "private", site.now())
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
    return hook_json(site, hook, came) | {"deliveries": [delivery_json(one) for one in came]}


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
        "source": None if hook.topic else _source_of(site, hook),
        "url": address_of(site, hook),
        "created_at": moment(hook.created_at),
        "last_delivery": delivery_json(came[0]) if came else None,
    }


def delivery_json(one: Delivery) -> dict[str, Any]:
    return {
        "received": moment(one.received_at), "status": one.status, "outcome": one.outcome, "verdict": one.verdict,
    }  # fmt: skip


def _source_of(site: Site, hook: Hook) -> str:
    try:
        return adapters.find(hook.adapter, site.config.data_dir).source or hook.slug
    except InvalidInput:  # its file is not there any more
        return hook.slug


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


@dataclass(frozen=True, slots=True)
class _Told:
    """What a genuine call says, and by what it is known again."""

    hook: Hook
    adapter: Adapter
    said: Sequence[Event] | Played
    marks: Sequence[str]


class Deliveries:
    """Takes calls; those that come in one moment share a transaction."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._hooks = Together(self._read_hooks, MOST_AT_ONCE)
        self._told = Together(self._act, MOST_AT_ONCE, pause=PAUSE)

    async def take(self, slug: str, call: Call) -> Answer:
        """What becomes of a call. Whatever is changed is on disk when this returns. Raises NotFound."""
        hook, now = await self._hooks.ask(slug), self._site.now()
        exchanges.keep_out(hook.secrets(now))
        try:
            return await self._understood(hook, call, now)
        except Conflict as error:  # nothing was changed, and it may come again once that is put right
            return await self._noted(hook, Answer(200, "ignored", f"Ignored: {error}"), now)
        except SQLAlchemyError:
            raise
        except Exception as error:  # whatever a file of the owner's does
            return await self._broken(hook, error, now)

    async def _understood(self, hook: Hook, call: Call, now: datetime) -> Answer:
        adapter = adapters.find(hook.adapter, self._site.config.data_dir)
        try:
            why = adapter.doubt(call, hook.secrets(now), now)
        except Exception as error:
            log.error("hook", hook=hook.slug, status="broken", error=type(error).__name__)
            why = f"its adapter broke over it ({type(error).__name__})"
        if why != "":  # nothing else is a yes, also nothing at all
            sentence = f"Refused: {why or 'its adapter does not say that it is genuine'}."
            return await self._noted_once(hook, Answer(403, "refused", sentence), now)
        try:
            payload = adapter.read(call)
        except InvalidInput as error:
            return await self._noted(hook, Answer(400, "unreadable", str(error)), now)
        match adapter.events(call, payload):
            case Ping():
                return await self._noted(hook, Answer(200, "test", "The hook works; this was a test."), now)
            case Ignored(why):
                return await self._noted(hook, Answer(200, "ignored", f"Ignored: {why}."), now)
            case Playing() | Stopped() as said:
                return await self._noted(hook, await self._play(hook, said, now), now)
            case said:
                return await self._told.ask(_Told(hook, adapter, said, _marks(hook, adapter, call)))

    async def _play(self, hook: Hook, said: Playing | Stopped, now: datetime) -> Answer:
        """What plays is no entry, and no news for a topic."""
        if hook.topic:
            return Answer(200, "ignored", "Ignored: it says what plays, and this hook pings.")
        async with self._site.store.begin(rings=[bells.LOG], durable=False) as db:
            if isinstance(said, Playing):
                await listens.play(db, said.track, now)
            else:
                await listens.over(db, {said.track.key})
        what = f"{said.track.artist} – {said.track.title}"
        return Answer(200, "playing", f"Now playing: {what}." if isinstance(said, Playing) else f"Stopped: {what}.")

    async def _read_hooks(self, slugs: Sequence[str]) -> Sequence[Hook]:
        """Raises NotFound where one is missing; then each is asked for alone."""
        async with self._site.store.read() as db:
            found = {slug: await hooks.get(db, slug) for slug in set(slugs)}
        return [found[slug] for slug in slugs]

    async def _act(self, told: Sequence[_Told]) -> Sequence[Answer]:
        now = self._site.now()
        answers = []
        async with self._site.store.begin(rings=[bells.LOG, bells.FEEDS]) as db:
            for one in told:
                answers.append(await _acted(db, one, now))
            for hook, adapter in {one.hook: one.adapter for one in told}.items():
                mine = [answer for one, answer in zip(told, answers, strict=True) if one.hook == hook]
                await hooks.note(db, hook, [_delivery(answer, now) for answer in mine])
                await hooks.forget_seen(db, hook, now - adapter.same_for)
        for one, answer in zip(told, answers, strict=True):
            log.info("hook", hook=one.hook.slug, status=answer.outcome)
        return answers

    async def _broken(self, hook: Hook, error: Exception, now: datetime) -> Answer:
        """The sender learns that it is not his fault; what broke is for the owner."""
        log.error("hook", hook=hook.slug, status="broken", error=f"{type(error).__name__}: {error}")
        verdict = f"The adapter {hook.adapter} broke over it ({type(error).__name__}: {error})."[:LONGEST_VERDICT]
        await self._noted_once(hook, Answer(422, "broken", verdict), now)
        return Answer(422, "broken", "This hook's adapter cannot make anything of it. Its owner is told why.")

    async def _noted_once(self, hook: Hook, answer: Answer, now: datetime) -> Answer:
        """For what anybody can send: the same one is written down once in a while only."""
        async with self._site.store.read() as db:
            lately = await hooks.said_lately(db, hook, answer.sentence, now)
        return answer if lately else await self._noted(hook, answer, now)

    async def _noted(self, hook: Hook, answer: Answer, now: datetime) -> Answer:
        async with self._site.store.begin(durable=False) as db:
            await hooks.note(db, hook, [_delivery(answer, now)])
        log.info("hook", hook=hook.slug, status=answer.outcome)
        return answer


async def _acted(db: AsyncConnection, told: _Told, now: datetime) -> Answer:
    if not await hooks.first_time(db, told.hook, told.marks, now, told.adapter.same_for):
        return Answer(200, "duplicate", "This delivery was seen before; nothing was changed.")
    if told.hook.topic:
        return await _ping(db, told.hook.topic, now)
    if isinstance(told.said, Played):
        listen = Listen(told.said.track, now - timedelta(seconds=told.said.ago))
        return _posted(await listens.record(db, [listen], now), [listens.LISTENS])
    return await _post(db, told.adapter.source or told.hook.slug, told.said, now)


async def _ping(db: AsyncConnection, topic: str, now: datetime) -> Answer:
    """As a publish ping does; the address is the owner's, never one out of a payload."""
    found = await feeds.matching(db, [topic])
    if not found:
        raise Conflict(f"nothing here is fetched from {topic}; add it as a source.")
    await feeds.ask(db, {row.id: (1, "ping") for row in found}, now)
    return Answer(200, "pinged", f"Pinged: {topic} is looked at.")


async def _post(db: AsyncConnection, into: str, events: Sequence[Event], now: datetime) -> Answer:
    done, where = Recorded(), []
    ways: list[tuple[Visibility, str]] = [("public", into), ("private", into + PRIVATE)]
    for visibility, slug in ways:
        wanted = [one for one in events if one.private is (visibility == "private")]
        if wanted and (recorded := await hooks.record(db, slug, visibility, wanted, now)).any:
            done += recorded
            where.append(slug)
    return _posted(done, where)


def _posted(done: Recorded, where: Sequence[str]) -> Answer:
    if not done.any:
        return Answer(200, "ignored", "It changes nothing that is here.")
    counts = {"new": done.new, "changed": done.changed, "deleted": done.deleted}
    words = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    return Answer(200, "posted", f"Posted to {' and '.join(where)}: {words}.")


def _delivery(answer: Answer, now: datetime) -> Delivery:
    return Delivery(now, answer.status, answer.outcome, answer.sentence)


def _marks(hook: Hook, adapter: Adapter, call: Call) -> list[str]:
    """By what this delivery is known again: its id; and as no signature covers that, what it says.

    But for a ping: there the same words may well be a new one, and one too many is only a look.
    """
    named = call.first(*adapter.delivery)
    words = [] if hook.topic else [b"words " + call.text]
    ids = [f"id {named}".encode("utf-8", "surrogatepass")] if named else []
    return [hashlib.sha256(mark).hexdigest() for mark in words + ids]
