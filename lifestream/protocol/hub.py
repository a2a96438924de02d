"""The built-in hub (W3C WebSub 5 to 7, with PubSubHubbub 0.3's ways): requests, verification, deliveries, addresses.

Whom it serves and what it has is the store's to know; here is what a request says and what an answer means.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal
from urllib.parse import quote, urlencode, urlsplit

from lifestream.protocol.links import web_address
from lifestream.protocol.signatures import Method, sign

LEASE_SHORTEST = 300
LEASE_DEFAULT = 10 * 86_400
LEASE_LONGEST = 30 * 86_400
SECRET_LIMIT = 200
"""In bytes; a secret must be shorter (WebSub 5.1)."""
ADDRESS_LIMIT = 2048
PINGS_AT_ONCE = 100

_RETRIES = tuple(timedelta(seconds=seconds) for seconds in (10, 60, 300, 1800, 7200, 21_600, 43_200, 86_400))


# -- requests ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribe:
    """`lease_seconds` as asked. `legacy`: the request is written in PubSubHubbub 0.3, `sync` too if it asked so."""

    topic: str
    callback: str
    lease_seconds: int | None = None
    secret: str = ""
    legacy: bool = False
    sync: bool = False
    verify_token: str = ""

    @property
    def algorithm(self) -> Method:
        """0.3 subscribers know sha1 and nothing else (0.3, 7.4)."""
        return "sha1" if self.legacy else "sha256"


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    topic: str
    callback: str
    legacy: bool = False
    sync: bool = False
    verify_token: str = ""


@dataclass(frozen=True, slots=True)
class Publish:
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Invalid:
    """To be answered 400 with this sentence as text/plain."""

    sentence: str


Request = Subscribe | Unsubscribe | Publish | Invalid


def parse_request(params: Sequence[tuple[str, str]]) -> Request:
    """What the form and the query, put together, ask of the hub. Unknown parameters are ignored (WebSub 5.1)."""
    mode = _first(params, "hub.mode")
    if mode == "publish":
        return _publish(params)
    if mode in ("subscribe", "unsubscribe"):
        return _subscription(params, subscribe=mode == "subscribe")
    if not mode:
        return Invalid("hub.mode is missing: subscribe, unsubscribe or publish.")
    return Invalid("hub.mode must be subscribe, unsubscribe or publish.")


def clamp_lease(asked: int | None) -> int:
    """The lease that is granted, in seconds. There is none for ever (WebSub 5.3.1)."""
    return LEASE_DEFAULT if asked is None else min(max(asked, LEASE_SHORTEST), LEASE_LONGEST)


# -- verification of intent -------------------------------------------------------------------


def verification_url(
    callback: str,
    mode: Literal["subscribe", "unsubscribe"],
    topic: str,
    challenge: str,
    lease_seconds: int | None = None,
    verify_token: str | None = None,
) -> str:
    """What to GET; the callback stays as it is to the byte, and ours comes after it (WebSub 5.1.1, 5.3)."""
    query = [("hub.mode", mode), ("hub.topic", topic), ("hub.challenge", challenge)]
    if lease_seconds is not None and mode == "subscribe":
        query.append(("hub.lease_seconds", str(lease_seconds)))
    if verify_token:
        query.append(("hub.verify_token", verify_token))
    return _with_query(callback, query)


def denial_url(callback: str, topic: str, reason: str) -> str:
    return _with_query(callback, [("hub.mode", "denied"), ("hub.topic", topic), ("hub.reason", reason)])


def verified(status: int, body: bytes, challenge: str) -> bool:
    """Space around the challenge is forgiven: a PHP file easily ends in a newline."""
    return 200 <= status < 300 and body.strip() == challenge.encode()


# -- deliveries -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Delivered:
    pass


@dataclass(frozen=True, slots=True)
class Ended:
    """The subscriber is gone and says so."""


@dataclass(frozen=True, slots=True)
class Failed:
    why: str


def delivery_headers(
    media_type: str, hub_url: str, self_url: str, body: bytes, secret: str = "", algorithm: str = "sha256"
) -> dict[str, str]:
    """WebSub 7: the topic's own Content-Type, and hub and self in one Link header; signed if a secret was agreed."""
    headers = {
        "Content-Type": _header_text(media_type) or "application/octet-stream",
        "Link": f'<{_uri(hub_url)}>; rel="hub", <{_uri(self_url)}>; rel="self"',
    }
    if secret:
        headers["X-Hub-Signature"] = sign(body, secret, algorithm)
    return headers


def judge_delivery(status: int) -> Delivered | Ended | Failed:
    """WebSub 7: any 2xx is receipt, 410 the end of the subscription, everything else (redirects too) a failure."""
    if 200 <= status < 300:
        return Delivered()
    return Ended() if status == 410 else Failed(f"The callback answered {status}.")


def retry_at(attempts: int, now: datetime, jitter: float) -> datetime | None:
    """When to try again, after `attempts` that failed; None to give up on this content, not on the subscriber."""
    if attempts > len(_RETRIES):
        return None
    return now + _RETRIES[max(attempts, 1) - 1] * (0.8 + 0.4 * jitter)


# -- addresses --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TopicRule:
    """Which topics the hub serves besides this site's own: none, those under some addresses, or any."""

    every: bool = False
    prefixes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "TopicRule":
        words = [word.strip() for word in text.split(",") if word.strip()]
        if words == ["any"]:
            return cls(every=True)
        prefixes = tuple(word for word in words if word != "own")
        if not all(map(web_address, prefixes)):
            raise ValueError("must be own, any, or http(s) addresses with commas between them")
        return cls(prefixes=prefixes)

    def allows(self, url: str) -> bool:
        """A prefix covers no host but its own, and nothing that climbs out of it with dots."""
        if not web_address(url):
            return False
        host, path = _host_and_path(url)
        climbs = not {".", ".."}.isdisjoint(path.partition("?")[0].split("/"))
        return self.every or (not climbs and any(_under(prefix, host, path) for prefix in self.prefixes))


def same_address(a: str, b: str) -> bool:
    return address_key(a) == address_key(b)


def address_key(url: str) -> str:
    """The form of an address in which http and https, a default port and a host's capitals make no difference.

    Fit for a unique key in a database: plain ASCII, bounded, and there is one for whatever somebody sends.
    """
    host, path = _host_and_path(url.strip())
    key = host + path
    return key if len(key) <= 1000 else f"{key[:900]}#{sha256(key.encode()).hexdigest()}"


# -- the small print --------------------------------------------------------------------------

_PUBLISH = re.compile(r"hub\.(url|topic)(\[\d*\])?")
_BETWEEN_ADDRESSES = re.compile(r",\s{0,9}(?=https?://)", re.I)
_LEASE = re.compile(r"[0-9]+")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_KEPT = "%:/?#[]@!$&'()*+,;=~"


def _publish(params: Sequence[tuple[str, str]]) -> Publish | Invalid:
    given = [value for name, value in params if _PUBLISH.fullmatch(name)]
    urls = dict.fromkeys(url.strip() for value in given for url in _BETWEEN_ADDRESSES.split(value) if url.strip())
    if not urls:
        return Invalid("hub.url is missing: the address of what has changed.")
    if len(urls) > PINGS_AT_ONCE:
        return Invalid(f"That is more than {PINGS_AT_ONCE} addresses; send them in several requests.")
    usable = tuple(url for url in urls if web_address(url))
    return Publish(usable) if usable else Invalid("hub.url must be an http or https address.")


def _subscription(params: Sequence[tuple[str, str]], *, subscribe: bool) -> Subscribe | Unsubscribe | Invalid:
    topic, callback = _first(params, "hub.topic"), _first(params, "hub.callback")
    if problem := _problem(topic, callback):
        return Invalid(problem)
    verify = [word.strip().lower() for name, value in params if name == "hub.verify" for word in value.split(",")]
    token = _first(params, "hub.verify_token")[:ADDRESS_LIMIT].replace("\0", "")
    legacy = any(name in ("hub.verify", "hub.verify_token") for name, _ in params)
    sync = next((word for word in verify if word in ("sync", "async")), "") == "sync"  # in order of preference
    if not subscribe:
        return Unsubscribe(topic, callback, legacy, sync, token)
    lease, secret = _first(params, "hub.lease_seconds").strip(), _first(params, "hub.secret")
    if lease and not _LEASE.fullmatch(lease):
        return Invalid("hub.lease_seconds must be a whole number of seconds.")
    if len(secret.encode("utf-8", "surrogatepass")) >= SECRET_LIMIT or "\0" in secret:
        return Invalid(f"hub.secret must be shorter than {SECRET_LIMIT} bytes and hold no NUL.")
    seconds = min(int(lease[:18]), LEASE_LONGEST) if lease else None
    return Subscribe(topic, callback, seconds, secret, legacy, sync, token)


def _problem(topic: str, callback: str) -> str:
    missing = [name for name, value in (("hub.callback", callback), ("hub.topic", topic)) if not value.strip()]
    if missing:
        return f"{' and '.join(missing)} {'are' if missing[1:] else 'is'} missing."
    for name, value in (("hub.callback", callback), ("hub.topic", topic)):
        if len(value) > ADDRESS_LIMIT:
            return f"{name} must not be longer than {ADDRESS_LIMIT} characters."
        if not web_address(value) or value != value.strip():
            return f"{name} must be an http or https address."
        if "#" in value:
            return f"{name} must not have a fragment."
    return ""


def _first(params: Sequence[tuple[str, str]], name: str) -> str:
    return next((value for given, value in params if given == name), "")


def _with_query(callback: str, query: Sequence[tuple[str, str]]) -> str:
    joint = "?" if "?" not in callback else "" if callback.endswith(("?", "&")) else "&"
    return callback + joint + urlencode(query, quote_via=quote, safe="", errors="replace")


def _uri(url: str) -> str:
    """An address as it may stand in a header between angle brackets; what is plain ASCII already stays."""
    return quote(url, safe=_KEPT, errors="replace")


def _header_text(text: str) -> str:
    return "".join(c for c in text if " " <= c <= "~").strip()


def _host_and_path(url: str) -> tuple[str, str]:
    """Host and port as they count, and the rest from the path on, without a fragment (RFC 3986, 6.2.2 and 6.2.3)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "", _plain(url)
    if parts.scheme not in ("http", "https") or not host:
        return "", _plain(url)
    name = _ascii(host.rstrip("."))
    name = f"[{name}]" if ":" in name else name
    user, at, _ = parts.netloc.rpartition("@")
    shown = "" if port in (None, 80 if parts.scheme == "http" else 443) else f":{port}"
    query = f"?{parts.query}" if parts.query else ""
    return _plain(user + at) + name + shown, _plain((parts.path or "/") + query)


def _ascii(host: str) -> str:
    try:
        return _plain(host if host.isascii() else host.encode("idna").decode())
    except UnicodeError:
        return _plain(host)


def _plain(text: str) -> str:
    """Percent-encoding in one spelling: what need not be encoded is not, the rest has capital letters."""
    return _ESCAPE.sub(_decoded, quote(text, safe=_KEPT, errors="replace"))


def _decoded(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0].upper()


def _under(prefix: str, host: str, path: str) -> bool:
    own_host, own_path = _host_and_path(prefix)
    return host == own_host and path.startswith(own_path)
