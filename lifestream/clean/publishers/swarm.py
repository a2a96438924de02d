"""Swarm and Foursquare: every entry is a check-in, with a photo or without one, and its title is the place."""

import re
from dataclasses import replace

from lifestream.types import Entry, Feed, Location, RawEntry

_CHECKIN = re.compile(r"https?://(?:www\.)?(?:swarmapp\.com/(?:c/|.*checkin/)|foursquare\.com/.*checkin/)")


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return ("swarmapp.com/" in url or "foursquare.com/" in url) and bool(_CHECKIN.match(url))


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    at = entry.location
    named = Location(at.lat, at.lon, at.name or (entry.title or "")[:200]) if at else None
    return replace(entry, kind="checkin", verb="checkin", location=named)
