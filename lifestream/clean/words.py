"""What a text is found by: its words without case and accents. The search index, a query and the live filter share it,
so that they cannot disagree.
"""

import re
import unicodedata

LONGEST = 64
MOST_CHARS = 100_000
MOST_IN_QUERY = 20
# Scripts that write no spaces: each sign is a word, or nothing within a sentence could be found.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")


def words_of(text: str) -> list[str]:
    """The words in their order, folded, each bounded."""
    text = text[:MOST_CHARS]
    if text.isascii():
        found = _ASCII_WORD.findall(text.lower())
    else:
        decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        found = _WORD.findall("".join(sign for sign in decomposed if not unicodedata.combining(sign)))
    return [word[:LONGEST] for word in found]


def query_words(query: str) -> list[str]:
    """What to look for: every one of these must begin a word."""
    return list(dict.fromkeys(words_of(query)))[:MOST_IN_QUERY]


def found_in(wanted: list[str], text: str) -> bool:
    there = " " + " ".join(words_of(text))
    return all(f" {word}" in there for word in wanted)
