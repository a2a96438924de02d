"""Marks the words that were searched for, in a card that is finished markup: in its text only, never inside a tag."""

import html
import re
from collections.abc import Sequence

from markupsafe import escape

from lifestream.clean.words import query_words, words_of

_TAG = re.compile(r"""(<[a-zA-Z/!](?:"[^"]*"|'[^']*'|[^>"'])*>)""")
_RUN = re.compile(r"\w+")
_META = re.compile(r'<p class="meta".*?</p>', re.S)


def marked(card: str, query: str) -> str:
    """The card with each word that begins as one of the query's does inside <mark>. What stands above its words, when
    and where from, is not searched and not marked."""
    wanted = query_words(query)
    meta = _META.search(card)
    start = meta.end() if meta else 0
    return card[:start] + "".join(_pieces(card[start:], wanted))


def _pieces(markup: str, wanted: Sequence[str]) -> list[str]:
    pieces = []
    inside = 0
    for number, piece in enumerate(_TAG.split(markup)):
        if number % 2 == 0:
            pieces.append(piece if inside or not piece.strip() else _marked_text(html.unescape(piece), wanted))
            continue
        if piece.startswith("<svg"):
            inside += 1
        elif piece.startswith("</svg"):
            inside -= 1
        pieces.append(piece)
    return pieces


def _marked_text(text: str, wanted: Sequence[str]) -> str:
    pieces = []
    end = 0
    for run in _RUN.finditer(text):
        if any(word.startswith(tuple(wanted)) for word in words_of(run[0])):
            pieces.append(f"{escape(text[end : run.start()])}<mark>{escape(run[0])}</mark>")
            end = run.end()
    return "".join(pieces) + str(escape(text[end:]))
