"""Where a request may go, and the way there. Nobody sends us where we must not go.

A URL's shape is checked for each hop, and the IP address when it is dialled: what was checked is what is dialled, so
neither a spelling of 127.0.0.1, nor a redirect, nor a name that changes its answer (DNS rebinding) gets round it.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

from lifestream.errors import BadAddress, FetchError, TimedOut, Unreachable
from lifestream.protocol.addresses import Networks, check_url, is_public

IPAddress = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[IPAddress]]]
Conversation = TypeVar("Conversation", bound=asyncio.Protocol)

KEPT = 100
"""Idle connections kept, for as many deliveries of the hub as run at once."""
KEEP_SECONDS = 4.0
"""Shorter than the 5 s after which uvicorn, Node and Apache hang up, so that no request meets a closing door."""
GLANCE_BYTES = 4096
GLANCE_SECONDS = 1.0
"""For a body that matters little. A short one is read to its end, so its connection is kept."""
RESOLVED_AT_ONCE = 32
ONE_DIAL_SECONDS = 2.5
"""For each address of a name but the last: IPv6 is often advertised and dead."""


class Refused(Exception):
    """No address of the host may be dialled; the message is for people."""


@dataclass(frozen=True, slots=True)
class Place:
    """A checked URL, taken apart once."""

    url: str
    host: str
    port: int
    secure: bool
    origin: tuple[str, str]
    authority: bytes
    path: bytes
    """With the query: what stands in the request's first line."""


@lru_cache(maxsize=1024)
def place_of(url: str) -> Place:
    """Cached, because a hub's deliveries go to the same callbacks again and again. Raises BadAddress."""
    try:
        checked = check_url(url)
    except ValueError as error:
        raise BadAddress(str(error), url=url) from error
    parts = urlsplit(checked)
    secure = parts.scheme == "https"
    return Place(
        url=checked,
        host=parts.hostname or "",
        port=parts.port or (443 if secure else 80),
        secure=secure,
        origin=(parts.scheme, parts.netloc),
        authority=parts.netloc.encode(),
        path=(parts.path + checked.partition("?")[1] + parts.query).encode(),
    )


class Dialler:
    """Dials what `is_public` or the owner's networks let through."""

    def __init__(self, allow: Networks, timeout: float, resolve: Resolve | None = None) -> None:
        self._allow = allow
        self.timeout = timeout
        self._resolve = resolve or self._ask_the_system
        # Its own threads: names whose servers never answer, in what strangers ask for, must not hold up what we ask.
        self._resolvers = ThreadPoolExecutor(RESOLVED_AT_ONCE, thread_name_prefix="dns")

    async def addresses(self, host: str, port: int) -> Sequence[IPAddress]:
        try:
            found: Sequence[IPAddress] = [ip_address(host)]
        except ValueError:
            found = await self._resolve(host, port)
        allowed = [address for address in found if is_public(address) or self._allow.allows(address, host)]
        if not allowed and not found:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        if not allowed:
            where = "is" if host == str(found[0]) else f"is at {found[0]},"
            raise Refused(f"{host} {where} in private or special space; LIFESTREAM_ALLOW_NETWORKS can allow it.")
        return allowed

    async def dial(self, make: Callable[[], Conversation], place: Place, tls: ssl.SSLContext) -> Conversation:
        """The name stays the one in SNI and in the certificate."""
        secured = {"ssl": tls, "server_hostname": place.host} if place.secure else {}
        by = asyncio.get_running_loop().time() + self.timeout
        async with asyncio.timeout_at(by):
            addresses = await self.addresses(place.host, place.port)
        return await connect(make, addresses, place.port, by, secured)

    def close(self) -> None:
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    async def _ask_the_system(self, host: str, port: int) -> Sequence[IPAddress]:
        asking = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._resolvers, asking)
        return [ip_address(address[4][0]) for address in found]


async def connect(
    make: Callable[[], Conversation], addresses: Sequence[IPAddress], port: int, by: float, tls: dict[str, Any]
) -> Conversation:
    """With the first of these addresses that takes the call, until `by` on the loop's clock."""
    call = asyncio.get_running_loop().create_connection
    async with asyncio.timeout_at(by):
        for address in addresses[:-1]:
            try:
                async with asyncio.timeout(ONE_DIAL_SECONDS):
                    return (await call(make, str(address), port, **tls))[1]
            except OSError:  # which TimeoutError is, too
                continue
        return (await call(make, str(addresses[-1]), port, **tls))[1]


def late(place: Place) -> TimedOut:
    sentence = f"{place.host} did not answer in time; it may be down or overloaded, so try again later."
    return TimedOut(sentence, url=place.url)


def failure(error: Exception, place: Place) -> FetchError:
    """The sentence for what a library or the system raised. It names the host, never the path: that may be a secret."""
    host = place.host
    match error:
        case Refused():
            return BadAddress(str(error), url=place.url)
        case socket.gaierror():
            sentence = f"There is no address for {host}; check how it is spelt, and this machine's DNS."
        case ssl.SSLCertVerificationError():
            sentence = f"The certificate of {host} is not valid here: {error.verify_message}."
        case ssl.SSLError():
            sentence = f"No secure connection to {host} ({error.reason or 'TLS failed'}); does it speak https there?"
        case ConnectionRefusedError():
            sentence = f"{host} refused the connection; is a web server running there, on that port?"
        case OSError():
            reason = os.strerror(error.errno) if error.errno else error  # asyncio's own text only repeats the address
            sentence = f"{host} cannot be reached: {reason}."
        case _:
            sentence = f"{host} broke off or did not answer in HTTP; try again later."
    return Unreachable(sentence, url=place.url)
