"""Everything that can go wrong and be told to somebody.

    LifestreamError
    ├── ConfigError            a setting is unknown or bad; the start stops
    ├── SetupError             the machine or database is not as it must be; `doctor` says the same
    ├── InvalidInput           what was asked makes no sense; nothing was changed
    ├── PayloadTooLarge        what was sent to us is over the limit
    ├── NotFound               no such source, entry, token
    ├── Gone                   it was there and was deleted
    ├── Conflict               it is there already, or is of the wrong kind for this
    ├── NotAllowed             no token or session, or one that may not do this
    ├── Restarting             this process ends just now; ask again
    ├── TooBusy                too much is asked of us just now, by all together
    ├── TooManyRequests        come back later; carries `retry_after` in seconds
    ├── FetchError             an outgoing request failed; carries `url`
    │   ├── BadAddress         not an http(s) address we may ask: scheme, port, private space
    │   ├── Unreachable        no DNS answer, connection refused, TLS failed, cut off
    │   ├── TimedOut
    │   ├── TooLarge           the answer, after decompression, is over the limit
    │   ├── TooManyRedirects
    │   └── BadStatus          an answer outside 2xx and 304; carries `status`
    ├── ParseError             the document is no feed we can read
    │   └── ParseTimeout       reading it took too long or too much memory; the reader was stopped
    └── UnfitPicture           what should be a picture is none that can be shown

Each message is one sentence a person can act on: what, why, and where it helps what to do next.
"""


class LifestreamError(Exception):
    """Base of all of them; `str()` is the sentence for people."""


class ConfigError(LifestreamError):
    pass


class SetupError(LifestreamError):
    pass


class InvalidInput(LifestreamError):
    pass


class PayloadTooLarge(LifestreamError):
    pass


class NotFound(LifestreamError):
    pass


class Gone(LifestreamError):
    pass


class Conflict(LifestreamError):
    pass


class NotAllowed(LifestreamError):
    def __init__(self, message: str, *, status: int = 401) -> None:
        super().__init__(message)
        self.status = status


class Restarting(LifestreamError):
    pass


class TooBusy(LifestreamError):
    pass


class TooManyRequests(LifestreamError):
    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FetchError(LifestreamError):
    """`url` is the address that failed (after redirects: the hop that did)."""

    def __init__(self, message: str, *, url: str) -> None:
        super().__init__(message)
        self.url = url


class BadAddress(FetchError):
    pass


class Unreachable(FetchError):
    pass


class TimedOut(FetchError):
    pass


class TooLarge(FetchError):
    pass


class TooManyRedirects(FetchError):
    pass


class BadStatus(FetchError):
    """`retry_after` is in seconds, when the server gave one."""

    def __init__(self, message: str, *, url: str, status: int, retry_after: float | None = None) -> None:
        super().__init__(message, url=url)
        self.status = status
        self.retry_after = retry_after


class ParseError(LifestreamError):
    pass


class ParseTimeout(ParseError):
    pass


class UnfitPicture(LifestreamError):
    pass
