"""Every adapter with what its forge sends: who is believed, and what is understood."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifestream import adapters
from lifestream.adapters import Adapter
from lifestream.clean.events import entry_of, identified
from lifestream.errors import InvalidInput
from lifestream.protocol.adapter import Call, Event, Ignored, Ping, Played, Playing, Stopped
from lifestream.protocol.ed25519 import verifies
from lifestream.protocol.forges import merged
from tests.hooks.deliveries import SAMPLES, SECRET, WRONGS, Sample, sample, samples

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOWHERE = Path("/nonexistent")
BUILT_IN = [
    "bitbucket", "forgejo", "generic", "gitea", "github", "gitlab", "gogs", "jellyfin", "plex", "sourcehut",
]  # fmt: skip
SIGN_NOTHING = ("gitlab", "jellyfin", "plex")
EXPECTED = dict(line.split("\t", 1) for line in (SAMPLES / "expected.tsv").read_text().splitlines())
everyone = pytest.mark.parametrize("one", samples(), ids=lambda one: one.name)


def adapter(name: str) -> Adapter:
    return adapters.find(name, NOWHERE)


def call(one: Sample, how: str = "right") -> Call:
    return Call(one.signed(how), one.body)


def told(one: Sample) -> str:
    """What an adapter understands, in one line."""
    by = adapter(one.adapter)
    match by.events(call(one), by.read(call(one))):
        case Ping():
            return "ping"
        case Ignored(why):
            return f"ignored: {why}"
        case Played(track, ago):
            return f"played {ago} seconds ago: {track.artist}, {track.title}, {track.album}, {track.seconds} s"
        case Playing(track):
            return f"playing: {track.artist}, {track.title}"
        case Stopped(track):
            return f"stopped: {track.artist}, {track.title}"
        case events:
            return " | ".join(
                " ".join([event.kind, event.change, "private" if event.private else "public", event.title])
                for event in events
            )


def test_the_adapters_are_found_by_name() -> None:
    assert adapters.names(NOWHERE) == BUILT_IN


@everyone
def test_a_right_signature_is_believed(one: Sample) -> None:
    assert adapter(one.adapter).doubt(call(one), [SECRET], NOW) == ""


@everyone
@pytest.mark.parametrize("how", WRONGS)
def test_any_other_is_not(one: Sample, how: str) -> None:
    assert adapter(one.adapter).doubt(call(one, how), [SECRET], NOW)


@pytest.mark.parametrize("one", [one for one in samples() if one.adapter not in SIGN_NOTHING], ids=lambda one: one.name)
def test_a_body_that_was_changed_is_not_believed_where_it_is_signed(one: Sample) -> None:
    changed = Call(one.headers, one.body[:-9] + b"x" + one.body[-8:])
    assert adapter(one.adapter).doubt(changed, [SECRET], NOW)


@everyone
def test_both_secrets_of_a_rotation_are_good_and_an_empty_one_never_is(one: Sample) -> None:
    by = adapter(one.adapter)
    assert by.doubt(call(one), ["fresh", SECRET], NOW) == by.doubt(call(one), [SECRET, "old"], NOW) == ""
    assert by.doubt(call(one), ["fresh"], NOW)
    assert by.doubt(call(one, "empty"), [""], NOW)


@everyone
def test_what_it_says_is_said_as_a_person_would(one: Sample) -> None:
    assert told(one) == EXPECTED[one.name.replace(".form", ".json")]


@everyone
def test_a_form_says_what_its_json_says(one: Sample) -> None:
    said = adapter(one.adapter).read(call(one))
    assert said == json.loads(sample(one.name.replace(".form", ".json")).body)


def test_commits_are_kept_with_their_addresses() -> None:
    one = sample("gogs/push.json")
    (event,) = adapter("gogs").events(call(one), json.loads(one.body))  # type: ignore[misc]
    entry = entry_of(event)
    assert entry.data["repository"] == "unknwon/webhooks" and entry.data["branch"] == "develop"
    assert entry.data["compare_url"].endswith("/compare/28e1879d029cb852e4844d9c718537df08844e03...bffeb74224043ba2feb48d137756c8a9331c449a")  # fmt: skip  # noqa: E501
    (commit,) = entry.data["commits"]
    assert commit["message"] == "Add new feature" and commit["author"] == "Unknwon"
    assert commit["url"].endswith(commit["id"])


def test_a_push_that_follows_another_becomes_one_with_it() -> None:
    first, second = (pushed(commits) for commits in (("aa", "bb"), ("bb", "cc")))
    both = merged(first.data, second)
    assert both is not None and both.title == "Pushed 3 commits to boat"
    assert [one["id"] for one in both.data["commits"]] == ["aa", "bb", "cc"]
    assert merged(both.data, second) is None


def pushed(ids: tuple[str, ...]) -> Event:
    payload = {
        "ref": "refs/heads/main", "before": "0" * 39 + "1", "after": ids[-1], "repository": {"full_name": "mara/boat"},
        "commits": [{"id": one, "message": f"Commit {one}\n\nat length"} for one in ids],
    }  # fmt: skip
    (event,) = adapter("github").events(Call({"x-github-event": "push"}, b""), payload)  # type: ignore[misc]
    return event


def test_the_names_of_a_strange_address_and_of_markup_come_to_nothing() -> None:
    event = Event("k", "<b>Hi</b>\0\ud800", url="javascript:alert(1)", text="<script>x</script> & more",
                  data={"compare_url": "javascript:1", "branch": "a\nb", "number": 2**70})  # fmt: skip
    entry = entry_of(event)
    assert entry.title == "<b>Hi</b>?" and entry.url is None
    assert "<script" not in entry.content_html and "more" in entry.content_html
    assert entry.data == {"compare_url": "", "branch": "a b", "number": None}


# -- ways of proving oneself ------------------------------------------------------------------


def standard(body: bytes, secret: str, at: datetime, id: str = "msg_1") -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    stamp = str(int(at.timestamp()))
    digest = hmac.new(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,AAAA v1,{base64.b64encode(digest).decode()} v1a,BBBB"
    return {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": signature}


WHSEC = "whsec_" + base64.b64encode(b"a key of twenty-four b..").decode()


@pytest.mark.parametrize("name", ["generic", "gitlab"])
def test_standard_webhooks_are_believed_within_five_minutes(name: str) -> None:
    by = adapter(name)
    right = Call(standard(b"{}", WHSEC, NOW), b"{}")
    assert by.doubt(right, [WHSEC], NOW) == "" == by.doubt(right, [WHSEC], NOW + timedelta(minutes=5))
    for late in (timedelta(minutes=-6), timedelta(minutes=6)):
        assert "five minutes" in by.doubt(right, [WHSEC], NOW + late)
    assert by.doubt(Call(right.headers, b"[]"), [WHSEC], NOW)
    assert by.doubt(Call(dict(right.headers) | {"webhook-id": "msg_2"}, b"{}"), [WHSEC], NOW)
    assert by.doubt(Call(dict(right.headers) | {"webhook-timestamp": "²"}, b"{}"), [WHSEC], NOW)


def test_who_has_given_gitlab_a_key_does_not_take_a_token_for_it() -> None:
    assert adapter("gitlab").doubt(Call({"x-gitlab-token": WHSEC}, b"{}"), [WHSEC], NOW)


def test_old_gogs_has_the_secret_in_its_json() -> None:
    by = adapter("gogs")
    assert by.doubt(Call({}, b'{"secret": "s3cret"}'), ["s3cret"], NOW) == ""
    for body in (b'{"secret": "other"}', b'{"secret": ""}', b"{}", b"[]", b"no"):
        assert by.doubt(Call({}, body), ["s3cret"], NOW)
    assert by.doubt(Call({"x-gogs-signature": ""}, b'{"secret": "s3cret"}'), ["s3cret"], NOW)


@pytest.mark.parametrize(
    ("headers", "query"),
    [({"authorization": "Bearer s3cret"}, {}), ({}, {"token": "s3cret"})],
)
def test_who_cannot_sign_says_a_token(headers: dict[str, str], query: dict[str, str]) -> None:
    by = adapter("generic")
    assert by.doubt(Call(headers, b"{}", query), ["s3cret"], NOW) == ""
    assert by.doubt(Call(headers, b"{}", query), ["another"], NOW)
    assert by.doubt(Call({"authorization": "Bearer "}, b"{}", {"token": ""}), ["s3cret"], NOW)


def test_sourcehut_needs_the_token_and_the_instances_signature() -> None:
    by = adapter("sourcehut")
    key, body, signature = SIGNED
    secret = "s3cret:" + base64.b64encode(key).decode()
    headers = {"x-payload-signature": base64.b64encode(signature).decode(), "x-payload-nonce": body[-1:].decode()}
    right = Call(headers, body[:-1], {"token": secret})
    assert by.doubt(right, [secret], NOW) == ""
    assert by.doubt(Call(headers, body[:-1], {"token": "other"}), [secret], NOW)
    assert by.doubt(Call(headers, b"x", {"token": secret}), [secret], NOW)
    assert by.doubt(Call({}, body[:-1], {"token": secret}), [secret], NOW)
    assert by.doubt(right, ["s3cret"], NOW), "signed by another instance"


def test_sourcehut_tells_of_pushes() -> None:
    new = {"id": "ab" * 20, "message": "Mend the net\n", "author": {"name": "Mara"}}
    repository = {"name": "boat", "visibility": "UNLISTED", "owner": {"canonicalName": "~mara"}}
    update = {"ref": {"name": "refs/heads/main"}, "old": {"id": "cd" * 20}, "new": new}
    payload = {"data": {"webhook": {"repository": repository, "updates": [update]}}}
    (event,) = adapter("sourcehut").events(Call({}, b""), payload)  # type: ignore[misc]
    assert (event.title, event.private) == ("Pushed 1 commit to boat", True)
    assert event.data["commits"][0]["url"] == f"https://git.sr.ht/~mara/boat/commit/{'ab' * 20}"


# RFC 8032, section 7.1, tests 1 to 3.
VECTORS = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
]  # fmt: skip
SIGNED = (bytes.fromhex(VECTORS[1][0]), bytes.fromhex(VECTORS[1][1]), bytes.fromhex(VECTORS[1][2]))


@pytest.mark.parametrize("vector", VECTORS, ids=["empty", "one byte", "two bytes"])
def test_ed25519_is_verified_as_the_rfc_has_it(vector: tuple[str, str, str]) -> None:
    key, message, signature = (bytes.fromhex(one) for one in vector)
    assert verifies(key, message, signature)
    assert not verifies(key, message + b"x", signature)
    for place in (0, 31, 32, 63):
        assert not verifies(key, message, signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :])


@given(st.binary(max_size=40), st.binary(max_size=10), st.binary(max_size=70))
@settings(max_examples=50, deadline=None)
def test_ed25519_never_raises(key: bytes, message: bytes, signature: bytes) -> None:
    for tried in (key, key.ljust(32, b"\0")[:32]):
        assert verifies(tried, message, signature.ljust(64, b"\0")[:64]) in (True, False)


# -- whatever is sent ---------------------------------------------------------------------------


def keys_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


KEYS = sorted({key for one in samples() if one.name.endswith(".json") for key in keys_of(json.loads(one.body))})
EVENTS = ["push", "create", "release", "issues", "pull_request", "star", "fork", "gollum", "wiki", "Push Hook",
          "repo:push", "repo:refs_changed", "pr:merged", "issue:created"]  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9) | st.just("0" * 40)
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
)


@st.composite
def bent(draw: st.DrawFn) -> tuple[Sample, Any]:
    """A sample with something else in a few of its places."""
    one = draw(st.sampled_from([one for one in samples() if one.name.endswith(".json")]))
    payload = json.loads(one.body)
    for _ in range(draw(st.integers(0, 4))):
        at: Any = payload
        while isinstance(at, dict) and at:
            key = draw(st.sampled_from(sorted(at)))
            if draw(st.booleans()):
                at[key] = draw(VALUES)
                break
            at = at[key]
    return one, payload


@given(bent(), st.sampled_from(EVENTS))
@settings(max_examples=200, deadline=None)
def test_no_payload_breaks_an_adapter(bent: tuple[Sample, Any], event: str) -> None:
    one, payload = bent
    for headers in (
        one.headers,
        {name: event if name.endswith("-event") else value for name, value in one.headers.items()},
    ):
        said = adapter(one.adapter).events(Call(headers, b""), payload)
        for found in said if isinstance(said, list) else ():
            assert identified(found, entry_of(found), "identity").digest


@given(
    st.sampled_from(BUILT_IN),
    st.dictionaries(
        st.sampled_from(["content-type", "authorization", "webhook-id", "webhook-timestamp", "webhook-signature",
                         "x-payload-signature", "x-payload-nonce", "x-hub-signature", "x-hub-signature-256",
                         "x-gogs-signature", "x-gitea-signature", "x-forgejo-signature", "x-gitlab-token"]),
        st.text(max_size=40) | st.sampled_from(["application/x-www-form-urlencoded", "Bearer é", "v1,é", "sha256=é"]),
    ),
    st.binary(max_size=60) | st.text(max_size=40).map(lambda text: f"payload={text}".encode("utf-8", "replace")),
    st.text(max_size=20),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_nothing_that_is_sent_makes_a_check_raise(name: str, headers: dict[str, str], body: bytes, token: str) -> None:
    by = adapter(name)
    asked = Call(headers, body, {"token": token})
    assert by.doubt(asked, ["a secret that nobody knows", WHSEC], NOW)
    try:
        by.events(asked, by.read(asked))
    except InvalidInput:
        pass


# -- the owner's own ----------------------------------------------------------------------------

OWN = """
from lifestream.protocol.adapter import Event, text
def doubt(call, secrets, now):
    return "" if call.header("x-bell") in secrets else "it does not ring"
def events(call, payload):
    return [Event("", text(payload, "who") + " is at the door", kind="event")]
"""


def test_the_owners_own_adapter_is_a_file_in_the_data_folder(tmp_path: Path) -> None:
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "doorbell.py").write_text(OWN)
    by = adapters.find("doorbell", tmp_path)
    assert by.doubt(Call({"x-bell": "ding"}, b""), ["ding"], NOW) == ""
    (event,) = by.events(Call({}, b""), {"who": "Ines"})  # type: ignore[misc]
    assert event.title == "Ines is at the door"
    assert "doorbell" in adapters.names(tmp_path)


def test_the_adapter_in_the_document_works_as_it_is_written_there(tmp_path: Path) -> None:
    document = Path(__file__).parents[2] / "docs" / "write-an-adapter.md"
    _, _, rest = document.read_text().partition("```python\n")
    words, _, _ = rest.partition("```")
    assert len(words.splitlines()) < 40
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "doorbell.py").write_text(words)
    by = adapters.find("doorbell", tmp_path)
    body = b'{"what": "rang", "who": "Ines", "id": 7}'
    signature = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert by.doubt(Call({"x-bell-signature": signature}, body), ["s3cret"], NOW) == ""
    assert by.doubt(Call({"x-bell-signature": ""}, body), ["s3cret"], NOW)
    assert by.events(Call({}, body), json.loads(body)) == [Event("7", "Ines is at the door", kind="event")]
    assert by.events(Call({}, b""), {"what": "test"}) == Ping()
    assert isinstance(by.events(Call({}, b""), []), Ignored)
    assert by.delivery == ("x-bell-id",)


@pytest.mark.parametrize("words", ["def doubt(:", "doubt = 1", "import nothing_of_this_name", "1 / 0"])
def test_an_adapter_that_cannot_be_loaded_is_said_in_one_sentence(tmp_path: Path, words: str) -> None:
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "broken.py").write_text(words)
    with pytest.raises(InvalidInput, match="cannot be loaded"):
        adapters.find("broken", tmp_path)


@pytest.mark.parametrize("name", ["", "nothing", "../app", "README", "senders/publish"])
def test_what_is_no_adapter_is_not_looked_for(name: str) -> None:
    with pytest.raises(InvalidInput, match="there are bitbucket, forgejo"):
        adapters.find(name, NOWHERE)
