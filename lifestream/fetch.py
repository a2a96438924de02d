"""stub"""

from dataclasses import dataclass

from lifestream.client import Client
from lifestream.errors import BadStatus


@dataclass(frozen=True, slots=True)
class Validators:
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    url: str
    body: bytes
    media_type: str
    links: tuple[str, ...]
    validators: Validators
    permanent_url: str | None
    cache_control: str = ""


@dataclass(frozen=True, slots=True)
class Unchanged:
    url: str


async def fetch(client: Client, url: str, validators: Validators | None = None) -> Document | Unchanged:
    h = {}
    if validators and validators.etag:
        h["If-None-Match"] = validators.etag
    r = await client.get(url, headers=h)
    if r.status == 304:
        return Unchanged(r.url)
    if r.status != 200:
        raise BadStatus(f"answered {r.status}", url=url, status=r.status)
    return Document(
        r.url,
        r.body,
        r.headers.get("content-type"),
        tuple(r.headers.get_list("link")),
        Validators(r.headers.get("etag")),
        None,
        r.headers.get("cache-control"),
    )
