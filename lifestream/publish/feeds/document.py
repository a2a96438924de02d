"""What a feed of ours says, before it is written in one format or another, and the words that all of them share."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lifestream.config import Config
from lifestream.protocol.topics import Topic
from lifestream.types import Entry, Kind, Source, Stored

NAMESPACE = uuid.UUID("6c696665-7374-5265-a06d-656e74726965")
"""What the entries' ids are made under; fixed, so that they never change."""
TITLE_CHARS = 80

VERBS: Mapping[Kind, str] = {
    "like": "like", "repost": "share", "bookmark": "save", "follow": "follow", "checkin": "checkin",
    "listen": "listen", "watch": "watch", "code": "push",
}  # fmt: skip
"""ActivityStreams 1.0: what somebody did, where the entry itself says no more than that it was posted."""
OBJECT_TYPES: Mapping[Kind, str] = {
    "article": "article", "note": "note", "photo": "photo", "video": "video", "audio": "audio", "reply": "comment",
    "event": "event", "release": "release",
}  # fmt: skip
"""And what kind of thing it is that was posted."""


@dataclass(frozen=True, slots=True)
class Document:
    """`gone` are the tombstones: (an entry's id, when it went), newest first. `seq` is the newest change in it."""

    config: Config
    topic: Topic
    title: str
    source: Source | None
    """Where the feed is that of one source."""
    entries: Sequence[Stored]
    gone: Sequence[tuple[str, datetime]]
    seq: int

    @property
    def self_url(self) -> str:
        return self.config.base_url + self.topic.path

    @property
    def page_url(self) -> str:
        return self.config.base_url + self.topic.page

    @property
    def author(self) -> str:
        return self.config.author or site_title(self.config)

    @property
    def picture_url(self) -> str:
        """The owner's picture; empty where there is none."""
        return self.config.picture_path and self.config.base_url + self.config.picture_path

    def entry_url(self, stored: Stored) -> str:
        return f"{self.config.base_url}/entries/{stored.id}"

    def feed_of(self, stored: Stored) -> str:
        """The address of the feed of the entry's own source, in this format."""
        return f"{self.config.base_url}/sources/{stored.source.slug}/feed.{self.topic.format}"


def site_title(config: Config) -> str:
    return config.title or (f"{config.author}'s stream" if config.author else "Lifestream")


def urn(public_id: str) -> str:
    """An entry's id in every feed: the same wherever this site lives."""
    return uuid.uuid5(NAMESPACE, public_id).urn


def verb_of(entry: Entry) -> str:
    return entry.verb if entry.verb != "post" else VERBS.get(entry.kind, "post")


def about_of(entry: Entry) -> dict[str, str]:
    """The thing that was liked, shared or followed: `url`, `title`, `author`, `type`, as far as known."""
    about = entry.data.get("about")
    return {name: value for name, value in about.items() if isinstance(value, str)} if isinstance(about, dict) else {}


def shortened(text: str) -> str:
    """The beginning, marked as such, for where a title must stand and there is none."""
    return text if len(text) <= TITLE_CHARS else text[: TITLE_CHARS - 1].rstrip() + "…"


def rfc3339(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
