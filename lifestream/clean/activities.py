"""How what people did on social networks is told: the words of machines out, what was shared or liked quoted, what was
warned of kept apart.
"""

import re
from collections.abc import Mapping

from lifestream.clean.html import quoted, text_of_clean
from lifestream.types import Kind, RawEntry

QUOTING: frozenset[Kind] = frozenset({"like", "repost", "bookmark"})
_TITLED = ("article", "blog-entry")
_NOTES = ("note", "comment", "status")
ABOUT = ("url", "title", "author", "type")
"""What is kept of the thing that somebody liked, shared or followed."""
# What GNU social, Mastodon and Pleroma write where Atom must have a title.
_BY_MACHINE = re.compile(
    r"(?:New \w+|Status|Note|Favorite|Favourite|Like) by (\S+)|(?:New )?(?:note|comment|status|favorite|favourite|like)"
    r"|.+ \(\S+\)'s status on \w+, \d\d-\w+-\d{4} [\d:]+ \w+|Untitled",
    re.I,
)


def own_title(title: str, raw: RawEntry, text: str) -> str:
    """The title, unless a machine made it up or cut it out of the text's beginning."""
    if not title:
        return ""
    written = raw.object_type.endswith(_TITLED)
    if (raw.verb or raw.object_type) and not written and (title == text or _BY_MACHINE.fullmatch(title)):
        return ""
    beginning = title.removesuffix("…").removesuffix("...").rstrip()
    return "" if len(beginning) < len(title) and beginning and text.startswith(beginning) else title


def warning_of(raw: RawEntry) -> str:
    """A note has no summary: what Mastodon and Pleroma write there is a warning of the content."""
    noted = raw.object_type.strip().rstrip("/").rpartition("/")[2].lower() in _NOTES
    if not noted or raw.summary is None or raw.content is None or raw.summary.html:
        return ""
    return " ".join(raw.summary.value.split())


def told_about(about: Mapping[str, str], own_url: str) -> dict[str, str]:
    """What may be said of the thing. A title that a machine made names at least the author."""
    found = {name: about[name] for name in ABOUT if about.get(name)}
    if found.get("url") == own_url:
        del found["url"]
    if machine := _BY_MACHINE.fullmatch(found.get("title", "")):
        del found["title"]
        if machine[1] and found.get("type") != "person":
            found.setdefault("author", machine[1])
    return found


def quoting(body: str, about: Mapping[str, str]) -> str:
    """What was liked or shared as a quotation, after what is said of it, if that is more than the same once again."""
    thing = about.get("content_html", "")
    if not thing:
        return body
    said, again = text_of_clean(body), text_of_clean(thing)
    own = "" if again and _alike(again) in _alike(said) else body
    cite = f' cite="{quoted(about["url"])}"' if about.get("url") else ""
    return f"{own}<blockquote{cite}>{thing}</blockquote>"


def _alike(text: str) -> str:
    return "".join(text.split()).casefold()
