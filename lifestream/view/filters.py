"""A part of the stream as its readers see it: what it is called, and the address of its page."""

from urllib.parse import urlencode

from lifestream.types import Filter
from lifestream.view.words import PLURALS

OFFERED = ("article", "note", "photo", "listen", "code", "release", "like", "checkin")
"""The kinds that the filters offer; the others have an address too."""


def stream_url(wanted: Filter, **changed: str) -> str:
    """The page that shows `wanted`, with some of it changed."""
    return asked(wanted, "/", **changed)


def asked(wanted: Filter, path: str, **changed: str) -> str:
    """The same of another page."""
    near = wanted.near
    query = {
        "kind": wanted.kind,
        "source": wanted.source,
        "tag": wanted.tag,
        "near": f"{near.lat},{near.lon},{near.km}" if near else "",
        "q": wanted.q,
    } | changed
    given = urlencode({name: value for name, value in query.items() if value})
    return f"{path}?{given}" if given else path


def filter_title(wanted: Filter) -> str:
    """A filter in words, as a heading."""
    parts = [PLURALS.get(wanted.kind, "Everything")]
    if wanted.source:
        parts.append(f"from {wanted.source}")
    if wanted.tag:
        parts.append(f"tagged “{wanted.tag}”")
    if wanted.near:
        parts.append(f"within {wanted.near.km:g} km of {wanted.near.lat:.2f}, {wanted.near.lon:.2f}")
    if wanted.q:
        parts.append(f"with the words “{wanted.q}”")
    return " ".join(parts)
