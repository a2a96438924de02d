"""What a text is found by: its words without case and accents. The search index, a query and the live filter share it,
so that they cannot disagree.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

LONGEST = 64
MOST_CHARS = 100_000
MOST_IN_QUERY = 20
# Scripts that write no spaces: each sign is a word, or nothing within a sentence could be found.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Of Latin, Greek, Cyrillic, Hebrew, Arabic and kana.
_ACCENT = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u3099\u309a]+"
)
_SIGN = re.compile(rf"[^\w{_UNSPACED}]+")
_WORD_BY_ITSELF = re.compile(f"[{_UNSPACED}]")
_ASCII = bytes(code if code > 127 or chr(code).isalnum() else ord(" ") for code in range(256)).lower()
"""ASCII without case and signs; the bytes of other letters stay."""


def words_of(text: str) -> list[str]:
    """The words in their order, folded, each bounded."""
    found = text[:MOST_CHARS].encode("ascii", _BEYOND_ASCII).translate(_ASCII).decode().split()
    return [word[:LONGEST] for word in found] if max(map(len, found), default=0) > LONGEST else found


def _plain(found: UnicodeError) -> tuple[bytes, int]:
    """A run of signs beyond ASCII in UTF-8. The encoder finds them in half of the time of a regular expression."""
    assert isinstance(found, UnicodeEncodeError)
    run = found.object[found.start : found.end]
    return _folded(run) if len(run) <= LONGEST else _folded.__wrapped__(run), found.end


_BEYOND_ASCII = "lifestream.words"
codecs.register_error(_BEYOND_ASCII, _plain)


@lru_cache(maxsize=10_000)
def _folded(run: str) -> bytes:
    """Without case, accents, width and signs; the same few come again and again."""
    run = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", run).casefold()).lower()
    return _WORD_BY_ITSELF.sub(r" \g<0> ", _SIGN.sub(" ", _ACCENT.sub("", run))).encode()


@lru_cache(maxsize=1000)
def query_words(query: str) -> tuple[str, ...]:
    """What to look for: every one of these must begin a word."""
    return tuple(dict.fromkeys(words_of(query)))[:MOST_IN_QUERY]


def folded(text: str) -> str:
    """A text as `found_in` looks into it."""
    return " " + " ".join(words_of(text))


def found_in(wanted: Iterable[str], there: str) -> bool:
    return all(f" {word}" in there for word in wanted)
