"""Last.fm's dialect of scrobbling (protocol/lastfm.py)."""

from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from lifestream.errors import LifestreamError
from lifestream.protocol import lastfm as rules
from lifestream.receive.desk import Ask, sentence_of, status_of
from lifestream.store import listens, owner
from lifestream.store.owner import Key

JSON, XML = "application/json", "text/xml; charset=utf-8"
ERRORS = {429: rules.RATE, 503: rules.UNAVAILABLE, 409: rules.FAILED}


async def answer(ask: Ask) -> Response:
    call = rules.call(ask.query.items())
    status = 0
    try:
        call = rules.call(await ask.form())
        said = await _called(ask, call)
    except (LifestreamError, SQLAlchemyError) as error:
        status = status_of(error)
        said = rules.error(ERRORS.get(status, rules.PARAMETERS), sentence_of(error))
    as_json = call.wants_json
    return Response(said.written(as_json=as_json), status or said.status, media_type=JSON if as_json else XML)


async def _called(ask: Ask, call: rules.Call) -> rules.Answer:
    match call.method:
        case "auth.getmobilesession" | "auth.getsession":
            return await _session(ask, call)
        case "user.getinfo":
            async with ask.site.store.read() as db:
                return rules.user(call.user or ask.user, await listens.count(db), ask.site.config.base_url)
        case "track.scrobble" | "track.updatenowplaying" | "track.love" | "track.unlove":
            return await _written(ask, call)
        case _:
            return rules.error(rules.METHOD)


async def _session(ask: Ask, call: rules.Call) -> rules.Answer:
    """By name and password, or by a token that the owner gave the client himself."""
    given = call.fields.get("token", "")

    def fits(key: Key) -> bool:
        if given:
            return key.digest == owner.digest(given)
        return key.md5 is not None and rules.proves(call, key.md5)

    proofs = [call.fields.get(name, "") for name in ("token", "password", "authtoken")]
    key = await ask.key(fits, proofs)
    if key is None:
        return rules.error(rules.AUTH)
    return rules.session(call.user or ask.user, key.session)


async def _written(ask: Ask, call: rules.Call) -> rules.Answer:
    if await ask.key_by_session(call.session) is None:
        return rules.error(rules.SESSION)
    if call.method == "track.scrobble":
        scrobbles = rules.scrobbles(call, ask.now)
        if not scrobbles:
            return rules.error(rules.PARAMETERS, "There is no artist, track and timestamp in this.")
        await ask.record([one.listen for one in scrobbles if one.listen])
        return rules.scrobbled(scrobbles)
    if call.method == "track.updatenowplaying":
        track = rules.playing(call)
        if track is None:
            return rules.error(rules.PARAMETERS, "There is no artist and track in this.")
        await ask.play(track)
        return rules.now_playing(track)
    return rules.done()
