"""One GET of a document, conditional where we have been before (RFC 9110, section 13). What it says is for `parse/`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from lifestream.client import Client, Response
from lifestream.errors import BadStatus
from lifestream.protocol.caching import retry_after_seconds

ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9, "
    "application/xml;q=0.8, text/xml;q=0.8, text/html;q=0.7, application/activity+json;q=0.6, application/json;q=0.6, "
    "*/*;q=0.5"
)
LONGEST_VALIDATOR = 1000


@dataclass(frozen=True, slots=True)
class Validators:
    """What the server gave with a document, to ask later whether it is still the same: passed back as it came."""

    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """`media_type` is the whole Content-Type, `links` the values of the Link headers; `url` is where it was found."""

    url: str
    body: bytes
    media_type: str
    links: tuple[str, ...]
    validators: Validators
    permanent_url: str | None
    cache_control: str
    retry_after: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    """It is still the document that the validators were given for."""

    url: str
    validators: Validators
    cache_control: str
    permanent_url: str | None = None


async def fetch(client: Client, url: str, validators: Validators | None = None) -> Document | Unchanged:
    """The document at `url`, after redirects; or that it is unchanged. Raises FetchError."""
    asked = validators or Validators()
    headers = {"Accept": ACCEPT}
    if asked.etag:
        headers["If-None-Match"] = asked.etag
    if asked.last_modified:
        headers["If-Modified-Since"] = asked.last_modified
    response = await client.get(url, headers=headers)
    given = response.headers.get
    if 200 <= response.status < 300:
        return Document(
            url=response.url,
            body=response.body,
            media_type=given("content-type"),
            links=tuple(response.headers.get_list("link")),
            validators=_validators(response),
            permanent_url=response.permanent_url,
            cache_control=_cache_control(response),
            retry_after=given("retry-after"),
        )
    if response.status == 304 and asked != Validators():
        fresh = _validators(response)
        kept = Validators(fresh.etag or asked.etag, fresh.last_modified or asked.last_modified)
        return Unchanged(response.url, kept, _cache_control(response), response.permanent_url)
    raise BadStatus(
        _sentence(response),
        url=response.url,
        status=response.status,
        retry_after=retry_after_seconds(given("retry-after"), datetime.now(UTC)),
    )


def _validators(response: Response) -> Validators:
    """An overlong one is as good as none: it would go out again with every request, and some server would refuse it."""
    etag, modified = response.headers.get("etag"), response.headers.get("last-modified")
    return Validators(
        etag if len(etag) <= LONGEST_VALIDATOR else "", modified if len(modified) <= LONGEST_VALIDATOR else ""
    )


def _cache_control(response: Response) -> str:
    """Fields of one name are one list (RFC 9110, section 5.3)."""
    return ", ".join(response.headers.get_list("cache-control"))


def _sentence(response: Response) -> str:
    host = urlsplit(response.url).hostname
    match response.status:
        case 404:
            return f"{host} has nothing at this address (404); look up the feed's address anew."
        case 410:
            return f"{host} says that this is gone for good (410); remove the source or give it another address."
        case 401 | 403:
            return f"{host} does not let us read this ({response.status}); it may want a login or refuse programs."
        case 429:
            return f"{host} asks us to come less often (429); the next look waits for that."
        case 304:
            return f"{host} says that nothing changed (304), but was not asked that; its cache is at fault."
        case status if status >= 500:
            return f"{host} has trouble of its own ({status}); try again later."
        case status if 300 <= status < 400:
            return f"{host} redirects without saying where to ({status}); use the address that it means."
        case status:
            return f"{host} answered {status} instead of a document; check the address."
