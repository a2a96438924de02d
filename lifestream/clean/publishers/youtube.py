"""YouTube: the player it names plays nothing any more; its film is the page where one can watch it."""

from dataclasses import replace

from lifestream.types import Entry, Feed, RawEntry


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return raw.id.startswith("yt:video:")


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    media = tuple(
        replace(medium, url=entry.url or medium.url) if "youtube.com/v/" in medium.url else medium
        for medium in entry.media
    )
    return replace(entry, kind="video", media=media)
