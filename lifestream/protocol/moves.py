"""A document that says of itself that it has moved: `itunes:new-feed-url`, or a `newLocation` in place of the feed.

It is told, and never followed by itself: whoever gets to write into a feed once could keep its readers for good. What a
server says by 301 or 308 is flow.py's to judge.
"""

from lifestream.protocol.hub import address_key
from lifestream.protocol.links import web_address
from lifestream.types import Feed

_SAID = "The feed says that it has moved to "


def moved_to(feed: Feed, *known: str) -> str:
    """Where to; "" where that is one of the addresses by which it is known."""
    address = web_address(feed.moved_to)
    return address if address and address_key(address) not in {address_key(url) for url in known} else ""


def trouble_of(feed: Feed, *known: str) -> str:
    """For the owner; "" where nothing was said."""
    address = moved_to(feed, *known)
    return f"{_SAID}{address}; change the source's address if you trust that." if address else ""


def still_said(trouble: str | None) -> str:
    """What was said before, where the document is the same."""
    return trouble if trouble and trouble.startswith(_SAID) else ""
