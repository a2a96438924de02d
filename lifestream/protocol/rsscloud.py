"""rssCloud, as a subscriber (whom to ask, how, what the answer means) and as a cloud (RSS 2.0, <cloud>).

Only the form of plain HTTP posts, not XML-RPC or SOAP. What a cloud tells is signed by nobody: it is a hint to look.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape, unescape
from urllib.parse import quote, urlencode, urlsplit

from lifestream.protocol.hub import ADDRESS_LIMIT
from lifestream.protocol.links import web_address
from lifestream.types import Cloud

NOTIFY = "/rsscloud/notify"
LASTS = timedelta(hours=25)
"""A registration is over after that; there is no way to end one earlier but to let it."""

URLS_AT_ONCE = 50

_PROTOCOLS = ("http-post", "https-post")
_DOMAIN = re.compile(r"[^\s/?#@:\\\[\]]+")
_CHALLENGE = re.compile(r"[\x21-\x7e]{1,512}")
_SUCCESS = re.compile(r"\bsuccess[\"']?\s{0,9}[=:]\s{0,9}[\"']?(true|false)", re.I)
_FEED = re.compile(r"url\d{0,4}")
_MESSAGE = re.compile(r"\bmsg[\"']?\s{0,9}[=:]\s{0,9}(?:\"([^\"]*)\"|'([^']*)')")


def cloud_url(cloud: Cloud) -> str:
    """Where to register; "" when the cloud does not take forms or names no place."""
    if cloud.protocol not in _PROTOCOLS or not _DOMAIN.fullmatch(cloud.domain):
        return ""
    scheme = "https" if cloud.protocol == "https-post" or cloud.port == 443 else "http"
    port = "" if cloud.port == (443 if scheme == "https" else 80) else f":{cloud.port}"
    return web_address(f"{scheme}://{cloud.domain}{port}/{cloud.path.removeprefix('/')}")


def please_notify_form(base_url: str, feed_url: str) -> list[tuple[str, str]]:
    """With `domain`, so that the cloud asks us back (`usable_challenge`) and does not guess at the caller's address."""
    parts = urlsplit(base_url)
    secure = parts.scheme == "https"
    return [
        ("notifyProcedure", ""),
        ("port", str(parts.port or (443 if secure else 80))),
        ("path", parts.path.rstrip("/") + NOTIFY),
        ("protocol", "https-post" if secure else "http-post"),
        ("url1", feed_url),
        ("domain", parts.hostname or ""),
    ]


def judge_answer(status: int, body: bytes) -> str:
    """What is wrong with the cloud's answer; nothing when it took us. A failure comes as 200 too, in XML or JSON."""
    text = body.decode("utf-8", "replace")
    success, message = _SUCCESS.search(text), _MESSAGE.search(text)
    said = " ".join(unescape(message[1] or message[2] or "").split())[:200] if message else ""
    if not 200 <= status < 300:
        return f"The cloud answered {status}" + (f": {said}" if said else ".")
    if success is None:
        return "The cloud's answer says neither yes nor no; there may be no rssCloud at that address any more."
    if success[1].lower() == "false":
        return f"The cloud refused{': ' + said if said else '.'}"
    return ""


# -- as a cloud -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Registration:
    """Who is to be told, at `callback`, when one of these feeds changes. `named`: it gave its host's name itself, and
    is asked whether it wants this; else it was taken from where the request came from, and is told once as a test.
    """

    callback: str
    feeds: tuple[str, ...]
    named: bool


def parse_registration(params: Sequence[tuple[str, str]], caller: str) -> Registration | str:
    """What a form of pleaseNotify asks for; or the sentence that says what is wrong with it."""
    given = dict(reversed(params))
    feeds = dict.fromkeys(value.strip() for name, value in params if _FEED.fullmatch(name) and value.strip())
    protocol, port, domain = given.get("protocol", ""), given.get("port", "").strip(), given.get("domain", "").strip()
    if protocol not in _PROTOCOLS:
        return f"The protocol must be {' or '.join(_PROTOCOLS)}."
    if not port.isascii() or not port.isdigit() or not 0 < int(port[:6]) < 65536:
        return "The port is missing or is none."
    if not feeds or len(feeds) > URLS_AT_ONCE:
        return f"Name the feeds in url1, url2 and so on, {URLS_AT_ONCE} at most."
    if domain and not _DOMAIN.fullmatch(domain):
        return "The domain is none."
    scheme = "https" if protocol == "https-post" or int(port) == 443 else "http"
    host = domain or (f"[{caller}]" if ":" in caller else caller)
    callback = web_address(f"{scheme}://{host}:{int(port)}/{given.get('path', '').strip().removeprefix('/')}")
    if not callback or "#" in callback or len(callback) > ADDRESS_LIMIT:
        return "The path is no path of an address."
    return Registration(callback, tuple(feeds), bool(domain))


def challenge_url(callback: str, feed: str, challenge: str) -> str:
    joint = "&" if "?" in callback else "?"
    return callback + joint + urlencode({"url": feed, "challenge": challenge}, quote_via=quote, safe="")


def notification(feed: str) -> bytes:
    return urlencode({"url": feed}).encode()


def answer(element: str, success: bool, message: str, *, as_json: bool) -> tuple[bytes, str]:
    """The answer's body and its type; a failure is told in it, not by the status."""
    if as_json:
        return json.dumps({"success": success, "msg": message}).encode(), "application/json"
    said = f'<{element} success="{str(success).lower()}" msg="{escape(message)}"/>'
    return f'<?xml version="1.0"?>\n{said}\n'.encode(), "application/xml"


def wants_json(accept: str) -> bool:
    """XML unless only JSON, or JSON first, is asked for."""
    at = accept.lower().find("json")
    return at >= 0 and not 0 <= accept.lower().find("xml") < at


def usable_challenge(text: str) -> bool:
    return bool(_CHALLENGE.fullmatch(text))


def renew_at(registered_at: datetime, jitter: float) -> datetime:
    """About once a day, with an hour left for trying again."""
    return registered_at + timedelta(hours=22 + 2 * jitter)
