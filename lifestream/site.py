"""What a running lifestream is made of: the settings, the open database, the inbox, the HTTP clients, the clock."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lifestream import __version__
from lifestream.client import Client
from lifestream.config import Config
from lifestream.darkroom import Darkroom
from lifestream.protocol.addresses import Networks
from lifestream.protocol.pictures import Pictures
from lifestream.recorder import Recorder
from lifestream.settings import Settings
from lifestream.store import due, owner, sources
from lifestream.store.database import Store
from lifestream.store.inbox import Inbox

if TYPE_CHECKING:
    from lifestream.wire import Wire


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Site:
    """`client` goes where the owner sends it; `stranger_client` where somebody else's request does.

    `wire` leads to the other processes, where there may be some.
    """

    settings: Settings
    store: Store
    inbox: Inbox
    client: Client
    stranger_client: Client
    pictures: Pictures
    darkroom: Darkroom
    uses: owner.Uses
    exchanges: Recorder
    wire: "Wire | None" = None
    now: Callable[[], datetime] = field(default=utc_now)

    @classmethod
    def open(cls, config: Config) -> "Site":
        store = Store(config.database_url, config.sqlite_path)
        return cls(
            settings=Settings(config),
            store=store,
            inbox=Inbox(store),
            client=_client(config, config.allow_networks),
            stranger_client=_client(config, _networks_for_strangers(config)),
            pictures=Pictures(kept=config.media_quota > 0),
            darkroom=Darkroom(),
            uses=owner.Uses(store),
            exchanges=Recorder(store),
            wire=_wire(config, store),
        )

    @property
    def config(self) -> Config:
        """The settings in force: the owner may change some of them at any time."""
        return self.settings.config

    def client_for(self, url: str, *, named_by: str) -> Client:
        """For an address that a feed of the owner's names. `named_by` is the feed's own: where that is not within the
        owner's networks itself, it leads to none of them but its own host."""
        return self.client if self.is_at_home(url, named_by=named_by) else self.stranger_client

    def is_at_home(self, url: str, *, named_by: str) -> bool:
        """Whether an address may lead into the owner's networks."""
        return _host(url) == _host(named_by) or _is_within(self.config.allow_networks, named_by)

    async def prepare(self, *, starting: bool = True) -> None:
        """What is always there: the source `notes`, and the key to the pictures' names; what the owner chose; and where
        SQLite's one server starts, no claims of a dead one."""
        async with self.store.begin() as db:
            if starting and self.store.is_sqlite:
                await due.release_all(db)
            await sources.ensure_notes(db, self.now())
            await self.settings.read(db)
            self.pictures.key = bytes.fromhex(await owner.first_fact(db, owner.PICTURES, secrets.token_hex(32)))
            if self.wire:
                self.wire.channel = f"lifestream:{await owner.first_fact(db, owner.SITE, secrets.token_hex(8))}"

    async def where_it_was_served(self) -> "Site":
        """The same, with the base URL of the server that ran last: for commands that were not told one."""
        async with self.store.read() as db:
            served_at = await owner.fact(db, owner.SERVED_AT)
        return replace(self, settings=self.settings.at(served_at)) if served_at else self

    async def aclose(self) -> None:
        await self.darkroom.aclose()
        await self.client.aclose()
        await self.stranger_client.aclose()
        if self.wire:
            await self.wire.aclose()
        await self.uses.written()
        await self.exchanges.flush()
        await self.store.aclose()


def _client(config: Config, allow: Networks) -> Client:
    agent = f"lifestream/{__version__} (+{config.base_url})"
    return Client(allow=allow, user_agent=agent, max_bytes=config.max_feed_bytes)


def _wire(config: Config, store: Store) -> "Wire | None":
    """SQLite needs none: it serves one process, and tells by itself of what commands write."""
    if not config.redis_url or store.is_sqlite:
        return None
    from lifestream.wire import Wire  # its client takes a fifth of a second to import

    return Wire(config.redis_url, store.bells)


def client_for_commands(config: Config) -> Client:
    """For what the owner types: it goes wherever he says, like curl."""
    return _client(config, Networks.parse("0.0.0.0/0, ::/0"))


def _networks_for_strangers(config: Config) -> Networks:
    """The owner's networks are a stranger's to reach only where this site itself lives in them: a laptop, a home."""
    return config.allow_networks if _is_within(config.allow_networks, config.base_url) else Networks()


def _is_within(networks: Networks, url: str) -> bool:
    """As it is written: what a name leads to is for whoever owns the name to say."""
    host = _host(url)
    try:
        return networks.allows(ip_address("127.0.0.1" if host == "localhost" else host), host)
    except ValueError:
        return host in networks.hosts


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()
