"""Hubs that push feeds which do not say so."""

import re

_YOUTUBE = re.compile(
    r"https?://(?:www\.|m\.)?youtube\.com/(?:xml/)?feeds/videos\.xml\?((?:channel|playlist)_id=[\w-]+)"
)

# An address, and the hub and topic for it.
_KNOWN = (
    # https://developers.google.com/youtube/v3/guides/push_notifications
    (_YOUTUBE, "https://pubsubhubbub.appspot.com/", r"https://www.youtube.com/xml/feeds/videos.xml?\1"),
)


def known_hub(feed_url: str) -> tuple[str, str] | None:
    """The hub that pushes this feed, and what it calls it."""
    for address, hub, topic in _KNOWN:
        if found := address.fullmatch(feed_url):
            return hub, found.expand(topic)
    return None
