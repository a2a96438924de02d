"""Who is asking, and for what part of the stream: tokens, the owner's session, the filters of an address."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from lifestream.errors import InvalidInput, NotAllowed
from lifestream.site import Site
from lifestream.store import owner
from lifestream.types import KINDS, Audience, Filter, Near

MAY: Mapping[str, frozenset[str]] = {
    "read": frozenset({"read"}),
    "scrobble": frozenset({"scrobble"}),
    "write": frozenset({"read", "write", "scrobble"}),
    "owner": frozenset({"read", "write", "scrobble", "owner"}),
}
"""What a token of each scope may do."""
LONGEST_QUERY = 200
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Caller:
    """`scope` is a token's, or "owner" for the owner's session; empty for anybody."""

    scope: str = ""
    session: owner.Session | None = None

    @property
    def audience(self) -> Audience:
        return "owner" if self.may("read") else "public"

    @property
    def by_cookie(self) -> bool:
        return self.session is not None

    def may(self, what: str) -> bool:
        return what in MAY.get(self.scope, ())

    def must(self, what: str) -> None:
        """Raises NotAllowed unless the caller may do `what`."""
        if not self.scope:
            raise NotAllowed(f"This needs a token of scope {what}: Authorization: Bearer TOKEN.")
        if not self.may(what):
            raise NotAllowed(f"A token of scope {self.scope} may not do this; it needs scope {what}.", status=403)


def cookie_name(site: Site) -> str:
    """`__Host-` binds the cookie to this host and to https; plain http has to do without."""
    return "__Host-lifestream" if site.config.secure else "lifestream"


async def caller_of(site: Site, connection: HTTPConnection) -> Caller:
    """Raises NotAllowed for a token that is none: who sends one does not want to be taken for a stranger."""
    header = connection.headers.get("authorization", "")
    kind, _, token = header.partition(" ")
    if kind.lower() == "bearer":
        async with site.store.read() as db:
            scope = await owner.token_scope(db, token.strip())
        if scope is None:
            raise NotAllowed("This token is not known here; it may have been revoked.")
        site.uses.note(owner.digest(token.strip()), site.now())
        return Caller(scope)
    cookie = connection.cookies.get(cookie_name(site))
    if not cookie:
        return Caller()
    async with site.store.read() as db:
        session = await owner.session(db, cookie, site.now())
    return Caller("owner", session) if session else Caller()


async def may_follow(site: Site, connection: HTTPConnection) -> Audience:
    """As whom a caller follows the live stream. Raises NotAllowed."""
    caller = await caller_of(site, connection)
    if caller.by_cookie and connection.scope["type"] == "websocket" and not same_site(site, connection):
        # Cross-site WebSocket hijacking: a foreign page must not read the owner's stream with his cookie.
        raise NotAllowed("Other sites may not open this with a cookie.")
    return caller.audience


def same_site(site: Site, connection: HTTPConnection) -> bool:
    """Whether a request that a cookie gives power to comes from our own pages.

    The origin is the base URL's; or the Host's own where that is loopback or the base URL's name (its port may
    be another one, behind a tunnel or a container's mapping).
    """
    return _is_ours(site, connection, connection.headers.get("origin", ""))


def led_here(site: Site, connection: HTTPConnection) -> bool:
    """Whether our own page led a browser here, or none did: the address was typed. Older browsers say less of that, and
    over plain http all do."""
    said = connection.headers.get("sec-fetch-site")
    if said is not None:
        return said in ("same-origin", "none")
    return _is_ours(site, connection, connection.headers.get("referer", ""))


def _is_ours(site: Site, connection: HTTPConnection, address: str) -> bool:
    base = urlsplit(site.config.base_url)
    try:
        origin = urlsplit(address)
        host = urlsplit(f"//{connection.headers.get('host', '')}")
    except ValueError:  # an address in brackets that is none
        return False
    if (origin.scheme, origin.netloc) == (base.scheme, base.netloc):
        return True
    return origin.netloc == host.netloc and host.hostname in (*LOOPBACK_NAMES, base.hostname)


def wanted_of(query: Mapping[str, str]) -> Filter:
    """The filter that an address asks for. Raises InvalidInput for a kind that is none, or a place that is none."""
    kind = query.get("kind", "")
    if kind and kind not in KINDS:
        raise InvalidInput(f"“{kind[:40]}” is no kind of entry; the kinds are {', '.join(KINDS)}.")
    words = query.get("q", "").strip()
    if len(words) > LONGEST_QUERY:
        raise InvalidInput(f"The search is longer than {LONGEST_QUERY} characters.")
    near = _near(query["near"]) if query.get("near") else None
    return Filter(kind, query.get("source", ""), query.get("tag", ""), words, near)


def _near(text: str) -> Near:
    try:
        lat, lon, km = (float(part) for part in text.split(","))
    except ValueError:
        lat = lon = km = float("nan")
    if not (-90 <= lat <= 90 and -180 <= lon <= 180 and 0 < km <= 20_040):
        raise InvalidInput("`near` is latitude,longitude,kilometres, such as 51.5,-0.12,10.")
    return Near(lat, lon, km)
