"""The owner's keys: what is given out is shown once, and only its digest is kept."""

import asyncio
from hashlib import md5

import pytest
from sqlalchemy import select

from lifestream.errors import Conflict, InvalidInput, NotFound
from lifestream.site import Site
from lifestream.store import owner
from lifestream.store.database import Store
from lifestream.store.owner import SCOPES, SESSION_LASTS
from lifestream.store.tables import FactRow, SessionRow, TokenRow
from tests.store.story import DAY, HOUR, NO_TIME, NOON, count, row


async def token(store: Store, name: str = "phone", scope: str = "read") -> str:
    async with store.begin() as db:
        return await owner.create_token(db, name, scope, NOON)


async def scope_of(store: Store, given: str) -> str | None:
    async with store.read() as db:
        return await owner.token_scope(db, given)


async def test_a_token_has_the_scope_it_was_made_for(site: Site) -> None:
    for scope in SCOPES:
        assert await scope_of(site.store, await token(site.store, scope, scope)) == scope


async def test_no_other_token_has_any_scope(site: Site) -> None:
    given = await token(site.store)
    for other in (
        "",
        "ls_",
        given[:-1],
        given + "x",
        given.upper(),
        "\0",
        "é",
        "\ud800".encode("utf-8", "replace").decode(),
    ):
        assert await scope_of(site.store, other) is None


async def test_only_the_digest_of_a_token_is_kept(site: Site) -> None:
    given = await token(site.store)
    kept = str(await row(site.store, TokenRow))
    assert given not in kept and given.removeprefix("ls_") not in kept
    assert owner.digest(given) in kept


async def test_a_tokens_md5_is_kept_for_old_protocols_and_goes_with_it(site: Site) -> None:
    """Of the token itself nothing is kept there either."""
    given, _ = await token(site.store), await token(site.store, "other")
    async with site.store.begin() as db:
        key = next(one for one in await owner.keys(db) if one.digest == owner.digest(given))
        assert key.md5 == md5(given.encode()).hexdigest() and key.scope == "read"
        assert key.session not in (key.md5, key.digest, key.digest[:32])
        facts = (await db.execute(select(FactRow.name, FactRow.value))).all()
        assert given not in str(facts) and key.session not in str(facts)
        await owner.revoke_token(db, "phone")
        assert [one.digest for one in await owner.keys(db)] != []
        assert key.md5 not in str((await db.execute(select(FactRow.value))).all())


async def test_no_two_tokens_are_the_same(site: Site) -> None:
    assert len({await token(site.store, str(number)) for number in range(20)}) == 20


async def test_a_token_without_name_or_scope_is_refused(site: Site) -> None:
    for name, scope in (("a", "root"), ("a", ""), ("", "read"), ("  ", "read"), ("a" * 101, "read")):
        with pytest.raises(InvalidInput):
            await token(site.store, name, scope)
    assert await count(site.store, TokenRow) == 0


async def test_a_name_is_one_tokens_and_free_again_when_that_is_revoked(site: Site) -> None:
    first = await token(site.store)
    with pytest.raises(Conflict, match="phone"):
        await token(site.store)
    async with site.store.begin() as db:
        await owner.revoke_token(db, "phone")
    assert await scope_of(site.store, first) is None
    assert await scope_of(site.store, await token(site.store)) == "read"


async def test_revoking_what_is_not_there_says_so(site: Site) -> None:
    with pytest.raises(NotFound, match="phone"):
        async with site.store.begin() as db:
            await owner.revoke_token(db, "phone")


async def test_the_list_says_when_a_token_was_last_used(site: Site) -> None:
    given = await token(site.store)
    async with site.store.begin() as db:
        assert [one.last_used for one in await owner.tokens(db)] == [None]
        await owner.token_used(db, owner.digest(given), NOON + HOUR)
        (listed,) = await owner.tokens(db)
    assert (listed.name, listed.scope, listed.created_at, listed.last_used) == ("phone", "read", NOON, NOON + HOUR)


async def test_a_session_lasts_until_it_ends(site: Site) -> None:
    async with site.store.begin() as db:
        cookie = await owner.open_session(db, NOON)
    async with site.store.read() as db:
        session = await owner.session(db, cookie, NOON + SESSION_LASTS - NO_TIME)
        assert session is not None and session.csrf not in ("", cookie)
        assert await owner.session(db, cookie, NOON + SESSION_LASTS) is None
        assert await owner.session(db, cookie + "x", NOON) is None
        assert await owner.session(db, session.digest, NOON) is None
    assert cookie not in str(await row(site.store, SessionRow))


async def test_signing_in_sweeps_sessions_that_ended(site: Site) -> None:
    async with site.store.begin() as db:
        await owner.open_session(db, NOON)
        await owner.open_session(db, NOON + DAY)
        await owner.open_session(db, NOON + SESSION_LASTS)
    assert await count(site.store, SessionRow) == 2


async def test_one_session_is_closed_or_all(site: Site) -> None:
    async with site.store.begin() as db:
        cookies = [await owner.open_session(db, NOON) for _ in range(3)]
        session = await owner.session(db, cookies[0], NOON)
        assert session is not None
        await owner.close_session(db, session.digest)
        assert [bool(await owner.session(db, one, NOON)) for one in cookies] == [False, True, True]
        await owner.close_all_sessions(db)
        assert [bool(await owner.session(db, one, NOON)) for one in cookies] == [False, False, False]


async def test_a_fact_is_what_it_was_last_set_to(site: Site) -> None:
    async with site.store.begin() as db:
        assert await owner.fact(db, "mood") is None
        await owner.set_fact(db, "mood", "good")
        await owner.set_fact(db, "mood", "better")
        assert await owner.fact(db, "mood") == "better"
        assert await owner.drop_fact(db, "mood")
        assert not await owner.drop_fact(db, "mood")
        assert await owner.fact(db, "mood") is None


async def test_a_fact_set_twice_at_once_is_one(site: Site) -> None:
    other = Store(site.store.url, site.store.sqlite_path)

    async def say(store: Store, mood: str) -> None:
        async with store.begin() as db:
            await owner.set_fact(db, "mood", mood)

    await asyncio.gather(*(say(store, mood) for store in (site.store, other) for mood in ("good", "better")))
    await other.aclose()
    async with site.store.read() as db:
        assert len((await db.execute(select(FactRow.value).where(FactRow.name == "mood"))).all()) == 1
