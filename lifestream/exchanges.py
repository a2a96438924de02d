"""What goes over the wire, as it comes about.

    with site.exchanges.asking("fetch", feed_ids=[feed.id]):   # what client.py sends meanwhile is written down
        ...
    @recorded("push")                                          # so is what comes to this door (receive/recorded.py)
    async def receive(request: Request) -> Response: ...

Whoever does the work says here what came of it; recorder.py writes it down.
"""

from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar, Token
from time import monotonic, time
from types import TracebackType

from lifestream.errors import LifestreamError
from lifestream.protocol.masking import Fields
from lifestream.store.exchanges import Direction

MOST_BYTES = 64 * 1024
"""Of a body that are kept; and of a cut one `RAGGED` less, where half a secret may stand."""
RAGGED = 1000
MOST_OF_STRANGERS = 2048 + RAGGED
"""Of a body, and of the header, that came from a stranger: anybody may write here, and is not to fill the disk."""

Known = Sequence[str]
"""Secrets that may stand anywhere in an exchange: they are not kept."""


class Exchange:
    """A request and its answer, as they come about. Cheap to make: what is kept of it is made when it is written."""

    __slots__ = (
        "_began", "about", "alike", "answer_body", "answer_headers", "answer_size", "at", "detail", "direction",
        "feed_ids", "host_only", "known", "method", "open_until", "outcome", "request_body", "request_headers",
        "request_size", "slug", "status", "steps", "stranger", "took", "tracked", "url", "what",
    )  # fmt: skip

    def __init__(
        self,
        direction: Direction,
        what: str,
        *,
        feed_ids: tuple[int, ...] = (),
        slug: str = "",
        about: str = "",
        known: Known = (),
        host_only: bool = False,
    ) -> None:
        self.at = time()
        self._began = monotonic()
        self.direction = direction
        self.what = what
        self.feed_ids = feed_ids
        self.slug = slug
        self.about = about
        self.known = known
        self.host_only = host_only
        """The path of `url` is somebody's password: only its host is kept."""
        self.stranger = direction == "in"
        """Sent by somebody who has neither shown a key nor been told of this address, as far as the door has said."""
        self.method = ""
        self.url = ""
        self.request_headers: Fields = ()
        self.request_body = b""
        self.request_size = 0
        self.status: int | None = None
        self.answer_headers: Fields = ()
        self.answer_body = b""
        self.answer_size = 0
        self.took = 0.0
        self.outcome = ""
        self.detail = ""
        self.steps: list[tuple[str, float, str]] = []
        self.alike = 0
        self.tracked = False
        self.open_until = 0.0

    def step(self, name: str, detail: str = "") -> None:
        self.steps.append((name, self._ms(), detail))

    def says(self, outcome: str, detail: str) -> None:
        self.outcome, self.detail = outcome, detail

    def sent(self, method: str, url: str, headers: Fields, body: bytes) -> None:
        self.method, self.url, self.request_headers = method, url, headers
        self.carried(body)

    def carried(self, body: bytes) -> None:
        """The request's body, which may come later than its header."""
        self.request_body, self.request_size = body[:MOST_BYTES], len(body)

    def answered(self, status: int, headers: Fields, body: bytes) -> None:
        self.took = self._ms()
        self.status, self.answer_headers = status, headers
        self.answer_body, self.answer_size = body[:MOST_BYTES], len(body)

    def failed(self, error: BaseException) -> None:
        """No answer, or none that was of use."""
        self.took = self.took or self._ms()
        said = isinstance(error, LifestreamError)
        self.says("failed", str(error) if said else f"Broken off: {type(error).__name__}.")

    def end(self) -> None:
        """Where nobody said what came of it, its status does."""
        self.took = self.took or self._ms()
        if not self.outcome:
            trouble = "refused" if self.direction == "in" and self.status and self.status < 500 else "failed"
            self.outcome = "ok" if self.status is not None and self.status < 400 else trouble

    def cut(self) -> None:
        """Keeps no more of it than of what a stranger sends."""
        self.request_body = self.request_body[:MOST_OF_STRANGERS]
        self.answer_body = self.answer_body[:MOST_OF_STRANGERS]
        self.request_headers = _up_to(MOST_OF_STRANGERS, self.request_headers)

    def _ms(self) -> float:
        return (monotonic() - self._began) * 1000


class Asking:
    """Why requests go out at the moment; and those that went."""

    def __init__(self, make: Callable[[], Exchange], add: Callable[[Exchange], None]) -> None:
        """`make` begins one of them, `add` takes it when it is over."""
        self._make = make
        self._add = add
        self._token: Token[Asking | None] | None = None
        self.made: list[Exchange] = []

    def __enter__(self) -> "Asking":
        self._token = _asking.set(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: TracebackType | None) -> None:
        assert self._token is not None
        _asking.reset(self._token)
        if error is not None and self.made:
            self.made[-1].failed(error)
        for exchange in self.made:
            self._add(exchange)

    def call(self, method: str, url: str, headers: Fields, body: bytes) -> Exchange:
        exchange = self._make()
        exchange.sent(method, url, headers, body)
        self.made.append(exchange)
        return exchange

    def step(self, name: str, detail: str = "") -> None:
        if self.made:
            self.made[-1].step(name, detail)

    def says(self, outcome: str, detail: str) -> None:
        if self.made:
            self.made[-1].says(outcome, detail)


_asking: ContextVar[Asking | None] = ContextVar("asking", default=None)
_coming: ContextVar[Exchange | None] = ContextVar("coming", default=None)


def comes_in(exchange: Exchange) -> None:
    """What is done from now on in this context is done for this request."""
    _coming.set(exchange)


def concerns(feed_ids: Iterable[int]) -> None:
    """The request that is being answered is about these feeds."""
    if exchange := _coming.get():
        exchange.feed_ids = tuple(feed_ids)


def calling(method: str, url: str, headers: Fields, body: bytes) -> Exchange | None:
    """What the client is about to send, if anybody wants it written down."""
    asking = _asking.get()
    return asking.call(method, url, headers, body) if asking else None


def step(name: str, detail: str = "") -> None:
    """Something was done with what the last request of this conversation brought."""
    if asking := _asking.get():
        asking.step(name, detail)


def says(outcome: str, detail: str) -> None:
    """What came of the last request of this conversation."""
    if asking := _asking.get():
        asking.says(outcome, detail)


def keep_out(secrets: Iterable[str]) -> None:
    """Whatever the request that is being answered says of these is not kept."""
    if exchange := _coming.get():
        exchange.known = (*exchange.known, *secrets)


def _up_to(most: int, fields: Fields) -> Fields:
    """The first of them, whole."""
    kept = []
    for name, value in fields:
        most -= len(name) + len(value)
        if most < 0:
            break
        kept.append((name, value))
    return kept
