"""What is known of single publishers: each family of them is a file here, found by its name.

    wrote(raw, url, feed) -> bool       whether this entry is one of theirs; asked of every entry, so it must be cheap
    told(entry, raw, feed) -> Entry     the clean entry, with what they mean by their titles, links and markup
    GENERIC = True                      asked only where nobody else knows the entry

`told` is given clean markup and absolute addresses; what it takes for an address goes through `web_address`. Where it
cuts the markup, the rest is cleaned again, since half an element would spoil the page, and the summary is made anew.
"""

import pkgutil
from dataclasses import replace
from functools import cache
from importlib import import_module
from types import ModuleType

from lifestream.clean.html import clean_html, summary_of, text_of_clean
from lifestream.types import Entry, Feed, RawEntry


def told(entry: Entry, raw: RawEntry, feed: Feed) -> Entry:
    url = entry.url or ""
    for family in families():
        if family.wrote(raw, url, feed):
            return _whole(entry, family.told(entry, raw, feed))
    return entry


def _whole(entry: Entry, better: Entry) -> Entry:
    if better.content_html == entry.content_html:
        return better
    body = clean_html(better.content_html, "")
    return replace(better, content_html=body, summary=summary_of(text_of_clean(body)))


@cache
def families() -> tuple[ModuleType, ...]:
    """Every module of this package that can tell, those that know a publisher by name first."""
    modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return tuple(sorted((m for m in modules if hasattr(m, "wrote")), key=lambda m: getattr(m, "GENERIC", False)))
