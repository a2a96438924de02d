"""What a text is found by: its words without case and accents. The search index, a query and the live filter share it,
so that they cannot disagree.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

LONGEST = 64
MOST_CHARS = 100_000
MOST_IN_QUERY = 20
# Scripts that write no spaces: each sign is a word, or nothing within a sentence could be found.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
# Of Latin, Greek, Cyrillic, Hebrew, Arabic and kana.
_ACCENT = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u3099\u309a]+"
)
_PUNCTUATION = re.compile("[\xa0-\xbf\u2000-\u206f]+")
_BEYOND_ASCII = re.compile("[^\x00-\x7f]+")
_ASCII_SIGNS = {code: " " for code in range(128) if not chr(code).isalnum()}


def words_of(text: str) -> list[str]:
    """The words in their order, folded, each bounded."""
    text = text[:MOST_CHARS]
    if not text.isascii():
        text = _BEYOND_ASCII.sub(_plain, text)
    # Most texts are ASCII by now, and that is ten times as quick.
    found = text.lower().translate(_ASCII_SIGNS).split() if text.isascii() else _WORD.findall(text.lower())
    return [word[:LONGEST] for word in found] if max(map(len, found), default=0) > LONGEST else found


def _plain(found: re.Match[str]) -> str:
    run = found[0]
    return _folded(run) if len(run) <= LONGEST else _folded.__wrapped__(run)


@lru_cache(maxsize=10_000)
def _folded(run: str) -> str:
    """Signs beyond ASCII without case, accents and width; the same few come again and again."""
    run = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", run).casefold())
    return _PUNCTUATION.sub(" ", _ACCENT.sub("", run))


@lru_cache(maxsize=1000)
def query_words(query: str) -> tuple[str, ...]:
    """What to look for: every one of these must begin a word."""
    return tuple(dict.fromkeys(words_of(query)))[:MOST_IN_QUERY]


def folded(text: str) -> str:
    """A text as `found_in` looks into it."""
    return " " + " ".join(words_of(text))


def found_in(wanted: Iterable[str], there: str) -> bool:
    return all(f" {word}" in there for word in wanted)
