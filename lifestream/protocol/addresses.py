"""Where outgoing requests may go: the shape of a URL, the space an IP address lies in, and the owner's exceptions.

A name is judged by what it resolves to, so `client.py` asks `is_public` about the very address it is about to dial;
spellings such as 127.1 or 0x7f000001 need no rule of their own here.
"""

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from urllib.parse import quote, urlsplit

MAX_URL = 8192

# WHATWG Fetch, "bad port": what listens there is no web server, and can be made to act on a request's lines.
BAD_PORTS = frozenset((
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531,
    532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060,
    5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
))  # fmt: skip

# IANA's registries of special-purpose addresses (RFC 6890). `ipaddress.is_global` is no substitute: it calls multicast,
# 192.0.0.8, 6to4 and NAT64 global.
_SPECIAL_V4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # "this network", RFC 1122
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # shared by a provider's customers, RFC 6598
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and every cloud's metadata service
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks, RFC 2544
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_UNICAST_V6 = IPv6Network("2000::/3")
"""All that IANA gives out. Loopback, ULA, link-local, multicast, NAT64 (64:ff9b::/96) and 5f00::/16 lie outside."""
_SPECIAL_V6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo with an IPv4 address inside, ORCHID, benchmarks
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4: an IPv4 address inside, RFC 3056
        "3fff::/20",  # documentation, RFC 9637
    )
)

_SCHEME = re.compile(r"(?:about|https?|javascript|mailto|tel|urn|vbscript):|data:(?!\d)", re.I)
"""Before a colon these are no host's name, though what follows may look like a port."""
_UNWANTED = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_HOST = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")
_PRINTABLE = "!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\""
"""Left alone when a path or query is written in ASCII: a hub compares topics byte for byte (WebSub 5.1)."""


@dataclass(frozen=True)
class Networks:
    """Networks and host names somebody set apart, as LIFESTREAM_ALLOW_NETWORKS and LIFESTREAM_TRUSTED_PROXIES do."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "Networks":
        """`127.0.0.0/8, ::1, gitea.lan`: networks, single addresses, names. Raises ValueError naming the bad piece."""
        networks: list[IPv4Network | IPv6Network] = []
        hosts: set[str] = set()
        for piece in filter(None, (piece.strip() for piece in text.split(","))):
            try:
                networks.append(ip_network(piece.strip("[]"), strict=False))
            except ValueError:
                hosts.add(_name(piece))
        return cls(tuple(networks), frozenset(hosts))

    def allows(self, address: IPv4Address | IPv6Address, host: str = "") -> bool:
        """`host` is the name that was asked for `address`, as `check_url` spells it."""
        if host in self.hosts:
            return True
        plain = _unmapped(address)
        return any(address in network or plain in network for network in self.networks)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether the address is anybody's to reach; everything that is set apart for a purpose is not."""
    plain = _unmapped(address)
    if isinstance(plain, IPv4Address):
        return not any(plain in network for network in _SPECIAL_V4)
    return plain in _UNICAST_V6 and not any(plain in network for network in _SPECIAL_V6)


def with_scheme(typed: str) -> str:
    """An address as people type it, `blog.example/feed` and `gitea:3000` too, with the scheme that it lacks."""
    typed = typed.strip()
    return typed if "://" in typed or _SCHEME.match(typed) else f"https://{typed}"


def check_url(url: str) -> str:
    """The URL in ASCII, scheme and host in small letters, without a default port or fragment; else a ValueError."""
    url = url.strip(" \t\r\n")
    if len(url) > MAX_URL:
        raise ValueError(f"An address may have {MAX_URL} characters; this one has {len(url)}.")
    if _UNWANTED.search(url):
        raise ValueError("The address holds control characters; copy it anew without line breaks.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("The address cannot be read: its host or port is malformed.") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("The address must start with http:// or https://.")
    if "@" in parts.netloc:
        raise ValueError("The address holds a user name or password before an @; leave them out.")
    if not host:
        raise ValueError("The address names no host.")
    if port in BAD_PORTS:
        raise ValueError(f"Port {port} belongs to another protocol than HTTP; browsers refuse it too.")
    netloc = _bracketed(parts.netloc, host) if "[" in parts.netloc else _ascii_host(host)
    if port is not None and port != (80 if parts.scheme == "http" else 443):
        netloc += f":{port}"
    query = "?" + quote(parts.query, safe=_PRINTABLE) if "?" in url.partition("#")[0] else ""
    checked = f"{parts.scheme}://{netloc}{quote(parts.path, safe=_PRINTABLE) or '/'}{query}"
    if len(checked) > MAX_URL:
        raise ValueError(f"An address may have {MAX_URL} characters; this one has {len(checked)} in ASCII.")
    return checked


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """::ffff:10.0.0.1 is dialled as 10.0.0.1, so it is judged as that (RFC 4291, section 2.5.5.2)."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _bracketed(netloc: str, host: str) -> str:
    """An IPv6 address. Zones (fe80::1%eth0) mean something on one machine only, and are refused."""
    try:
        if not netloc.startswith("[") or "%" in host:
            raise ValueError
        return f"[{IPv6Address(host)}]"
    except ValueError:
        raise ValueError("The address has a host in brackets that is no IPv6 address.") from None


def _ascii_host(host: str) -> str:
    """A name as DNS has it. Unicode is mapped as browsers do (UTS 46, non-transitional), but by NFKC, not by its table.

    What differs between the two gives a name that does not resolve; it cannot slip past a check, as only the address
    that the result resolves to is checked.
    """
    name = unicodedata.normalize("NFKC", host.translate(_DOTS)[:256]).lower() if not host.isascii() else host.lower()
    name = name.removesuffix(".")
    if not name.isascii() and len(name) <= 253:
        name = ".".join(x if x.isascii() else "xn--" + x.encode("punycode").decode() for x in name.split("."))
    if len(host) > 253 or len(name) > 253 or not _HOST.fullmatch(name):
        raise ValueError("The address has a host that cannot be a name on the internet.")
    return name


def _name(piece: str) -> str:
    """A piece of a list of networks that is none; all-digit "names" are mistyped addresses."""
    try:
        if re.fullmatch(r"[\d.:/]+", piece):
            raise ValueError
        return _ascii_host(piece)
    except ValueError:
        example = "192.168.1.0/24, 127.0.0.1 or gitea.lan"
        raise ValueError(f"{piece!r} is no network, address or host name, such as {example}.") from None
