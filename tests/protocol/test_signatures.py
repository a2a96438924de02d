"""X-Hub-Signature: what a header can be, and what it then says."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.protocol.signatures import METHODS, check_hub_signature, sign

BODY = b"<feed>kittens</feed>"
SECRET = "quite a secret"
RIGHT = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("method", ["sha1", "sha256", "sha384", "sha512"])
def test_every_method_of_the_specification_is_made_and_understood(method):
    expected = hmac.new(SECRET.encode(), BODY, method).hexdigest()
    assert sign(BODY, SECRET, method) == f"{method}={expected}"
    assert check_hub_signature(f"{method}={expected}", BODY, SECRET) == "right"


@pytest.mark.parametrize(
    ("header", "verdict"),
    [
        (f"sha256={RIGHT}", "right"),
        (f"sha256={RIGHT.upper()}", "right"),
        (f"SHA256={RIGHT}", "right"),
        (f"  sha256 = {RIGHT} ", "right"),
        (None, "missing"),
        ("", "missing"),
        ("  ", "missing"),
        (f"sha256={RIGHT}1234", "wrong"),  # as the W3C suite's test 301
        (f"sha256={RIGHT[:-1]}", "wrong"),
        (f"sha1={RIGHT}", "wrong"),
        (f"md5={hmac.new(SECRET.encode(), BODY, 'md5').hexdigest()}", "wrong"),
        (RIGHT, "wrong"),
        (f"={RIGHT}", "wrong"),
        ("sha256", "wrong"),
        ("sha256=", "wrong"),
        ("sha256=ключ", "wrong"),
        ("schlüssel=00", "wrong"),
    ],
)
def test_a_header_says(header, verdict):
    assert check_hub_signature(header, BODY, SECRET) == verdict


def test_another_secret_or_body_makes_it_wrong():
    assert check_hub_signature(sign(BODY, SECRET), BODY, "another secret") == "wrong"
    assert check_hub_signature(sign(BODY, SECRET), BODY + b" ", SECRET) == "wrong"


def test_a_secret_may_be_text_or_bytes_and_in_any_script():
    assert sign(BODY, "ключ") == sign(BODY, "ключ".encode())
    assert check_hub_signature(sign(BODY, "ключ"), BODY, "ключ") == "right"


@given(st.text(st.characters()), st.binary(), st.text(st.characters()))
def test_no_header_makes_it_raise_or_pass(header, body, secret):
    assert check_hub_signature(header, body, secret) in ("wrong", "missing")


@given(st.binary(), st.text(st.characters()), st.sampled_from(sorted(METHODS)))
def test_what_is_signed_is_right(body, secret, method):
    assert check_hub_signature(sign(body, secret, method), body, secret) == "right"
