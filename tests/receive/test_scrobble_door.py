"""`/scrobble`: three dialects at one door, and what becomes of what they bring."""

import asyncio
import gzip
import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lifestream.admin import TRIES_A_MINUTE
from lifestream.app import create_app, running
from lifestream.config import Config
from lifestream.protocol.addresses import Networks
from lifestream.protocol.listens import md5hex
from lifestream.receive.desk import FORM_LIMIT
from lifestream.store import listens, owner, sources
from tests.fakes import AppClient
from tests.living import on_sqlite
from tests.stories import shows_to

DAY = 86_400
SUBMIT = "/scrobble/1/submit-listens"
API = "/scrobble/2.0/"
DIALECTS = ("listenbrainz", "lastfm", "audioscrobbler")


@pytest.fixture
async def token(client: AppClient) -> str:
    return await make_token(client)


async def make_token(client: AppClient, scope: str = "scrobble", name: str = "player") -> str:
    async with client.site.store.begin() as db:
        return await owner.create_token(db, name, scope, client.site.now())


async def revokes(client: AppClient, name: str = "player") -> None:
    async with client.site.store.begin() as db:
        await owner.revoke_token(db, name)


def ago(client: AppClient, seconds: int) -> int:
    return int(client.site.now().timestamp()) - seconds


def listen(at: int | None, artist: str = "Björk", track: str = "Jóga", **info: Any) -> dict[str, Any]:
    metadata = {"artist_name": artist, "track_name": track, "additional_info": info}
    return ({} if at is None else {"listened_at": at}) | {"track_metadata": metadata}


def document(*payload: Any, kind: str = "single") -> bytes:
    return json.dumps({"listen_type": kind, "payload": payload}).encode()


async def submits(client: AppClient, token: str, *payload: Any, kind: str = "single") -> httpx2.Response:
    headers = {"Authorization": f"Token {token}"}
    return await client.post(SUBMIT, content=document(*payload, kind=kind), headers=headers)


async def handshake(client: AppClient, proof: str, at: int | None = None, **more: str) -> list[str]:
    """The lines of the answer. `proof` is the password's MD5."""
    time = str(ago(client, 0) if at is None else at)
    query = {"hs": "true", "p": "1.2", "c": "tst", "v": "1", "u": "anybody", "t": time, "a": md5hex(proof + time)}
    answer = await client.get("/scrobble/", params=query | more)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    return answer.text.split("\n")


async def session(client: AppClient, token: str) -> str:
    return (await handshake(client, md5hex(token)))[1]


async def scrobbles(client: AppClient, dialect: str, token: str, at: int, artist: str, track: str) -> None:
    """Tells of one listen, in one dialect or another."""
    if dialect == "listenbrainz":
        answer = await submits(client, token, listen(at, artist, track))
        assert answer.json() == {"status": "ok"}
        return
    key = await session(client, token)
    if dialect == "lastfm":
        form = {"method": "track.scrobble", "sk": key, "format": "json"}
        row = {"artist[0]": artist, "track[0]": track, "timestamp[0]": str(at)}
        answer = await client.post(API, data=form | row)
        assert answer.json()["scrobbles"]["@attr"] == {"accepted": 1, "ignored": 0}
        return
    row = {"s": key, "a[0]": artist, "t[0]": track, "i[0]": str(at), "o[0]": "P", "r[0]": ""}
    answer = await client.post("/scrobble/submissions/1.2/", data=row)
    assert answer.text == "OK\n"


async def found(client: AppClient, **query: Any) -> list[dict[str, Any]]:
    answer = await client.get("/api/entries", params=query)
    entries: list[dict[str, Any]] = answer.json()["entries"]
    return entries


async def titles(client: AppClient, **query: Any) -> list[str]:
    return [one["title"] for one in await found(client, **query)]


# -- listens become entries -------------------------------------------------------------------


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_listen_becomes_an_entry_in_the_source_listens(client: AppClient, token: str, dialect: str) -> None:
    at = ago(client, 60)
    await scrobbles(client, dialect, token, at, "Sigur Rós", "Svefn-g-englar & Co")
    (entry,) = await found(client)
    assert (entry["kind"], entry["verb"], entry["source"]["slug"]) == ("listen", "listen", "listens")
    assert entry["title"] == "Sigur Rós – Svefn-g-englar & Co"
    assert entry["data"] == {"artist": "Sigur Rós", "track": "Svefn-g-englar & Co", "album": ""}
    assert datetime.fromisoformat(entry["published"]) == datetime.fromtimestamp(at, UTC)
    source = (await client.get("/api/sources/listens")).json()
    assert (source["kind"], source["visibility"], source["delivery"]) == ("listen", "public", "local")
    assert source["entry_count"] == 1


async def test_the_same_listen_is_one_entry_whoever_tells_of_it(client: AppClient, token: str) -> None:
    at = ago(client, 600)
    for dialect, second, artist in (
        ("listenbrainz", 0, "Björk"), ("listenbrainz", 0, "Björk"), ("lastfm", 0, "Bjork"), ("lastfm", 2, "BJÖRK"),
        ("audioscrobbler", -1, "Björk"),
    ):  # fmt: skip
        await scrobbles(client, dialect, token, at + second, artist, "Jóga")
    assert len(await found(client)) == 1
    await scrobbles(client, "lastfm", token, at + 300, "Björk", "Jóga")
    assert len(await found(client)) == 2, "it was heard again"


async def test_programs_that_tell_at_the_same_moment_make_one_entry(client: AppClient, token: str) -> None:
    at = ago(client, 60)
    await asyncio.gather(*(scrobbles(client, one, token, at, "Björk", "Jóga") for one in DIALECTS * 3))
    assert await titles(client) == ["Björk – Jóga"]
    assert (await client.get("/api/sources/listens")).json()["entry_count"] == 1


async def test_what_the_owner_deleted_does_not_come_back(client: AppClient, token: str) -> None:
    at = ago(client, 60)
    await scrobbles(client, "lastfm", token, at, "Björk", "Jóga")
    (entry,) = await found(client)
    await client.delete(f"/api/entries/{entry['id']}", headers=await client.token("write"))
    await scrobbles(client, "lastfm", token, at, "Björk", "Jóga")
    await scrobbles(client, "listenbrainz", token, at + 3, "Björk", "Jóga")
    assert await found(client) == []


async def test_what_the_owner_edited_is_still_the_same_listen(client: AppClient, token: str) -> None:
    at = ago(client, 60)
    await scrobbles(client, "lastfm", token, at, "Björk", "Jóga")
    (entry,) = await found(client)
    edit = {"title": "that song", "published": "2026-01-01T00:00:00Z"}
    await client.patch(f"/api/entries/{entry['id']}", json=edit, headers=await client.token("write"))
    await scrobbles(client, "lastfm", token, at, "Björk", "Jóga")
    assert await titles(client) == ["that song"]


async def test_a_batch_lands_in_its_place_and_history_comes_in_quietly(client: AppClient, token: str) -> None:
    times = {"now": 60, "yesterday": DAY - 60, "the day before": DAY + 60, "long ago": 900 * DAY}
    batch = [listen(ago(client, seconds), "A", name) for name, seconds in times.items()]
    await submits(client, token, *batch, kind="import")
    assert await titles(client) == [f"A – {name}" for name in times], "newest first"
    changes = (await client.get("/api/entries", params={"after": 0})).json()["entries"]
    assert [one["title"] for one in changes] == ["A – long ago", "A – the day before", "A – yesterday", "A – now"]
    live = (await client.get("/live/poll", params={"after": 0, "wait": 0})).json()["changes"]
    assert [one["entry"]["title"] for one in live if one["type"] == "entry"] == ["A – yesterday", "A – now"]


async def test_one_bad_row_does_not_hold_up_a_queue(client: AppClient, token: str) -> None:
    now, key = ago(client, 0), await session(client, token)
    bad = listen(now + 2 * DAY, "A", "to come")
    answer = await submits(client, token, listen(now - 60, "A", "one"), bad, kind="import")
    assert answer.json() == {"status": "ok"}
    times = {"two": now - 120, "to come": now + 2 * DAY, "before time": 5, "": now, "three": now - 180}
    for api, row, extra in (
        (API, "artist[{}] track[{}] timestamp[{}]", {"method": "track.scrobble", "sk": key}),
        ("/scrobble/submissions/1.2/", "a[{}] t[{}] i[{}]", {"s": key}),
    ):
        form = dict(extra)
        for number, (name, at) in enumerate(times.items()):
            form |= dict(zip(row.format(number, number, number).split(), ("A", name, str(at)), strict=True))
        answer = await client.post(api, data=form)
        assert answer.status_code == 200
    assert await titles(client) == ["A – one", "A – two", "A – three"]


async def test_a_listen_carries_what_the_client_knows_of_it(client: AppClient, token: str) -> None:
    mbid = "98255a8c-017a-4bc7-8dd6-1fa36124572b"
    info = {"origin_url": "https://music.example/joga", "recording_mbid": mbid, "duration_ms": 214_000, "tags": ["x"]}
    await submits(client, token, listen(ago(client, 9), **info))
    (entry,) = await found(client)
    assert entry["url"] == "https://music.example/joga" and entry["tags"] == ["x"]
    assert entry["data"]["recording_mbid"] == mbid and entry["data"]["duration"] == 214
    assert 'class="u-listen-of" href="https://music.example/joga"' in entry["html"]


async def test_what_was_listened_to_in_private_stays_private_when_its_source_was_removed(
    client: AppClient, token: str
) -> None:
    await submits(client, token, listen(ago(client, 60)))
    await shows_to(client.site, "listens", "private")
    async with client.site.store.begin() as db:
        await sources.remove(db, await sources.get(db, "listens", audience="owner"), client.site.now())
    await submits(client, token, listen(None, "Nico", "Afraid"), kind="playing_now")
    async with client.site.store.read() as db:
        assert await listens.playing(db, client.site.now()) == (None, 0.0)
    await submits(client, token, listen(ago(client, 30), "Nico", "Afraid"))
    assert await titles(client) == []
    async with client.site.store.read() as db:
        assert (await sources.get(db, "listens", audience="owner")).visibility == "private"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_token_from_before_md5s_were_kept_is_known_by_itself(client: AppClient, dialect: str) -> None:
    token = await make_token(client)
    async with client.site.store.begin() as db:
        await owner.drop_fact(db, owner.MD5 + owner.digest(token))
    at = ago(client, 60)
    if dialect == "listenbrainz":
        assert (await submits(client, token, listen(at))).status_code == 200
    elif dialect == "lastfm":
        answer = await client.post(API, data={"method": "auth.getSession", "token": token, "format": "json"})
        assert answer.json()["session"]["key"]
    else:
        query = {"hs": "true", "p": "1.2", "c": "tst", "v": "1", "u": "anybody", "t": str(at), "a": token}
        assert (await client.get("/scrobble/", params=query)).text.startswith("OK\n")
    assert (await handshake(client, ""))[0] == "BADAUTH", "no MD5 is none that anybody can prove"


async def test_listens_go_nowhere_while_a_feed_has_their_name(client: AppClient, token: str) -> None:
    async with client.site.store.begin() as db:
        await sources.add_feed(db, "https://lb.example/feed", slug="listens", now=client.site.now())
    answer = await submits(client, token, listen(ago(client, 9)))
    assert answer.status_code == 409 and "is fed by https://lb.example/feed" in answer.json()["error"]
    key = await session(client, token)
    form = {"s": key, "a[0]": "A", "t[0]": "T", "i[0]": str(ago(client, 9))}
    assert (await client.post("/scrobble/submissions/1.2/", data=form)).text.startswith(
        "FAILED The source “listens” is"
    )


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_plays_now_is_no_entry(client: AppClient, token: str, dialect: str) -> None:
    key = await session(client, token)
    if dialect == "listenbrainz":
        answer = await submits(client, token, listen(None, "A", "T", duration=34), kind="playing_now")
        assert answer.json() == {"status": "ok"}
    elif dialect == "lastfm":
        form = {"method": "track.updateNowPlaying", "sk": key, "artist": "A", "track": "T", "duration": "34"}
        answer = await client.post(API, data=form)
        assert '<nowplaying><track corrected="0">T</track>' in answer.text
    else:
        answer = await client.post("/scrobble/nowplaying/1.2/", data={"s": key, "a": "A", "t": "T", "l": "34"})
        assert answer.text == "OK\n"
    assert await found(client) == []
    playing = (await client.get("/1/user/x/playing-now")).json()["payload"]
    assert playing["listens"][0]["track_metadata"]["track_name"] == "T"
    await scrobbles(client, dialect, token, ago(client, 20), "a", "t")
    assert (await client.get("/1/user/x/playing-now")).json()["payload"]["listens"] == []


# -- who may ----------------------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize("scope", ["scrobble", "write", "owner"])
async def test_the_scopes_that_may_scrobble(client: AppClient, scope: str) -> None:
    token = await make_token(client, scope)
    for number, dialect in enumerate(DIALECTS):
        await scrobbles(client, dialect, token, ago(client, 60 * number), "A", dialect)
    assert len(await found(client)) == 3


async def refusals(client: AppClient, token: str, key: str) -> list[Any]:
    """What each dialect says to somebody with this token and this key of Last.fm's kind."""
    lb = await submits(client, token, listen(ago(client, 9)))
    valid = await client.get("/scrobble/1/validate-token", headers={"Authorization": f"Token {token}"})
    mobile = {"method": "auth.getMobileSession", "username": "x", "password": token, "format": "json"}
    scrobble = {"method": "track.scrobble", "artist": "A", "track": "T", "timestamp": "1795251834", "format": "json"}
    row = {"a[0]": "A", "t[0]": "T", "i[0]": "1795251834"}
    return [
        (lb.status_code, lb.json()),
        valid.json()["valid"],
        (await client.post(API, data=mobile)).json()["error"],
        (await client.post(API, data=scrobble | {"sk": key})).json()["error"],
        (await handshake(client, md5hex(token)))[0],
        (await client.post("/scrobble/submissions/1.2/", data=row | {"s": key})).text,
        (await client.post("/scrobble/nowplaying/1.2/", data={"s": key, "a": "A", "t": "T"})).text,
    ]


REFUSED = [
    (401, {"code": 401, "error": "Invalid authorization token."}), False, 4, 9, "BADAUTH",
    "BADSESSION\n", "BADSESSION\n",
]  # fmt: skip


@on_sqlite
@pytest.mark.parametrize("token", ["x", "", "ls_" + "é" * 40])
async def test_who_has_no_token_is_told_so_in_each_dialect(client: AppClient, token: str) -> None:
    if token.isascii() and token:
        assert await refusals(client, token, token) == REFUSED
    key = "0" * 32
    form = {"method": "track.love", "sk": key, "format": "json"}
    assert (await client.post(API, data=form)).json()["error"] == 9
    assert (await handshake(client, md5hex(token)))[0] == "BADAUTH"


@on_sqlite
async def test_a_token_that_may_only_read_scrobbles_nothing(client: AppClient) -> None:
    token = await make_token(client, "read")
    async with client.site.store.read() as db:
        (key,) = await owner.keys(db)
    assert await refusals(client, token, key.session) == REFUSED


async def test_what_was_handed_out_ends_with_the_token(client: AppClient, token: str) -> None:
    key = await session(client, token)
    await revokes(client)
    assert await refusals(client, token, key) == REFUSED
    again = await make_token(client)
    assert await session(client, again) != key


@on_sqlite
async def test_a_session_outlives_the_process(client: AppClient, token: str) -> None:
    """It is made of the token, and kept nowhere: two handshakes, or two protocols, get the same."""
    key = await session(client, token)
    assert await session(client, token) == key
    mobile = {"method": "auth.getMobileSession", "username": "Alice", "authToken": md5hex("Alice" + md5hex(token))}
    answer = await client.post(API + "?format=json", data=mobile)
    assert answer.json() == {"session": {"name": "Alice", "key": key, "subscriber": 0}}
    assert token not in key and owner.digest(token) not in key


@on_sqlite
@pytest.mark.parametrize("how", ["token as proof", "session of 1.2.1", "MD5 as password"])
async def test_the_other_ways_to_shake_hands(client: AppClient, token: str, how: str) -> None:
    key = await session(client, token)
    time = str(ago(client, 0))
    more = {
        "token as proof": {"a": token},
        "session of 1.2.1": {"p": "1.2.1", "api_key": "x", "sk": key, "a": md5hex("some secret" + time)},
        "MD5 as password": {"a": md5hex(md5hex(token) + time).upper()},
    }[how]
    assert (await handshake(client, "wrong", int(time), **more))[:2] == ["OK", key]


@on_sqlite
async def test_a_clock_that_is_wrong_is_told_to_who_may_know(client: AppClient, token: str) -> None:
    assert await handshake(client, md5hex(token), ago(client, 301)) == ["BADTIME", ""]
    assert await handshake(client, md5hex("wrong"), ago(client, 301)) == ["BADAUTH", ""]
    assert (await handshake(client, md5hex(token), p="1.1"))[0].startswith("FAILED")


@on_sqlite
async def test_the_addresses_of_a_handshake_are_those_of_the_settings(client: AppClient, token: str) -> None:
    base = f"{client.site.config.base_url}/scrobble"
    answer = await handshake(client, md5hex(token))
    assert answer == ["OK", answer[1], f"{base}/nowplaying/1.2/", f"{base}/submissions/1.2/", ""]


@pytest.fixture
def strangers(config: Config) -> Config:
    return config.model_copy(update={"allow_networks": Networks()})


@on_sqlite
async def test_who_guesses_is_slowed_down_and_who_knows_is_not(strangers: Config) -> None:
    app = create_app()
    async with running(app, strangers, background=False), AppClient(app, strangers.base_url) as client:
        token = await make_token(client)
        for _ in range(TRIES_A_MINUTE):
            assert (await submits(client, "wrong", listen(ago(client, 9)))).status_code == 401
        slowed = await submits(client, "wrong", listen(ago(client, 9)))
        assert slowed.status_code == 429 and slowed.json()["code"] == 429
        assert int(slowed.headers["x-ratelimit-reset-in"]) > 0 and int(slowed.headers["retry-after"]) > 0
        lastfm = await client.post(API, data={"method": "track.love", "sk": "wrong"})
        assert lastfm.status_code == 429 and '<error code="29">' in lastfm.text
        wrong = await client.get("/scrobble/", params={"hs": "true", "p": "1.2", "a": "x"})
        assert wrong.status_code == 429 and wrong.text.startswith("FAILED Too many tries")
        for dialect in DIALECTS:
            await scrobbles(client, dialect, token, ago(client, 60), "A", dialect)
        assert len(await found(client)) == 3


# -- ListenBrainz -----------------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize(
    "path",
    [
        SUBMIT, SUBMIT + "/", "/scrobble//1/submit-listens", "/scrobble/1/1/submit-listens", "/scrobble/submit-listens",
        "/scrobble", "/scrobble/", "/scrobble/1/", "/1/submit-listens", "/1/submit-listens/", "/1//submit-listens",
    ],
)  # fmt: skip
async def test_whatever_of_the_address_people_type_and_clients_add(client: AppClient, token: str, path: str) -> None:
    headers = {"Authorization": f"token {token}", "Content-Type": "text/plain"}
    answer = await client.post(path, content=document(listen(ago(client, 9))), headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert await titles(client) == ["Björk – Jóga"]


@on_sqlite
async def test_a_token_is_validated(client: AppClient, token: str) -> None:
    valid = {"code": 200, "message": "Token valid.", "valid": True, "user_name": "Mara"}
    headers = {"Authorization": f"Token {token}"}
    assert (await client.get("/scrobble/1/validate-token", headers=headers)).json() == valid
    assert (await client.get("/1/validate-token", params={"token": token})).json() == valid
    wrong = await client.get("/1/validate-token", params={"token": "x"})
    assert (wrong.status_code, wrong.json()) == (200, {"code": 200, "message": "Token invalid.", "valid": False})
    none = await client.get("/1/validate-token")
    assert (none.status_code, none.json()["code"]) == (400, 400)
    assert none.json()["error"] == "You need to provide an Authorization token."


@on_sqlite
async def test_what_listenbrainz_refuses_is_refused_in_json(client: AppClient, token: str) -> None:
    for answer, status in (
        (await client.post(SUBMIT, content=document(listen(5))), 401),
        (await submits(client, token, listen(None)), 400),
        (await submits(client, token, listen(ago(client, -7200))), 400),
        (await client.get(SUBMIT), 405),
        (await client.get("/1/stats/user/x/artists"), 404),
        (await client.post("/scrobble/1/feedback/recording-feedback"), 404),
        (await submits(client, token, "x" * 10_300_000, kind="import"), 413),
    ):
        assert (answer.status_code, answer.json()["code"]) == (status, status)
        assert answer.json()["error"] and answer.headers["content-type"] == "application/json"
    assert await found(client) == []


@on_sqlite
async def test_a_compressed_body_is_read_within_its_bounds(client: AppClient, token: str) -> None:
    headers = {"Authorization": f"Token {token}", "Content-Encoding": "gzip"}

    async def sends(body: bytes) -> int:
        return (await client.post(SUBMIT, content=body, headers=headers)).status_code

    assert await sends(gzip.compress(document(listen(ago(client, 9))))) == 200
    assert await titles(client) == ["Björk – Jóga"]
    assert await sends(b"no gzip") == 400
    assert await sends(gzip.compress(document(listen(ago(client, 9))))[:-20]) == 400
    assert await sends(gzip.compress(b" " * 50_000_000)) == 413


@on_sqlite
async def test_pages_and_extensions_of_other_sites_may_call(client: AppClient, token: str) -> None:
    asks = {"Origin": "chrome-extension://x", "Access-Control-Request-Method": "POST"}
    answer = await client.options(SUBMIT, headers=asks)
    assert answer.status_code == 204 and answer.headers["access-control-allow-origin"] == "*"
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    sent = await submits(client, token, listen(ago(client, 9)))
    assert sent.headers["access-control-allow-origin"] == "*"


@on_sqlite
async def test_listens_are_given_back_to_clients_that_look(client: AppClient, token: str) -> None:
    times = {"three": 60, "two": 120, "one": 180}
    await submits(client, token, *(listen(ago(client, at), "A", name) for name, at in times.items()), kind="import")

    async def back(**query: Any) -> list[str]:
        payload = (await client.get("/1/user/anybody/listens", params=query)).json()["payload"]
        assert payload["count"] == len(payload["listens"])
        return [one["track_metadata"]["track_name"] for one in payload["listens"]]

    assert await back() == ["three", "two", "one"]
    assert await back(count=1) == ["three"] and await back(count="0x1") == ["three", "two", "one"]
    assert await back(max_ts=ago(client, 90)) == ["two", "one"]
    assert await back(min_ts=ago(client, 150)) == ["three", "two"]
    assert await back(min_ts="é", count="9" * 50) == ["three", "two", "one"]
    assert (await client.get("/1/user/1/listen-count")).json() == {"payload": {"count": 3}}
    await shows_to(client.site, "listens", "private")
    assert await back() == []
    assert (await client.get("/1/user/x/listen-count")).json() == {"payload": {"count": 0}}


# -- Last.fm ----------------------------------------------------------------------------------


@on_sqlite
async def test_answers_are_xml_unless_json_is_wanted(client: AppClient, token: str) -> None:
    form = {"method": "auth.getMobileSession", "username": "alice", "password": token, "api_key": "x", "api_sig": "y"}
    answer = await client.post("/scrobble/2.0", data=form)
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    key = re.search(r"<key>([0-9a-f]{32})</key>", answer.text)
    assert key and '<lfm status="ok"><session><name>alice</name>' in answer.text
    answer = await client.post("/scrobble/2.0", params={"format": "json", "method": "track.love"}, data={"sk": key[1]})
    assert (answer.status_code, answer.json()) == (200, {})


@on_sqlite
async def test_a_token_may_be_typed_where_a_session_is_asked_for(client: AppClient, token: str) -> None:
    given = await client.post(API, data={"method": "auth.getSession", "token": token, "format": "json"})
    assert given.json()["session"]["key"] == await session(client, token)
    row = {"artist": "A", "track": "T", "timestamp": str(ago(client, 9)), "sk": token}
    await client.post(API, data={"method": "track.scrobble"} | row)
    assert await titles(client) == ["A – T"]


@on_sqlite
async def test_errors_of_lastfm_are_in_the_form_that_was_asked_for(client: AppClient, token: str) -> None:
    key = await session(client, token)
    for form, status, code in (
        ({"method": "auth.getToken"}, 400, 3), ({}, 400, 3), ({"method": "track.scrobble", "sk": key}, 400, 6),
        ({"method": "track.updateNowPlaying", "sk": key, "artist": "A"}, 400, 6), ({"method": "track.love"}, 403, 9),
        ({"method": "auth.getMobileSession", "password": "x"}, 403, 4),
        ({"method": "track.scrobble", "sk": key, "x": "y" * FORM_LIMIT}, 413, 6),
    ):  # fmt: skip
        xml = await client.post(API, data=form)
        assert xml.status_code == status and f'<lfm status="failed"><error code="{code}">' in xml.text
        answer = await client.post(API, params={"format": "json"}, data=form)
        assert (answer.status_code, answer.json()["error"]) == (status, code) and answer.json()["message"]


@on_sqlite
async def test_a_client_that_asks_who_it_is_is_told(client: AppClient, token: str) -> None:
    await submits(client, token, listen(ago(client, 9)))
    user = (await client.get(API, params={"method": "user.getInfo", "user": "alice", "format": "json"})).json()["user"]
    assert (user["name"], user["playcount"]) == ("alice", 1)
    user = (await client.get(API, params={"method": "user.getInfo", "format": "json"})).json()["user"]
    assert user["name"] == "Mara"


# -- whatever is sent -------------------------------------------------------------------------

ANYTHING = st.text(st.characters(codec="utf-8"), max_size=30)
NAMES = st.sampled_from(
    "hs p t a u s sk method artist[0] track[0] timestamp[0] a[0] t[0] i[0] l[0] format token password count".split()
)
PATHS = [
    "/scrobble", "/scrobble/", API, SUBMIT, "/scrobble/nowplaying/1.2/", "/scrobble/submissions/1.2/", "/1/",
    "/1/validate-token", "/1/user/x/listens", "/1/user/x/playing-now", "/scrobble/1/%00/%ff",
]  # fmt: skip


@on_sqlite
@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["GET", "POST", "HEAD"]),
    st.dictionaries(NAMES, ANYTHING, max_size=4),
    st.binary(max_size=60) | st.dictionaries(NAMES, ANYTHING).map(lambda form: urlencode(form).encode()),
    st.dictionaries(
        st.sampled_from(["authorization", "content-type", "content-encoding", "x-forwarded-for", "cookie"]),
        st.binary(max_size=20).filter(lambda value: not set(value) & set(b"\0\r\n")) | st.just(b"gzip"),
    ),
)
async def test_nothing_that_is_sent_breaks_anything(
    client: AppClient, path: str, method: str, query: dict[str, str], body: bytes, headers: dict[str, bytes]
) -> None:
    async with client.site.store.read() as db:
        keys = await owner.keys(db)
    key = keys[0].session if keys else await session(client, await make_token(client))
    for more in ({}, {"s": key, "sk": key, "method": "track.scrobble"}, {"method": "auth.getMobileSession"}):
        answer = await client.request(
            method,
            path,
            params=query | more,
            content=body,
            headers=[(name.encode(), at) for name, at in headers.items()],
        )
        assert answer.status_code < 500, answer.text
        assert "set-cookie" not in answer.headers
