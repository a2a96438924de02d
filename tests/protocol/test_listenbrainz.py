"""ListenBrainz's submit-listens: what is taken, what is refused and in which words."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.protocol import listenbrainz as rules
from lifestream.protocol.listenbrainz import Listens, Playing, Refused, submitted
from lifestream.protocol.listens import Listen, Track
from lifestream.types import Entry, SourceName, Stored

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
AT = int(NOW.timestamp()) - 60
MBID = "98255a8c-017a-4bc7-8dd6-1fa36124572b"


def listen(info: Any = None, at: Any = AT, **metadata: Any) -> dict[str, Any]:
    said = {"artist_name": "A", "track_name": "T"} | metadata | ({} if info is None else {"additional_info": info})
    return {"listened_at": at, "track_metadata": {name: value for name, value in said.items() if value is not ...}}


def send(*payload: Any, kind: str = "single") -> Playing | Listens | Refused:
    return submitted(json.dumps({"listen_type": kind, "payload": list(payload)}).encode(), NOW)


def taken(*payload: Any, kind: str = "single") -> list[Listen]:
    outcome = send(*payload, kind=kind)
    assert isinstance(outcome, Listens), outcome
    return list(outcome.listens)


def why(*payload: Any, kind: str = "single") -> str:
    outcome = send(*payload, kind=kind)
    assert isinstance(outcome, Refused), outcome
    return outcome.reason


# -- what is taken ----------------------------------------------------------------------------


def test_a_listen_with_all_that_clients_know() -> None:
    info = {
        "duration_ms": 214_400, "origin_url": "https://music.example/t", "recording_mbid": MBID, "release_mbid": MBID,
        "artist_mbids": [MBID], "tags": ["ice", "ice"], "media_player": "Rhythmbox", "tracknumber": 2,
    }  # fmt: skip
    (one,) = taken(listen(info, release_name="Ágætis byrjun"))
    assert one.at == NOW - timedelta(minutes=1)
    assert one.track == Track(
        "A", "T", "Ágætis byrjun", 214, "https://music.example/t", ("ice",),
        {"recording_mbid": MBID, "release_mbid": MBID, "artist_mbids": [MBID]},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("info", "url"),
    [
        ({"spotify_id": "https://open.spotify.com/track/1"}, "https://open.spotify.com/track/1"),
        ({"origin_url": "https://a.example/", "spotify_id": "https://open.spotify.com/track/1"}, "https://a.example/"),
        ({"origin_url": "javascript:alert(1)"}, ""),
        ({"origin_url": "file:///music", "spotify_id": "1rrgWMX"}, ""),
        ({"origin_url": 5}, ""),
    ],
)
def test_only_web_addresses_become_links(info: dict[str, Any], url: str) -> None:
    assert taken(listen(info))[0].track.url == url


def test_what_plays_now_has_no_time() -> None:
    metadata = {"track_metadata": {"artist_name": "A", "track_name": "T", "additional_info": {"duration": 34}}}
    assert send(metadata, kind="playing_now") == Playing(Track("A", "T", seconds=34))
    assert "must not contain listened_at" in why(metadata | {"listened_at": AT}, kind="playing_now")


def test_times_may_be_text_and_an_hour_ahead() -> None:
    assert taken(listen(at=str(AT)))[0].at == NOW - timedelta(minutes=1)
    assert taken(listen(at=AT + 60 + 3600))
    assert why(listen(at=AT + 60 + 3601)) == "Value for key listened_at is too high."


def test_of_an_import_the_good_ones_are_taken() -> None:
    one, two = taken(listen(track_name="one"), listen(track_name=""), "x", listen(track_name="two"), kind="import")
    assert (one.track.title, two.track.title) == ("one", "two")


def test_an_import_without_a_good_one_is_refused_for_the_first() -> None:
    assert "track_name is empty" in why(listen(track_name=""), listen(at=0), kind="import")


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "Cannot parse"), (b"{", "Cannot parse"), (b"\xff", "Cannot parse"), (b"[" * 5000, "Cannot parse"),
        (b"[]", "json object"), (b"5", "json object"),
        (b"{}", "listen_type"), (b'{"listen_type":"listen","payload":[]}', "listen_type"),
        (b'{"listen_type":["single"],"payload":[]}', "listen_type"),
        (b'{"listen_type":"single"}', "list of listens"), (b'{"listen_type":"single","payload":{}}', "list of listens"),
        (b'{"listen_type":"single","payload":[]}', "not contain any listens"),
    ],
)  # fmt: skip
def test_a_document_that_is_none(body: bytes, words: str) -> None:
    outcome = submitted(body, NOW)
    assert isinstance(outcome, Refused) and words in outcome.reason


@pytest.mark.parametrize("kind", ["single", "playing_now"])
def test_two_listens_are_an_import(kind: str) -> None:
    assert "too many listens" in why(listen(), listen(), kind=kind)


def test_an_import_has_its_bounds() -> None:
    assert "Too many listens" in why(*[listen()] * 1001, kind="import")
    assert len(taken(*[listen()] * 1000, kind="import")) == 1000


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"track_metadata": {"artist_name": "A", "track_name": "T"}}, "must contain the key listened_at"),
        (listen(at="noon"), "int value for listened_at"), (listen(at=None), "int value for listened_at"),
        (listen(at=10**30), "int value for listened_at"), (listen(at=1_033_410_599), "too low"),
        (listen() | {"user": "x"}, "may only contain listened_at and track_metadata"),
        ({"listened_at": AT}, "required track_metadata"), ({"listened_at": AT, "track_metadata": []}, "track_metadata"),
        (listen(artist_name=...), "required track_metadata.artist_name"),
        (listen(artist_name=" "), "artist_name is empty"), (listen(artist_name=["A"]), "artist_name must be a single"),
        (listen(track_name="a\0b"), "null character"), (listen(release_name="\0"), "null character"),
        (listen([5]), "additional_info"), (listen({"duration": 1, "duration_ms": 1}), "both"),
        (listen({"duration": 0}), "duration"), (listen({"duration": "long"}), "duration"),
        (listen({"duration_ms": 24 * 86_400_000 + 1}), "duration_ms"),
        (listen({"tags": ["x"] * 51}), "more than 50"), (listen({"tags": ["x" * 65]}), "longer than 64"),
        (listen({"tags": "rock"}), "list of strings"), (listen({"tags": [5]}), "list of strings"),
        (listen({"recording_mbid": "x"}), "recording_mbid MBID"), (listen({"artist_mbids": [MBID, 5]}), "artist_mbids"),
        (listen({"release_group_mbid": [MBID]}), "release_group_mbid"), (listen({"notes": "x" * 10_240}), "too large"),
        ("listen", "json object"), (None, "json object"),
    ],
)  # fmt: skip
def test_a_listen_that_is_refused(bad: Any, words: str) -> None:
    assert words in why(bad)


def test_a_listen_nested_beyond_sense_is_refused() -> None:
    deep = b'{"listen_type":"single","payload":[{"listened_at":%d,"track_metadata":%b1%b}]}'
    outcome = submitted(deep % (AT, b'{"a":' * 600, b"}" * 600), NOW)
    assert isinstance(outcome, Refused)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("artist_name", "track_name", "release_name", "additional_info")
INFO = ("duration", "duration_ms", "tags", "recording_mbid", "artist_mbids", "origin_url", "spotify_id")


@given(
    st.sampled_from(rules.LISTEN_TYPES),
    JSON,
    st.dictionaries(st.sampled_from(KEYS), JSON),
    st.dictionaries(st.sampled_from(INFO), JSON),
)
def test_no_document_raises(kind: str, at: Any, metadata: dict[str, Any], info: dict[str, Any]) -> None:
    send(listen(info, at=at, **metadata), kind=kind)
    send(listen(info, **{"additional_info": info}), kind=kind)
    send(at, kind=kind)


@given(st.binary())
def test_no_body_raises(body: bytes) -> None:
    assert isinstance(submitted(body, NOW), Refused)


# -- answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "token"), [("Token ls_x", "ls_x"), ("token  ls_x ", "ls_x"), ("ls_x", ""), ("", ""), ("Token", "")]
)
def test_a_token_is_what_stands_after_its_kind(header: str, token: str) -> None:
    assert rules.token_of(header) == token


def test_listens_are_given_back_as_they_were_sent() -> None:
    data = {"artist": "A", "track": "T", "album": "", "duration": 34, "recording_mbid": MBID}
    entry = Entry(kind="listen", published=NOW, data=data)
    stored = Stored("id1", 1, 1, SourceName("listens", "Listens", ""), entry, NOW, NOW)
    payload = json.loads(rules.listens("Mara", [stored]))["payload"]
    (one,) = payload.pop("listens")
    assert payload == {"count": 1, "latest_listen_ts": AT + 60, "oldest_listen_ts": AT + 60, "user_id": "Mara"}
    assert one["track_metadata"] == {
        "artist_name": "A", "track_name": "T", "additional_info": {"recording_mbid": MBID, "duration": 34},
    }  # fmt: skip
    assert (one["listened_at"], one["user_name"]) == (AT + 60, "Mara")
