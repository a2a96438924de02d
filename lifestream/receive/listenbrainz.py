"""ListenBrainz's dialect of scrobbling (protocol/listenbrainz.py)."""

import re

from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from lifestream.errors import LifestreamError, NotAllowed, TooManyRequests
from lifestream.protocol import listenbrainz as rules
from lifestream.protocol.listens import moment
from lifestream.receive.desk import Ask, sentence_of, status_of
from lifestream.store import listens

JSON, TEXT = "application/json", "text/plain; charset=utf-8"
MOST_GIVEN_BACK, GIVEN_BACK = 100, 25
HERE = "Scrobblers send here what is listened to; docs/scrobbling.md says how to point one here.\n"


async def answer(ask: Ask) -> Response:
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
        return _says(status_of(error), sentence_of(error), error)


async def _submit(ask: Ask) -> Response:
    header = ask.request.headers.get("authorization", "")
    if not header:
        return _says(401, rules.NO_HEADER)
    if await ask.key_by_token(rules.token_of(header)) is None:
        raise NotAllowed(rules.BAD_TOKEN)
    match rules.submitted(await ask.body(rules.LONGEST_BODY), ask.now):
        case rules.Refused(reason):
            return _says(400, reason)
        case rules.Playing(track):
            await ask.play(track)
        case rules.Listens(heard):
            await ask.record(heard)
    return Response(rules.ok(), media_type=JSON)


async def _validate(ask: Ask) -> Response:
    header = ask.request.headers.get("authorization", "")
    token = rules.token_of(header) or ask.query.get("token", "")
    if not token:
        return _says(400, rules.NO_TOKEN)
    known = await ask.key_by_token(token) is not None
    return Response(rules.validated(ask.user if known else None), media_type=JSON)


async def _give_back(ask: Ask, user: str, what: str) -> Response:
    """What anybody may see of the listens, whatever user is asked for: there is only one."""
    query = {name: moment(ask.query.get(name, "")) for name in ("min_ts", "max_ts")}
    limit = ask.query.get("count", "")
    most = min(int(limit), MOST_GIVEN_BACK) if re.fullmatch("[0-9]{1,6}", limit) else GIVEN_BACK
    async with ask.site.store.read() as db:
        if what == "listen-count":
            body = rules.listen_count(await listens.count(db))
        elif what == "playing-now":
            track, _ = await listens.playing(db, ask.now)
            body = rules.playing_now(user, track)
        else:
            found = await listens.newest(db, after=query["min_ts"], before=query["max_ts"], limit=most)
            body = rules.listens(user, found)
    return Response(body, media_type=JSON)


def _says(status: int, sentence: str, error: Exception | None = None) -> Response:
    headers = {}
    if isinstance(error, TooManyRequests):
        wait = str(max(1, round(error.retry_after)))
        headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-In": wait, "Retry-After": wait}
    return Response(rules.error(status, sentence), status, headers, JSON)
