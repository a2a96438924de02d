"""What is kept of a request says what was said, and lets nobody in."""

import pytest

from lifestream.protocol.masking import as_curl, both_ends, masked_body, masked_form, masked_headers, masked_url

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://blog.example/feed?page=2&tag=a%20b", "https://blog.example/feed?page=2&tag=a%20b"),
        ("https://mara:pass@blog.example/feed", "https://***@blog.example/feed"),
        ("https://git.example/mara.atom?feed_token=abc&x=1", "https://git.example/mara.atom?feed_token=***&x=1"),
        ("https://stream.example/push/AbC-1_2/", "https://stream.example/push/***/"),
        ("https://cal.example/private-0123456789abcdef0123456789abcdef/basic", "https://cal.example/private-***/basic"),
        ("/scrobble/?hs=true&u=mara&t=17&a=c0ffee", "/scrobble/?hs=true&u=mara&t=17&a=***"),
        (
            "https://blog.example/a-title-of-2026-with-many-words",
            "https://blog.example/a-title-of-2026-with-many-words",
        ),
        ("http://[oops", "***"),
    ],
    ids=["plain", "password", "token", "callback", "random", "scrobbler", "title", "broken"],
)
def test_an_address_keeps_all_but_its_secrets(url: str, kept: str) -> None:
    assert masked_url(url) == kept


def test_addresses_are_masked_wherever_they_stand() -> None:
    url, masked = "https://git.example/mara.atom?feed_token=abc#top", "https://git.example/mara.atom?feed_token=***#top"
    assert masked_body(f"<link href='{url}'/> <a>{url}</a>".encode(), "text/xml") == (
        f"<link href='{masked}'/> <a>{masked}</a>"
    )
    assert masked_headers([(b"Link", f"<{url}>; rel=self".encode())]) == [("link", f"<{masked}>; rel=self")]
    assert masked_form("hub.topic=https%3A%2F%2Fgit.example%2F%3Fkey%3Dabc&x=https%3A%2F%2Fgit.example%2F") == (
        "hub.topic=https://git.example/?key=***&x=https%3A%2F%2Fgit.example%2F"
    )


def test_a_strangers_callback_is_told_by_its_host() -> None:
    url = "https://reader.example/cb/77?who=x&hub.mode=subscribe&hub.verify_token=abc&hub.challenge=c1"
    assert masked_url(url, host_only=True) == (
        "https://reader.example/***?hub.mode=subscribe&hub.verify_token=***&hub.challenge=c1"
    )


def test_a_subscription_form_keeps_neither_callback_nor_secret() -> None:
    form = b"hub.mode=subscribe&hub.callback=https%3A%2F%2Fme.example%2Fpush%2FT0k&hub.secret=hush"
    assert masked_body(form, FORM) == "hub.mode=subscribe&hub.callback=https://me.example/***&hub.secret=***"


def test_headers_that_prove_something_are_masked() -> None:
    fields = [
        (b"Authorization", b"Bearer abcdef"),
        (b"Authorization", b"abcdef"),
        (b"X-Gitlab-Token", b"hush"),
        (b"X-Hub-Signature", b"sha256=" + b"0123456789abcdef" * 4),
        (b"Location", b"https://a.example/?token=abc"),
        (b"Content-Type", b"text/plain"),
    ]
    assert [value for _, value in masked_headers(fields)] == [
        "Bearer ***", "***", "***", "sha256=0123…cdef", "https://a.example/?token=***", "text/plain",
    ]  # fmt: skip


def test_json_is_kept_without_its_secrets_even_inside_a_form() -> None:
    assert (
        masked_body(b'{"secret": "hu\\"sh", "ref": "main"}', "application/json") == '{"secret": "***", "ref": "main"}'
    )
    assert masked_form("payload=%7B%22secret%22%3A%22hush%22%7D") == "payload=%7B%22secret%22%3A%22%2A%2A%2A%22%7D"
    assert masked_form("payload=%7B%22ref%22%3A%22x%22%7D") == "payload=%7B%22ref%22%3A%22x%22%7D"


def test_what_is_known_to_be_secret_is_found_wherever_it_stands() -> None:
    assert masked_body(b"<p>a b/c!</p> a%20b%2Fc%21", "text/html", ["a b/c!"]) == "<p>***</p> ***"
    assert masked_headers([(b"X-Odd", b"so hush now")], ["hush"]) == [("x-odd", "so *** now")]


def test_a_short_signature_shows_nothing() -> None:
    assert both_ends("sha1=abcd") == "sha1=***"


def test_a_request_can_be_made_again_by_curl() -> None:
    headers = [("host", "a.example"), ("content-type", "text/plain"), ("content-length", "4")]
    assert as_curl("POST", "https://a.example/x", headers, "it's") == (
        "curl -i -X POST 'https://a.example/x' \\\n  -H 'content-type: text/plain' \\\n  --data-raw 'it'\\''s'"
    )


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/json", "text/xml", FORM, FORM.upper()])
def test_a_form_and_json_are_masked_whatever_they_are_called(media_type: str) -> None:
    assert masked_body(b"method=track.love&sk=hush&s=hush", media_type) == "method=track.love&sk=***&s=***"
    assert masked_body(b"[x]=1&token=hush", media_type) == "[x]=1&token=***"
    assert masked_body(b' {"token": "hush", "a": "b"}', media_type) == ' {"token": "***", "a": "b"}'


@pytest.mark.parametrize(
    "text",
    [
        '{"url": "https://a.example/?x=1&y", "x&s=1": "y"}',
        "<a href='?x=1&amp;s=2'>x</a>",
        "--x\n&s=1&s=2",
    ],
    ids=["json", "markup", "parts"],
)
def test_what_is_no_form_is_not_taken_for_one(text: str) -> None:
    assert masked_body(text.encode(), "text/plain") == text


def test_nothing_of_a_request_is_for_curl_or_the_terminal_to_interpret() -> None:
    made = as_curl("POST", "https://a.example/", [("x-odd", "\x1b[31m")], "@/etc/passwd\x1b[201~\x9b")
    assert made.endswith("-H 'x-odd: �[31m' \\\n  --data-raw '@/etc/passwd�[201~�'")
    assert masked_body(b"one\r\n\ttwo\r\x07", "text/plain") == "one\n\ttwo��"
    assert masked_headers([(b"X-Odd", b"\x1b]0;x\x07")]) == [("x-odd", "�]0;x�")]
