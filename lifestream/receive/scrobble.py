"""Everything under `/scrobble`, and ListenBrainz's `/1` at the root for clients that keep only the host of an address.

Three dialects, one meaning (protocol/listenbrainz.py, lastfm.py, audioscrobbler.py): listens are on disk before a
client is told that it may forget them, and what goes wrong is said in its own dialect. No cookie is read, so that
programs on other sites may call.
"""

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from itertools import dropwhile
from urllib.parse import parse_qsl

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lifestream.access import MAY
from lifestream.admin import Tries
from lifestream.errors import Conflict, InvalidInput, LifestreamError, NotAllowed, PayloadTooLarge, TooManyRequests
from lifestream.exchanges import keep_out
from lifestream.log import get_logger
from lifestream.protocol import audioscrobbler, lastfm, listenbrainz
from lifestream.protocol.listens import Listen, Track, moment, same_secret
from lifestream.receive.bodies import query_of, read_body
from lifestream.receive.recorded import exchange_of, recorded
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
MOST_GIVEN_BACK, GIVEN_BACK = 100, 25
HERE = "Scrobblers send here what is listened to; docs/scrobbling.md says how to point one here.\n"
AWAY = "The database cannot take this just now. Try again later."
JSON, TEXT, XML = "application/json", "text/plain; charset=utf-8", "text/xml; charset=utf-8"
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding",
    "Access-Control-Max-Age": "86400",
}
STATUS = {InvalidInput: 400, NotAllowed: 401, Conflict: 409, PayloadTooLarge: 413, TooManyRequests: 429}
LASTFM_ERRORS = {429: lastfm.RATE, 503: lastfm.UNAVAILABLE, 409: lastfm.FAILED}


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


@recorded("scrobble", secret_answers=True)
async def door(request: Request) -> Response:
    site: Site = request.app.state.site
    exchange_of(request).slug = listens.LISTENS
    path = [name for name in request.url.path.split("/") if name]
    names = tuple(dropwhile(lambda name: name == "1", path[path[0] == "scrobble" :]))
    query = dict(parse_qsl(query_of(request), keep_blank_values=True, errors="replace"))
    response = await _answer(Ask(request, site, request.app.state.scrobbles, site.now(), names, query))
    response.headers.update(CORS)
    return response


async def preflight(_request: Request) -> Response:
    """What browsers ask before a page of another site may scrobble: no scrobble yet."""
    return Response(status_code=204, headers=CORS)


async def _answer(ask: Ask) -> Response:
    match ask.names:
        case ("2.0",):
            return await _lastfm(ask)
        case ("nowplaying" | "submissions" as what, *_):
            return await _audioscrobbler(ask, what)
        case () if "hs" in ask.query:
            return await _audioscrobbler(ask, "handshake")
        case _:
            return await _listenbrainz(ask)


# -- ListenBrainz -----------------------------------------------------------------------------


async def _listenbrainz(ask: Ask) -> Response:
    try:
        match ask.request.method, *ask.names:
            case ("POST", "submit-listens") | ("POST",):
                return await _submit(ask)
            case ("GET",):
                return Response(HERE, media_type=TEXT)
            case _, "validate-token":
                return await _validate(ask)
            case "GET", "user", user, "listens" | "playing-now" | "listen-count" as what:
                return await _give_back(ask, user, what)
            case _, "submit-listens":
                return _says(405, "Listens are submitted by POST.")
            case _:
                return _says(404, "There is nothing at this address; what scrobblers need is in docs/scrobbling.md.")
    except (LifestreamError, SQLAlchemyError) as error:
        return _says(_status(error), _sentence(error), error)


async def _submit(ask: Ask) -> Response:
    header = ask.request.headers.get("authorization", "")
    if not header:
        return _says(401, listenbrainz.NO_HEADER)
    if await _with_token(ask, listenbrainz.token_of(header)) is None:
        raise NotAllowed(listenbrainz.BAD_TOKEN)
    match listenbrainz.submitted(await _body(ask.request, listenbrainz.LONGEST_BODY), ask.now):
        case listenbrainz.Refused(reason):
            return _says(400, reason)
        case listenbrainz.Playing(track):
            await _play(ask, track)
        case listenbrainz.Listens(heard):
            await _record(ask, heard)
    return Response(listenbrainz.ok(), media_type=JSON)


async def _validate(ask: Ask) -> Response:
    header = ask.request.headers.get("authorization", "")
    token = listenbrainz.token_of(header) or ask.query.get("token", "")
    if not token:
        return _says(400, listenbrainz.NO_TOKEN)
    known = await _with_token(ask, token) is not None
    return Response(listenbrainz.validated(_user(ask.site) if known else None), media_type=JSON)


async def _give_back(ask: Ask, user: str, what: str) -> Response:
    """What anybody may see of the listens, whatever user is asked for: there is only one."""
    query = {name: moment(ask.query.get(name, "")) for name in ("min_ts", "max_ts")}
    limit = ask.query.get("count", "")
    most = min(int(limit), MOST_GIVEN_BACK) if re.fullmatch("[0-9]{1,6}", limit) else GIVEN_BACK
    async with ask.site.store.read() as db:
        if what == "listen-count":
            body = listenbrainz.listen_count(await listens.count(db))
        elif what == "playing-now":
            track, _ = await listens.playing(db, ask.now)
            body = listenbrainz.playing_now(user, track)
        else:
            found = await listens.newest(db, after=query["min_ts"], before=query["max_ts"], limit=most)
            body = listenbrainz.listens(user, found)
    return Response(body, media_type=JSON)


def _says(status: int, sentence: str, error: Exception | None = None) -> Response:
    headers = {}
    if isinstance(error, TooManyRequests):
        wait = str(max(1, round(error.retry_after)))
        headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-In": wait, "Retry-After": wait}
    return Response(listenbrainz.error(status, sentence), status, headers, JSON)


# -- Last.fm ----------------------------------------------------------------------------------


async def _lastfm(ask: Ask) -> Response:
    call = lastfm.call(ask.query.items())
    status = 0
    try:
        call = lastfm.call(await _form(ask))
        answer = await _called(ask, call)
    except (LifestreamError, SQLAlchemyError) as error:
        status = _status(error)
        answer = lastfm.error(LASTFM_ERRORS.get(status, lastfm.PARAMETERS), _sentence(error))
    as_json = call.wants_json
    return Response(answer.written(as_json=as_json), status or answer.status, media_type=JSON if as_json else XML)


async def _called(ask: Ask, call: lastfm.Call) -> lastfm.Answer:
    match call.method:
        case "auth.getmobilesession" | "auth.getsession":
            return await _session(ask, call)
        case "user.getinfo":
            async with ask.site.store.read() as db:
                return lastfm.user(call.user or _user(ask.site), await listens.count(db), ask.site.config.base_url)
        case "track.scrobble" | "track.updatenowplaying" | "track.love" | "track.unlove":
            return await _written(ask, call)
        case _:
            return lastfm.error(lastfm.METHOD)


async def _session(ask: Ask, call: lastfm.Call) -> lastfm.Answer:
    """By name and password, or by a token that the owner gave the client himself."""
    given = call.fields.get("token", "")

    def fits(key: Key) -> bool:
        if given:
            return key.digest == owner.digest(given)
        return key.md5 is not None and lastfm.proves(call, key.md5)

    proofs = [call.fields.get(name, "") for name in ("token", "password", "authtoken")]
    key = await _key(ask, fits, proofs)
    if key is None:
        return lastfm.error(lastfm.AUTH)
    return lastfm.session(call.user or _user(ask.site), key.session)


async def _written(ask: Ask, call: lastfm.Call) -> lastfm.Answer:
    if await _with_session(ask, call.session) is None:
        return lastfm.error(lastfm.SESSION)
    if call.method == "track.scrobble":
        scrobbles = lastfm.scrobbles(call, ask.now)
        if not scrobbles:
            return lastfm.error(lastfm.PARAMETERS, "There is no artist, track and timestamp in this.")
        await _record(ask, [one.listen for one in scrobbles if one.listen])
        return lastfm.scrobbled(scrobbles)
    if call.method == "track.updatenowplaying":
        track = lastfm.playing(call)
        if track is None:
            return lastfm.error(lastfm.PARAMETERS, "There is no artist and track in this.")
        await _play(ask, track)
        return lastfm.now_playing(track)
    return lastfm.done()


# -- Audioscrobbler 1.2 -----------------------------------------------------------------------


async def _audioscrobbler(ask: Ask, what: str) -> Response:
    """200 whatever becomes of it, as Last.fm had it; but for what is too much."""
    status = 200
    try:
        said = await (_handshake(ask) if what == "handshake" else _sent(ask, what))
    except (LifestreamError, SQLAlchemyError) as error:
        status = _status(error) if isinstance(error, PayloadTooLarge | TooManyRequests) else 200
        said = audioscrobbler.failed(_sentence(error))
    if not said.startswith(audioscrobbler.OK.strip()):
        exchange_of(ask.request).says("refused", said.strip())
    return Response(said, status, media_type=TEXT)


async def _handshake(ask: Ask) -> str:
    asked = audioscrobbler.handshake(ask.query)
    if not asked.is_spoken:
        return audioscrobbler.failed("This server speaks version 1.2 of the protocol.")
    digest = owner.digest(asked.proof)  # for who sends the token itself

    def fits(key: Key) -> bool:
        proven = key.md5 is not None and audioscrobbler.proves(asked, key.md5)
        return proven or same_secret(asked.session, key.session) or key.digest == digest

    key = await _key(ask, fits, [asked.proof, asked.session])
    if key is None:
        return audioscrobbler.BADAUTH
    if not audioscrobbler.clock_is_right(asked, ask.now):
        return audioscrobbler.BADTIME
    return audioscrobbler.welcome(key.session, f"{ask.site.config.base_url}/scrobble")


async def _sent(ask: Ask, what: str) -> str:
    form = await _form(ask)
    if await _with_session(ask, dict(form).get("s", "")) is None:
        return audioscrobbler.BADSESSION
    if what == "submissions":
        await _record(ask, audioscrobbler.submitted(form, ask.now))
    elif track := audioscrobbler.playing(form):
        await _play(ask, track)
    return audioscrobbler.OK


# -- what they share --------------------------------------------------------------------------


async def _record(ask: Ask, heard: Sequence[Listen]) -> None:
    """Returns when they are on disk."""
    if heard:
        await ask.desk.record(heard)
        exchange_of(ask.request).says("ok", f"{len(heard)} {'listen' if len(heard) == 1 else 'listens'}")


async def _play(ask: Ask, track: Track) -> None:
    async with ask.site.store.begin(rings=[bells.LOG], durable=False) as db:
        await listens.play(db, track, ask.now)


async def _with_token(ask: Ask, token: str) -> Key | None:
    digest = owner.digest(token)
    return await _key(ask, lambda key: key.digest == digest, [token])


async def _with_session(ask: Ask, session: str) -> Key | None:
    """A session key; or the token itself, for clients whose users may type one."""
    digest = owner.digest(session)
    return await _key(ask, lambda key: same_secret(session, key.session) or key.digest == digest, [session])


async def _key(ask: Ask, fits: Callable[[Key], bool], given: Sequence[str]) -> Key | None:
    """The key that fits and may scrobble. Raises TooManyRequests where an address has sent too many that do not.

    What was `given` to prove it stays out of the log, wherever in the request it stands.
    """
    keep_out(given)
    for key in await ask.desk.keys():
        if fits(key):
            exchange_of(ask.request).stranger = False
            ask.site.uses.note(key.digest, ask.now)
            return key
    address = ask.request.client.host if ask.request.client else ""
    if not _is_exempt(ask.site, address):
        tries: Tries = ask.request.app.state.wrong_keys
        tries.count(address)
    return None


def _is_exempt(site: Site, address: str) -> bool:
    try:
        return site.config.allow_networks.allows(ip_address(address))
    except ValueError:
        return False


async def _form(ask: Ask) -> list[tuple[str, str]]:
    """The fields of the query, then of the body."""
    body = await _body(ask.request, FORM_LIMIT)
    try:
        fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise InvalidInput(f"The form has more than {MOST_FIELDS} fields.") from None
    return [*ask.query.items(), *fields]


async def _body(request: Request, limit: int) -> bytes:
    body = await read_body(request, limit)
    if request.headers.get("content-encoding", "").strip().lower() != "gzip":
        return body
    try:
        unpacked = zlib.decompressobj(GZIP).decompress(body, limit + 1)
    except zlib.error:
        raise InvalidInput("The body is not compressed with gzip, as its header says.") from None
    if len(unpacked) > limit:
        raise PayloadTooLarge(f"The request's body is over the limit of {limit:,} bytes.")
    return unpacked


def _user(site: Site) -> str:
    return site.config.author or "lifestream"


def _status(error: Exception) -> int:
    return next((status for kind, status in STATUS.items() if isinstance(error, kind)), 503)


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, LifestreamError) else AWAY


routes = [
    Route(path, answers, methods=methods)
    for path in ("/scrobble", "/scrobble/{rest:path}", "/1/{rest:path}")
    for answers, methods in ((door, ["GET", "POST"]), (preflight, ["OPTIONS"]))
]
