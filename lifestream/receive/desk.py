"""What the dialects of scrobbling share: who may scrobble, what was sent, and what becomes of it."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from urllib.parse import parse_qsl

from starlette.requests import Request

from lifestream.access import MAY
from lifestream.admin import Tries
from lifestream.errors import Conflict, InvalidInput, LifestreamError, NotAllowed, PayloadTooLarge, TooManyRequests
from lifestream.exchanges import keep_out
from lifestream.log import get_logger
from lifestream.protocol.listens import Listen, Track, same_secret
from lifestream.receive.bodies import read_body
from lifestream.receive.recorded import exchange_of
from lifestream.site import Site
from lifestream.store import bells, listens, owner
from lifestream.store.owner import Key
from lifestream.store.together import Together

log = get_logger(__name__)

FORM_LIMIT = 1024 * 1024
"""Fifty listens in any script take a tenth of it."""
MOST_FIELDS = 2000
MOST_AT_ONCE = 1000
"""Listens in one transaction: an import of ListenBrainz's largest size."""
PAUSE = 0.003
GZIP = 16 + zlib.MAX_WBITS
AWAY = "The database cannot take this just now. Try again later."
STATUS = {InvalidInput: 400, NotAllowed: 401, Conflict: 409, PayloadTooLarge: 413, TooManyRequests: 429}


class Desk:
    """What the requests of one moment share: one look at the keys, one transaction for their listens."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._keys = Together(self._read_keys, MOST_AT_ONCE)
        self._listens = Together(self._write_listens, MOST_AT_ONCE, weigh=len, pause=PAUSE)

    async def keys(self) -> Sequence[Key]:
        """The ones that may scrobble, as they are now."""
        return await self._keys.ask(None)

    async def record(self, heard: Sequence[Listen]) -> None:
        """Returns when they are on disk."""
        await self._listens.ask(heard)

    async def _read_keys(self, asked: Sequence[None]) -> Sequence[Sequence[Key]]:
        async with self._site.store.read() as db:
            found = [key for key in await owner.keys(db) if "scrobble" in MAY[key.scope]]
        return [found] * len(asked)

    async def _write_listens(self, heard: Sequence[Sequence[Listen]]) -> Sequence[None]:
        every = [one for some in heard for one in some]
        async with self._site.store.begin(rings=[bells.LOG]) as db:
            done = await listens.record(db, every, self._site.now())
        log.info("listens", sent=len(every), new=done.new)
        return [None] * len(heard)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request with what every dialect needs of it."""

    request: Request
    site: Site
    desk: Desk
    now: datetime
    names: tuple[str, ...]
    """Its path without what clients add of their own: the base, slashes, and any number of `/1`."""
    query: Mapping[str, str]

    @property
    def user(self) -> str:
        """The name by which clients know the owner."""
        return self.site.config.author or "lifestream"

    async def record(self, heard: Sequence[Listen]) -> None:
        """Returns when they are on disk."""
        if heard:
            await self.desk.record(heard)
            exchange_of(self.request).says("ok", f"{len(heard)} {'listen' if len(heard) == 1 else 'listens'}")

    async def play(self, track: Track) -> None:
        async with self.site.store.begin(rings=[bells.LOG], durable=False) as db:
            await listens.play(db, track, self.now)

    async def key_by_token(self, token: str) -> Key | None:
        digest = owner.digest(token)
        return await self.key(lambda key: key.digest == digest, [token])

    async def key_by_session(self, session: str) -> Key | None:
        """A session key; or the token itself, for clients whose users may type one."""
        digest = owner.digest(session)
        return await self.key(lambda key: same_secret(session, key.session) or key.digest == digest, [session])

    async def key(self, fits: Callable[[Key], bool], given: Sequence[str]) -> Key | None:
        """The key that fits and may scrobble. Raises TooManyRequests where an address has sent too many that do not.

        What was `given` to prove it stays out of the log, wherever in the request it stands.
        """
        keep_out(given)
        for key in await self.desk.keys():
            if fits(key):
                exchange_of(self.request).stranger = False
                self.site.uses.note(key.digest, self.now)
                return key
        address = self.request.client.host if self.request.client else ""
        if not _is_exempt(self.site, address):
            tries: Tries = self.request.app.state.wrong_keys
            tries.count(address)
        return None

    async def form(self) -> list[tuple[str, str]]:
        """The fields of the query, then of the body."""
        body = await self.body(FORM_LIMIT)
        try:
            fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
        except ValueError:
            raise InvalidInput(f"The form has more than {MOST_FIELDS} fields.") from None
        return [*self.query.items(), *fields]

    async def body(self, limit: int) -> bytes:
        body = await read_body(self.request, limit)
        if self.request.headers.get("content-encoding", "").strip().lower() != "gzip":
            return body
        try:
            unpacked = zlib.decompressobj(GZIP).decompress(body, limit + 1)
        except zlib.error:
            raise InvalidInput("The body is not compressed with gzip, as its header says.") from None
        if len(unpacked) > limit:
            raise PayloadTooLarge(f"The request's body is over the limit of {limit:,} bytes.")
        return unpacked


def status_of(error: Exception) -> int:
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 503)


def sentence_of(error: Exception) -> str:
    return str(error) if isinstance(error, LifestreamError) else AWAY


def _is_exempt(site: Site, address: str) -> bool:
    try:
        return site.config.allow_networks.allows(ip_address(address))
    except ValueError:
        return False
