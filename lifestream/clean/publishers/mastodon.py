"""Mastodon's RSS: what it warns of stands at the beginning of the content, in its author's language, above a line."""

import re
from dataclasses import replace

from lifestream.clean.html import summary_of, text_of_clean
from lifestream.types import Entry, Feed, RawEntry

GENERATORS = ("Mastodon",)
_WARNING = re.compile(r"<p><strong>[^<>]*</strong>([^<>]+)</p>\s*<hr>")
WARNING_CHARS = 500


def wrote(raw: RawEntry, url: str, feed: Feed) -> bool:
    return True


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    found = _WARNING.match(entry.content_html)
    warning = text_of_clean(found[1])[:WARNING_CHARS] if found else ""
    if found is None or not warning:
        return entry
    return replace(
        entry,
        title=entry.title or warning,
        content_html=entry.content_html[found.end() :].strip(),
        summary=summary_of(warning),
        data={**entry.data, "content_warning": warning},
    )
