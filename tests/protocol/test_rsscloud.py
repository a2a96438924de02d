"""rssCloud as a subscriber: whom to ask, and what the answers of real clouds mean."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.protocol.rsscloud import LASTS, cloud_url, judge_answer, please_notify_form, renew_at, usable_challenge
from lifestream.types import Cloud

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cloud", "url"),
    [
        (Cloud("rpc.rsscloud.io", 5337, "/pleaseNotify", "http-post"), "http://rpc.rsscloud.io:5337/pleaseNotify"),
        (Cloud("blog.example", 80, "/?rsscloud=notify", "http-post"), "http://blog.example/?rsscloud=notify"),
        (Cloud("blog.example", 443, "notify", "http-post"), "https://blog.example/notify"),
        (Cloud("blog.example", 8443, "/notify", "https-post"), "https://blog.example:8443/notify"),
        (Cloud("rpc.rsscloud.io", 5337, "/RPC2", "xml-rpc"), ""),
        (Cloud("radio.example", 80, "/RPC2", "soap"), ""),
        (Cloud("", 80, "/", "http-post"), ""),
        (Cloud("user@blog.example", 80, "/", "http-post"), ""),
        (Cloud("blog.example/x?", 80, "/", "http-post"), ""),
        (Cloud("blog.example:81", 80, "/", "http-post"), ""),
        (Cloud("two words", 80, "/", "http-post"), ""),
        (Cloud("blog.example", 80, "/two words", "http-post"), ""),
    ],
)  # fmt: skip
def test_a_cloud_that_takes_forms_is_asked_where_it_says(cloud, url):
    assert cloud_url(cloud) == url


@pytest.mark.parametrize(
    ("base_url", "form"),
    [
        ("http://127.0.0.1:8000", {"port": "8000", "protocol": "http-post", "domain": "127.0.0.1"}),
        ("http://me.example", {"port": "80", "protocol": "http-post", "domain": "me.example"}),
        ("https://me.example", {"port": "443", "protocol": "https-post", "domain": "me.example"}),
    ],
)  # fmt: skip
def test_the_form_says_where_we_are_told(base_url, form):
    expected = {"notifyProcedure": "", "path": "/rsscloud/notify", "url1": "http://blog.example/rss?a=1&b=2"}
    assert dict(please_notify_form(base_url, "http://blog.example/rss?a=1&b=2")) == expected | form


@pytest.mark.parametrize(
    ("status", "body", "wrong"),
    [
        (200, b"""<?xml version="1.0"?><notifyResult success="true" msg="Thanks for the registration."/>""", ""),
        (200, b"<notifyResult success='true' msg='Registration successful.' />", ""),
        (200, b'{"success": true, "msg": "Thanks"}', ""),
        (200, b'<notifyResult success="false" msg="It was &quot;x&quot;."/>', 'refused: It was "x".'),
        (200, b'{"success":false,"msg":"no"}', "refused: no"),
        (200, b'<notifyResult success="false"/>', "refused."),
        (200, b"<html>This domain is for sale</html>", "neither yes nor no"),
        (200, b"", "neither yes nor no"),
        (500, b'<notifyResult success="true" msg=""/>', "answered 500"),
        (404, b"", "answered 404."),
    ],
)  # fmt: skip
def test_only_a_yes_is_a_yes(status, body, wrong):
    said = judge_answer(status, body)
    assert (said == "") == (wrong == "")
    assert wrong in said


@given(st.binary(max_size=200), st.integers(100, 599))
def test_no_answer_breaks_the_reader(body, status):
    assert "\n" not in judge_answer(status, body)


def test_a_challenge_is_never_a_page():
    assert usable_challenge("aB3-" * 5)
    for text in ("", "two words", "x" * 513, "é", "a\nb"):
        assert not usable_challenge(text)


@given(st.floats(0, 1))
def test_a_registration_is_renewed_daily_and_in_time(jitter):
    at = renew_at(NOW, jitter)
    assert NOW + timedelta(hours=20) < at <= NOW + timedelta(hours=24)
    assert at <= NOW + LASTS - timedelta(hours=1)
