"""rssCloud as a subscriber: whom to ask, how, what the answer means, how long it holds (RSS 2.0, <cloud>).

Only the form of plain HTTP posts, not XML-RPC or SOAP. What a cloud tells is signed by nobody: it is a hint to look.
"""

import re
from datetime import datetime, timedelta
from html import unescape
from urllib.parse import urlsplit

from lifestream.protocol.links import web_address
from lifestream.types import Cloud

NOTIFY = "/rsscloud/notify"
LASTS = timedelta(hours=25)
"""A registration is over after that; there is no way to end one earlier but to let it."""

_PROTOCOLS = ("http-post", "https-post")
_DOMAIN = re.compile(r"[^\s/?#@:\\\[\]]+")
_CHALLENGE = re.compile(r"[\x21-\x7e]{1,512}")
_SUCCESS = re.compile(r"\bsuccess[\"']?\s{0,9}[=:]\s{0,9}[\"']?(true|false)", re.I)
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


def usable_challenge(text: str) -> bool:
    return bool(_CHALLENGE.fullmatch(text))


def renew_at(registered_at: datetime, jitter: float) -> datetime:
    """About once a day, with an hour left for trying again."""
    return registered_at + timedelta(hours=22 + 2 * jitter)
