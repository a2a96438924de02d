"""X-Hub-Signature: method=hex, an HMAC over the bytes of the body (W3C WebSub 7.1).

What follows from a verdict is the subscriber's to say; webhooks have their own ways of signing and their own files.
"""

import hashlib
import hmac
from typing import Literal

from lifestream.protocol.masking import both_ends

Method = Literal["sha1", "sha256", "sha384", "sha512"]
Verdict = Literal["right", "wrong", "missing"]

METHODS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
"""WebSub 7.1.1 names these four and no other."""


def sign(body: bytes, secret: str | bytes, method: str = "sha256") -> str:
    return f"{method}={hmac.digest(_bytes(secret), body, METHODS[method]).hex()}"


def check_hub_signature(header: str | None, body: bytes, secret: str | bytes) -> Verdict:
    """Whether whoever sent `body` knows the secret. Never raises, whatever the header holds."""
    given = _bytes(header or "").strip()
    if not given:
        return "missing"
    method, _, digest = given.partition(b"=")
    name = method.strip().lower().decode("ascii", "replace")
    if name not in METHODS:
        return "wrong"
    expected = hmac.new(_bytes(secret), body, METHODS[name]).hexdigest().encode()
    return "right" if hmac.compare_digest(expected, digest.strip().lower()) else "wrong"


def compared(header: str, body: bytes, secret: str | bytes) -> str:
    """What a wrong signature was, and what was expected, for people: both too short to be of use to anybody else."""
    method = header.partition("=")[0].strip().lower()
    if method not in METHODS:
        return f"{both_ends(header)} came; it must be one of {', '.join(METHODS)}"
    return f"{both_ends(header)} came, {both_ends(sign(body, secret, method))} was expected"


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
