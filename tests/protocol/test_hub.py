"""The built-in hub: requests as they come, verification, deliveries, addresses."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.protocol.hub import (
    Delivered,
    Ended,
    Failed,
    Invalid,
    Publish,
    Subscribe,
    TopicRule,
    Unsubscribe,
    address_key,
    clamp_lease,
    delivery_headers,
    denial_url,
    judge_delivery,
    parse_request,
    retry_at,
    same_address,
    verification_url,
    verified,
)
from lifestream.protocol.links import parse_link_header
from lifestream.protocol.signatures import check_hub_signature

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TOPIC = "https://stream.example/feed.atom"
CALLBACK = "https://reader.example/cb?foo=bar&red=fish"
FEED = "https://blog.example/feed.xml"


def ask(mode="subscribe", *more, topic=TOPIC, callback=CALLBACK, **hub):
    params = [("hub.mode", mode), ("hub.topic", topic), ("hub.callback", callback)]
    return parse_request([*params, *((f"hub.{name}", value) for name, value in hub.items()), *more])


def publish(*params):
    return parse_request([("hub.mode", "publish"), *params])


# -- subscribing ------------------------------------------------------------------------------


def test_a_plain_request_subscribes():
    assert ask() == Subscribe(TOPIC, CALLBACK)
    assert ask(lease_seconds="7200", secret="x" * 20) == Subscribe(TOPIC, CALLBACK, 7200, "x" * 20)
    assert ask().algorithm == "sha256"


def test_unknown_parameters_are_ignored():  # the W3C suite's test 102
    assert ask("subscribe", ("foo", "bar"), ("hub.foo", "hub.bar"), ("", "")) == Subscribe(TOPIC, CALLBACK)


def test_leaving_needs_neither_lease_nor_secret():
    assert ask("unsubscribe", lease_seconds="for ever", secret="x" * 500) == Unsubscribe(TOPIC, CALLBACK)


@pytest.mark.parametrize("lease", ["", "  "])
def test_an_empty_lease_is_as_good_as_none(lease):  # PubSubHubbub 0.3
    assert ask(lease_seconds=lease).lease_seconds is None


@pytest.mark.parametrize("lease", ["for ever", "-1", "1.5", "0x10", "1e3", "٣", "²", "10 days"])
def test_a_lease_that_is_no_number_is_invalid(lease):
    assert ask(lease_seconds=lease) == Invalid("hub.lease_seconds must be a whole number of seconds.")


@pytest.mark.parametrize(
    ("asked", "granted"),
    [(None, 864_000), (0, 300), (1, 300), (300, 300), (7200, 7200), (2_592_000, 2_592_000), (10**17, 2_592_000)],
)
def test_a_lease_is_granted_within_bounds(asked, granted):
    assert clamp_lease(asked) == granted


def test_an_endless_lease_is_cut_and_not_an_error():
    assert clamp_lease(ask(lease_seconds="9" * 5000).lease_seconds) == 2_592_000


@pytest.mark.parametrize(
    ("secret", "fits"), [("x" * 199, True), ("x" * 200, False), ("é" * 99, True), ("é" * 100, False), ("a\0b", False)]
)
def test_a_secret_is_shorter_than_200_bytes(secret, fits):
    assert isinstance(ask(secret=secret), Subscribe if fits else Invalid)


@pytest.mark.parametrize(
    "callback",
    [
        "ftp://reader.example/cb", "reader.example/cb", "https://", "javascript:alert(1)", "https://reader.example/cb#top",
        "https://reader.example/cb#", "https://reader.example:port/", "https://reader.example/a b", "https://[broken/",
        "https://reader.example/\r\nX: y", " https://reader.example/cb", "https://reader.example/" + "x" * 2048,
    ],
)  # fmt: skip
def test_a_callback_is_a_plain_http_address(callback):
    said = ask(callback=callback)
    assert isinstance(said, Invalid)
    assert said.sentence.startswith("hub.callback must ")


@pytest.mark.parametrize("topic", ["feed.atom", "https://stream.example/feed.atom#top", "urn:x"])
def test_a_topic_is_a_plain_http_address(topic):
    said = ask(topic=topic)
    assert isinstance(said, Invalid)
    assert said.sentence.startswith("hub.topic must ")


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ([], "hub.mode is missing: subscribe, unsubscribe or publish."),
        ([("hub.mode", "")], "hub.mode is missing: subscribe, unsubscribe or publish."),
        ([("hub.mode", "retrieve")], "hub.mode must be subscribe, unsubscribe or publish."),
        ([("hub.mode", "subscribe")], "hub.callback and hub.topic are missing."),
        ([("hub.mode", "unsubscribe"), ("hub.topic", TOPIC)], "hub.callback is missing."),
        ([("hub.mode", "subscribe"), ("hub.topic", ""), ("hub.callback", CALLBACK)], "hub.topic is missing."),
        ([("hub.mode", "publish")], "hub.url is missing: the address of what has changed."),
        ([("hub.mode", "publish"), ("hub.url", " ")], "hub.url is missing: the address of what has changed."),
        ([("hub.mode", "publish"), ("hub.url", "feed.xml")], "hub.url must be an http or https address."),
    ],
)
def test_what_is_missing_is_named(params, sentence):
    assert parse_request(params) == Invalid(sentence)


@pytest.mark.parametrize(
    ("verify", "sync"),
    [
        (["sync"], True), (["async"], False), (["foo", "sync"], True), (["foo"], False),
        (["sync", "async"], True), (["async", "sync"], False),
    ],
)  # fmt: skip
def test_0_3_subscribers_say_how_they_want_to_be_verified(verify, sync):
    said = ask("subscribe", *(("hub.verify", word) for word in verify))
    assert (said.legacy, said.sync, said.algorithm) == (True, sync, "sha1")
    assert ask("unsubscribe", *(("hub.verify", word) for word in verify)).sync is sync


def test_0_3_subscribers_get_their_token_back():
    said = ask(verify_token="t&k n")
    assert (said.legacy, said.sync, said.verify_token) == (True, False, "t&k n")


@given(
    st.lists(st.tuples(st.sampled_from(["hub.mode", "hub.topic", "hub.callback", "hub.url", "hub.secret"]), st.text()))
)
def test_no_form_breaks_the_hub(params):
    assert isinstance(parse_request(params), Invalid)


# -- publishing -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hub.url", "hub.topic", "hub.url[]", "hub.topic[]", "hub.url[0]"])
def test_a_ping_names_its_topic_in_many_ways(name):
    assert publish((name, FEED)) == Publish((FEED,))


def test_a_ping_may_name_several_topics_each_once():
    assert publish(("hub.url", FEED), ("hub.topic", TOPIC), ("hub.url", FEED)) == Publish((FEED, TOPIC))
    assert publish(("hub.url", f"{FEED}, {TOPIC},{FEED}")) == Publish((FEED, TOPIC))
    assert publish(("hub.url", f"{FEED}?a=1,2"), ("hub.url", "x:y")) == Publish((FEED + "?a=1,2",))


@pytest.mark.parametrize("nonsense", [" " * 100_000, "," * 100_000, ", " * 50_000, "%4" * 50_000])
def test_a_long_ping_takes_no_longer_for_being_nonsense(nonsense):
    """Each is read in a few thousandths of a second; a pattern that backtracks takes a quarter of a minute."""
    assert isinstance(publish(("hub.url", nonsense)), Invalid)


def test_nobody_pings_for_endless_topics():
    assert isinstance(publish(*(("hub.url", f"{FEED}?{n}") for n in range(100))), Publish)
    assert isinstance(publish(*(("hub.url", f"{FEED}?{n}") for n in range(101))), Invalid)
    assert isinstance(publish(*(("hub.url", FEED) for _ in range(1000))), Publish)


# -- verification -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("callback", "begins"),
    [
        ("https://r.example/cb", "https://r.example/cb?hub.mode="),
        ("https://r.example", "https://r.example?hub.mode="),
        ("https://r.example/cb?", "https://r.example/cb?hub.mode="),
        ("https://r.example/cb?z=y&a=b", "https://r.example/cb?z=y&a=b&hub.mode="),
        ("https://r.example/cb?z=y&", "https://r.example/cb?z=y&hub.mode="),
        ("https://r.example/cb?hub.challenge=mine", "https://r.example/cb?hub.challenge=mine&hub.mode="),
        ("https://r.example/%7Ecb;x?t=a%2Fb+c&é", "https://r.example/%7Ecb;x?t=a%2Fb+c&é&hub.mode="),
    ],
)
def test_verification_comes_after_what_the_callback_has(callback, begins):
    assert verification_url(callback, "subscribe", TOPIC, "c", 300).startswith(begins)


def test_verification_asks_for_all_that_counts():
    url = verification_url("https://r.example/cb", "subscribe", FEED + "?h=1&x=%C3%A9", "c+/=", 864000, "t k")
    assert parse_qsl(urlsplit(url).query) == [
        ("hub.mode", "subscribe"), ("hub.topic", FEED + "?h=1&x=%C3%A9"), ("hub.challenge", "c+/="),
        ("hub.lease_seconds", "864000"), ("hub.verify_token", "t k"),
    ]  # fmt: skip


def test_leaving_is_verified_without_a_lease():
    assert "lease" not in verification_url(CALLBACK, "unsubscribe", TOPIC, "c", 300)


def test_a_denial_says_what_and_why():
    url = denial_url(CALLBACK, TOPIC, "not served here & never was")
    assert url.startswith(CALLBACK + "&hub.mode=denied&")
    assert dict(parse_qsl(urlsplit(url).query))["hub.reason"] == "not served here & never was"


@given(st.text(), st.text(), st.text(), st.one_of(st.none(), st.integers(0)), st.one_of(st.none(), st.text()))
def test_a_callback_is_kept_to_the_byte(rest, topic, challenge, lease, token):
    callback = "https://r.example/" + rest
    url = verification_url(callback, "subscribe", topic, challenge, lease, token)
    assert url.startswith(callback)
    added = dict(parse_qsl(url[len(callback) :].lstrip("?&"), keep_blank_values=True))
    assert (added["hub.topic"], added["hub.challenge"]) == (topic, challenge)


@pytest.mark.parametrize(
    ("status", "body", "yes"),
    [
        (200, b"c", True), (204, b"c", True), (299, b"c\r\n", True), (200, b" c ", True),
        (200, b"", False), (200, b"C", False), (200, b"cc", False), (200, b"<p>c</p>", False),
        (404, b"c", False), (302, b"c", False), (500, b"c", False),
    ],
)  # fmt: skip
def test_intent_is_verified_by_the_challenge_alone(status, body, yes):
    assert verified(status, body, "c") is yes


# -- deliveries -------------------------------------------------------------------------------


def test_a_delivery_names_hub_and_self_in_one_link_header():
    headers = delivery_headers("application/atom+xml; charset=utf-8", "https://s.example/hub", TOPIC, b"x")
    assert headers == {
        "Content-Type": "application/atom+xml; charset=utf-8",
        "Link": f'<https://s.example/hub>; rel="hub", <{TOPIC}>; rel="self"',
    }


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_delivery_is_signed_when_a_secret_was_agreed(algorithm):
    headers = delivery_headers("text/plain", "https://s.example/hub", TOPIC, b"x", "s3cret", algorithm)
    assert headers["X-Hub-Signature"].startswith(algorithm + "=")
    assert check_hub_signature(headers["X-Hub-Signature"], b"x", "s3cret") == "right"


def test_no_topic_breaks_out_of_its_header():
    headers = delivery_headers("text/é\r\nX: y", "https://s.example/hub", 'https://b.example/é?a>; rel="x"\r\n', b"x")
    assert headers["Content-Type"] == "text/X: y"
    assert headers["Link"].isascii()
    hub, self = parse_link_header([headers["Link"]], TOPIC)
    assert (hub.rels, self.rels) == ({"hub"}, {"self"})
    assert delivery_headers("", "https://s.example/hub", TOPIC, b"x")["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Delivered()), (202, Delivered()), (204, Delivered()), (410, Ended()),
        *((status, Failed(f"The callback answered {status}.")) for status in (301, 307, 400, 404, 429, 500, 503)),
    ],
)  # fmt: skip
def test_a_delivery_ends_as(status, outcome):
    assert judge_delivery(status) == outcome


def test_a_delivery_is_tried_again_for_two_days_and_then_given_up():
    waits = [retry_at(attempts, NOW, 0.5) - NOW for attempts in range(1, 9)]
    assert [wait // timedelta(seconds=1) for wait in waits] == [10, 60, 300, 1800, 7200, 21600, 43200, 86400]
    assert retry_at(9, NOW, 0.5) is None


@given(st.integers(1, 8), st.floats(0, 1))
def test_tries_differ_by_a_fifth_at_most(attempts, jitter):
    wait, middle = retry_at(attempts, NOW, jitter) - NOW, retry_at(attempts, NOW, 0.5) - NOW
    assert middle * 0.79 < wait < middle * 1.21


# -- addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("http://blog.example/feed", "https://blog.example/feed"),
        ("http://blog.example:80/feed", "https://blog.example:443/feed"),
        ("HTTPS://Blog.Example/feed", "https://blog.example/feed"),
        ("https://blog.example", "http://blog.example/"),
        ("https://blog.example./feed", "https://blog.example/feed"),
        ("https://blog.example/feed#top", "https://blog.example/feed"),
        ("https://blog.example/%7efeed?x=%c3%a9", "https://blog.example/~feed?x=é"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        (" https://blog.example/feed\n", "https://blog.example/feed"),
        ("http://[::1]:80/f", "https://[::1]/f"),
    ],
)
def test_the_same_address_in_two_spellings(a, b):
    assert same_address(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("https://blog.example/feed", "https://blog.example/feed/"),
        ("https://blog.example/feed", "https://blog.example/Feed"),
        ("https://blog.example/feed", "https://www.blog.example/feed"),
        ("https://blog.example/feed", "https://blog.example/feed?x"),
        ("https://blog.example/a%2Fb", "https://blog.example/a/b"),
        ("https://blog.example:8443/feed", "https://blog.example/feed"),
        ("http://blog.example:443/feed", "http://blog.example/feed"),
        ("https://me@blog.example/feed", "https://blog.example/feed"),
        ("https://" + "x" * 2000 + "/a", "https://" + "x" * 2000 + "/b"),
        ("https://[broken", "https://[broken/"),
        ("", "https://blog.example/"),
    ],
)
def test_two_addresses(a, b):
    assert not same_address(a, b)


@given(st.text())
def test_whatever_is_sent_has_a_key_fit_for_a_database(text):
    for url in (text, "https://" + text, "http://blog.example/" + text):
        key = address_key(url)
        assert key.isascii() and key.isprintable() and len(key) <= 1000


# -- whom the hub serves ----------------------------------------------------------------------


def test_own_serves_nothing_besides():
    assert TopicRule.parse("own") == TopicRule.parse("") == TopicRule()
    assert not TopicRule.parse("own").allows(FEED)


def test_any_serves_every_web_address():
    assert TopicRule.parse(" any ").allows(FEED)
    assert not TopicRule.parse("any").allows("ftp://blog.example/")


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        ("https://blog.example/feed", True), ("http://BLOG.example:80/feed", True), ("https://blog.example", True),
        ("https://blog.example.evil.example/", False), ("https://blog.example@evil.example/", False),
        ("https://evil.example/https://blog.example/", False), ("https://blog.example:8080/", False),
        ("https://me.example/~me/feed", True), ("https://me.example/%7Eme/feed", True), ("https://me.example/", False),
        ("https://me.example/~me/../you/feed", False), ("https://me.example/~me/%2e%2e/you", False),
        ("https://me.example/~me/?up=/../", True), ("urn:x", False),
    ],
)  # fmt: skip
def test_prefixes_cover(topic, allowed):
    rule = TopicRule.parse("own, https://blog.example, https://me.example/~me/")
    assert rule.allows(topic) is allowed


@pytest.mark.parametrize("text", ["mine", "any,own", "blog.example", "https://blog.example https://b.example"])
def test_a_rule_that_makes_no_sense_is_told_so(text):
    with pytest.raises(ValueError, match="own, any, or"):
        TopicRule.parse(text)
