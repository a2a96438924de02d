"""Audioscrobbler 1.2, the oldest dialect of scrobbling (protocol/audioscrobbler.py)."""

from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from lifestream.errors import LifestreamError, PayloadTooLarge, TooManyRequests
from lifestream.protocol import audioscrobbler as rules
from lifestream.protocol.listens import same_secret
from lifestream.receive.desk import Ask, sentence_of, status_of
from lifestream.receive.recorded import exchange_of
from lifestream.store import owner
from lifestream.store.owner import Key

TEXT = "text/plain; charset=utf-8"


async def answer(ask: Ask, what: str) -> Response:
    """200 whatever becomes of it, as Last.fm had it; but for what is too much."""
    status = 200
    try:
        said = await (_handshake(ask) if what == "handshake" else _sent(ask, what))
    except (LifestreamError, SQLAlchemyError) as error:
        status = status_of(error) if isinstance(error, PayloadTooLarge | TooManyRequests) else 200
        said = rules.failed(sentence_of(error))
    if not said.startswith(rules.OK.strip()):
        exchange_of(ask.request).says("refused", said.strip())
    return Response(said, status, media_type=TEXT)


async def _handshake(ask: Ask) -> str:
    asked = rules.handshake(ask.query)
    if not asked.is_spoken:
        return rules.failed("This server speaks version 1.2 of the protocol.")
    digest = owner.digest(asked.proof)  # for who sends the token itself

    def fits(key: Key) -> bool:
        proven = key.md5 is not None and rules.proves(asked, key.md5)
        return proven or same_secret(asked.session, key.session) or key.digest == digest

    key = await ask.key(fits, [asked.proof, asked.session])
    if key is None:
        return rules.BADAUTH
    if not rules.clock_is_right(asked, ask.now):
        return rules.BADTIME
    return rules.welcome(key.session, f"{ask.site.config.base_url}/scrobble")


async def _sent(ask: Ask, what: str) -> str:
    form = await ask.form()
    if await ask.key_by_session(dict(form).get("s", "")) is None:
        return rules.BADSESSION
    if what == "submissions":
        await ask.record(rules.submitted(form, ask.now))
    elif track := rules.playing(form):
        await ask.play(track)
    return rules.OK
