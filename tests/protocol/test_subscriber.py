"""Our side at hubs: what is asked, confirmed and believed."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.protocol.signatures import sign
from lifestream.protocol.subscriber import (
    LEASE_ASKED,
    LEASE_LONGEST,
    LEASE_SHORTEST,
    Accepted,
    Confirm,
    Denied,
    Expected,
    Hint,
    Ignore,
    Redirect,
    Refuse,
    Refused,
    Use,
    answer_verification,
    clamp_lease,
    judge_notification,
    judge_response,
    renew_at,
    retry_at,
    subscribe_form,
    unsubscribe_form,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
TOPIC = "https://blog.example/feed?h=1&x=%C3%A9"
CALLBACK = "https://stream.example/push/token"
HUB = "https://hub.example/hub"
WANTED = Expected(TOPIC, wanted=True)
LEFT = Expected(TOPIC, wanted=False)


# -- asking -----------------------------------------------------------------------------------


def test_subscribing_asks_with_a_lease_and_a_secret():
    assert dict(subscribe_form(TOPIC, CALLBACK, "s3cret")) == {
        "hub.mode": "subscribe",
        "hub.topic": TOPIC,
        "hub.callback": CALLBACK,
        "hub.lease_seconds": "864000",
        "hub.secret": "s3cret",
    }


def test_a_hub_that_refused_is_asked_the_old_way():
    assert ("hub.verify", "async") in subscribe_form(TOPIC, CALLBACK, "s3cret", old_hub=True)


def test_leaving_asks_with_neither():
    assert dict(unsubscribe_form(TOPIC, CALLBACK)) == {
        "hub.mode": "unsubscribe",
        "hub.topic": TOPIC,
        "hub.callback": CALLBACK,
    }


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_hub_accepts_in_several_ways(status):
    assert judge_response(status, hub_url=HUB) == Accepted()


@pytest.mark.parametrize("status", [301, 302, 307, 308])  # the W3C suite's tests 203 and 204, and older hubs
@pytest.mark.parametrize(
    ("location", "url"),
    [("https://other.example/hub", "https://other.example/hub"), ("/v2", "https://hub.example/v2")],
)
def test_a_hub_sends_elsewhere(status, location, url):
    assert judge_response(status, hub_url=HUB, location=location) == Redirect(url)


@pytest.mark.parametrize("location", ["", "ftp://other.example/", "https://[broken"])
def test_a_redirect_to_nowhere_is_a_refusal(location):
    assert judge_response(307, hub_url=HUB, location=location) == Refused("The hub answered 307.")


def test_a_refusal_says_why_and_when_to_come_back():
    assert judge_response(422, hub_url=HUB, reason="topic should\nbe X") == Refused(
        "The hub answered 422: topic should be X"
    )
    assert judge_response(503, hub_url=HUB, retry_after=120) == Refused("The hub answered 503.", 120)
    assert judge_response(429, hub_url=HUB, retry_after=5) == Refused("The hub answered 429.", 5)
    assert judge_response(400, hub_url=HUB, retry_after=5) == Refused("The hub answered 400.")


def test_a_hub_that_does_not_answer_is_asked_ever_more_seldom():
    waits = [retry_at(attempts, NOW, 0.5) - NOW for attempts in range(30)]
    assert waits == sorted(waits)
    assert (waits[0], waits[1], waits[2], waits[-1]) == (MINUTE / 2, MINUTE / 2, 2 * MINUTE, DAY)
    assert retry_at(2, NOW, 0.0) < retry_at(2, NOW, 1.0)


# -- being verified ---------------------------------------------------------------------------


def answer(expected, raw=None, /, **hub):
    """What we say to a verification with these hub.* parameters."""
    raw = raw if raw is not None else urlencode({f"hub.{name}": value for name, value in hub.items()})
    return answer_verification(parse_qsl(raw, keep_blank_values=True), raw, expected)


def test_a_wanted_subscription_is_confirmed_with_the_challenge_and_its_lease():
    said = answer(WANTED, mode="subscribe", topic=TOPIC, challenge="c&=/+%", lease_seconds="86400")
    assert said == Confirm("c&=/+%", "subscribe", 86400)


def test_leaving_is_confirmed_once_it_is_not_wanted_any_more():
    said = answer(LEFT, mode="unsubscribe", topic=TOPIC, challenge="c", lease_seconds="86400")
    assert said == Confirm("c", "unsubscribe")
    assert answer(None, mode="unsubscribe", topic=TOPIC, challenge="c") == Confirm("c", "unsubscribe")


@pytest.mark.parametrize(
    ("expected", "mode"),
    [(None, "subscribe"), (LEFT, "subscribe"), (WANTED, "unsubscribe"), (LEFT, "denied"), (None, "denied")],
)
def test_what_nobody_asked_for_is_refused(expected, mode):
    assert isinstance(answer(expected, mode=mode, topic=TOPIC, challenge="c"), Refuse)


@pytest.mark.parametrize("expected", [WANTED, LEFT])
@pytest.mark.parametrize("mode", ["subscribe", "unsubscribe", "denied"])
@pytest.mark.parametrize("topic", [TOPIC + "?invalid", TOPIC[:-1], "http" + TOPIC[5:], "", TOPIC.upper()])
def test_another_topic_is_refused(expected, mode, topic):  # the W3C suite's test 205
    assert isinstance(answer(expected, mode=mode, topic=topic, challenge="c"), Refuse)


def test_a_topic_that_a_hub_did_not_encode_is_understood():  # Webubbub
    raw = f"hub.mode=subscribe&hub.topic={TOPIC}&hub.challenge=c&hub.lease_seconds=5"
    assert answer(WANTED, raw) == Confirm("c", "subscribe", 5)
    assert answer(WANTED, f"hub.mode=subscribe&hub.challenge=c&hub.topic={TOPIC}") == Confirm("c", "subscribe")


@pytest.mark.parametrize("topic", [TOPIC + "x", TOPIC + "?invalid", TOPIC[:-1], "x" + TOPIC])
def test_another_topic_is_refused_unencoded_too(topic):
    assert isinstance(answer(WANTED, f"hub.mode=subscribe&hub.topic={topic}&hub.challenge=c"), Refuse)
    assert isinstance(answer(WANTED, f"hub.mode=subscribe&nothub.topic={TOPIC}&hub.challenge=c"), Refuse)


@pytest.mark.parametrize("challenge", ["", "a b", "a\nb", "café", "x" * 513, "<script>\x00"])
def test_a_challenge_that_is_not_plain_is_not_echoed(challenge):
    assert isinstance(answer(WANTED, mode="subscribe", topic=TOPIC, challenge=challenge), Refuse)


@pytest.mark.parametrize("mode", ["", "Subscribe", "publish", "list"])
def test_an_unknown_mode_is_refused(mode):
    assert isinstance(answer(WANTED, mode=mode, topic=TOPIC, challenge="c"), Refuse)
    assert isinstance(answer(WANTED, topic=TOPIC, challenge="c"), Refuse)


@pytest.mark.parametrize(
    ("lease", "seconds"),
    [("60", 60), (" 60 ", 60), ("", None), ("-1", None), ("1e9", None), ("٣", None), ("9" * 5000, None)],
)
def test_a_lease_is_taken_as_granted_if_it_is_a_number(lease, seconds):
    said = answer(WANTED, mode="subscribe", topic=TOPIC, challenge="c", lease_seconds=lease)
    assert said == Confirm("c", "subscribe", seconds)


def test_of_two_challenges_the_first_counts():
    raw = urlencode([("hub.mode", "subscribe"), ("hub.topic", TOPIC), ("hub.challenge", "1"), ("hub.challenge", "2")])
    assert answer(WANTED, raw) == Confirm("1", "subscribe")


def test_a_denial_carries_its_reason_in_one_line():
    said = answer(WANTED, mode="denied", topic=TOPIC, reason="Restricted\r\n\x1b[1m topic" + "!" * 999)
    assert isinstance(said, Denied)
    assert said.reason.startswith("Restricted [1m topic!!!")
    assert len(said.reason) == 200
    assert answer(WANTED, mode="denied", topic=TOPIC) == Denied("")


@given(st.lists(st.tuples(st.text(), st.text())), st.text())
def test_no_verification_breaks_the_judgement(params, raw):
    assert isinstance(answer_verification(params, raw, WANTED), Refuse)


# -- leases -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("granted", "lease"),
    [
        (None, LEASE_ASKED), (0, LEASE_ASKED), (-5, LEASE_ASKED), (1, LEASE_SHORTEST), (300, LEASE_SHORTEST),
        (301, timedelta(seconds=301)), (86400, DAY), (608400, timedelta(seconds=608400)),
        (31 * 86400, LEASE_LONGEST), (10**18, LEASE_LONGEST),
    ],
)  # fmt: skip
def test_a_lease_is_believed_within_bounds(granted, lease):
    assert clamp_lease(granted) == lease


@given(st.one_of(st.none(), st.integers()), st.floats(0, 1))
def test_a_lease_is_renewed_well_before_it_ends(granted, jitter):
    lease = clamp_lease(granted)
    renewal = renew_at(NOW, lease, jitter) - NOW
    assert renewal >= LEASE_SHORTEST
    assert lease * 0.7 - MINUTE / 60 <= renewal
    assert renewal <= max(lease * 0.8 + MINUTE / 60, LEASE_SHORTEST)


def test_a_lease_of_ten_days_is_renewed_after_seven_and_a_half():
    assert renew_at(NOW, 10 * DAY, 0.5) == NOW + 7.5 * DAY


# -- being pushed to --------------------------------------------------------------------------

BODY = b"<feed/>"
SECRET = "s3cret"
RIGHT = sign(BODY, SECRET)


@pytest.mark.parametrize("state", ["pending", "active", "denied"])
def test_a_push_that_is_signed_right_is_used(state):
    assert judge_notification(RIGHT, BODY, SECRET, state) == Use()
    assert judge_notification(sign(BODY, SECRET, "sha1"), BODY, SECRET, state) == Use()


def test_a_wrong_signature_is_answered_like_a_right_one_and_changes_nothing():  # the W3C suite's test 301
    said = judge_notification(RIGHT + "1234", BODY, SECRET, "active")
    assert said == Ignore("the signature is wrong")
    assert said.status == Use().status


def test_a_missing_signature_is_refused_and_worth_a_look():  # the W3C suite's test 302
    assert judge_notification(None, BODY, SECRET, "active") == Hint("the signature is missing", status=403)


def test_without_a_secret_a_push_is_only_a_hint():
    assert judge_notification(None, BODY, "", "active") == Hint("no secret was agreed")
    assert judge_notification(RIGHT, BODY, "", "active").status == 202


def test_an_empty_push_is_only_a_hint():
    assert judge_notification(sign(b"", SECRET), b"", SECRET, "active") == Hint("the body is empty")
    assert isinstance(judge_notification(RIGHT, b"", SECRET, "active"), Ignore)


@pytest.mark.parametrize("state", ["leaving", "ended"])
def test_a_push_for_what_was_left_is_told_so(state):
    assert judge_notification(RIGHT, BODY, SECRET, state) == Ignore("no longer subscribed", status=410)
