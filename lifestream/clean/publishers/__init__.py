"""What is known of single publishers: each family of them is a file here, found by its name.

    wrote(raw, url, feed) -> bool       whether this entry is one of theirs; asked of every entry, so it must be cheap
    told(entry, raw, feed) -> Entry     the clean entry, with what they mean by their titles, links and markup
    GENERATORS = ("Mastodon",)          asked only in feeds whose generator begins with one of these
    GENERIC = True                      asked only where nobody else knows the entry

`told` is given clean markup and absolute addresses; what it takes for an address goes through `web_address`. Where it
cuts the markup, the rest is cleaned again, since half an element would spoil the page, and the summary is made anew,
unless it made one itself.
"""

import pkgutil
from dataclasses import replace
from functools import cache, lru_cache
from importlib import import_module
from types import ModuleType

from lifestream.clean.html import clean_html, summary_of, text_of_clean
from lifestream.types import Entry, Feed, RawEntry


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    url = entry.url or ""
    for family in asked(feed.generator):
        if family.wrote(raw, url, feed):
            return _whole(entry, family.told(entry, raw, feed))
    return entry


def _whole(entry: Entry, better: Entry) -> Entry:
    if better.content_html == entry.content_html:
        return better
    body = clean_html(better.content_html, "")
    summary = summary_of(text_of_clean(body)) if better.summary == entry.summary else better.summary
    return replace(better, content_html=body, summary=summary)


@lru_cache(maxsize=100)
def asked(generator: str) -> tuple[ModuleType, ...]:
    """The families that may know an entry of such a feed."""
    return tuple(family for family in families() if generator.startswith(getattr(family, "GENERATORS", "")))


@cache
def families() -> tuple[ModuleType, ...]:
    """Every module of this package that can tell, those that know a publisher by name first."""
    modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return tuple(sorted((m for m in modules if hasattr(m, "wrote")), key=lambda m: getattr(m, "GENERIC", False)))
