"""A day in one sentence, from its counts. Each number is a part of its own: a link, whose words can change in place."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from lifestream.view import words

CLAUSES = 3


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the sentence: words, or "3 photos", where `kind` is what is counted."""

    text: str
    kind: str = ""
    one: str = ""
    many: str = ""


Sentence = tuple[Part, ...]


def of_today(amounts: Mapping[str, int], *, author: str, lang: str) -> Sentence:
    """`amounts` has how much there is of each kind."""
    return _sentence(f"Today {author}" if author else "Today:", amounts, named=bool(author), lang=lang)


def of_quiet_day(last: date, amounts: Mapping[str, int], today: date, *, author: str, lang: str) -> Sentence:
    """There is nothing yet today; `amounts` are those of the last day that had any."""
    when = _when(last, today)
    opening = f"{when} {author}" if author else f"{when}:"
    return Part("Nothing yet today. "), *_sentence(opening, amounts, named=bool(author), lang=lang)


def of_past_day(day: date, amounts: Mapping[str, int], *, author: str, lang: str) -> Sentence:
    when = f"On {words.weekday(day)} {words.date_words(day)}"
    if not any(amounts.values()):
        return (Part(f"{when} nothing happened here."),)
    return _sentence(f"{when} {author}" if author else f"{when}:", amounts, named=bool(author), lang=lang)


def text_of(sentence: Sentence) -> str:
    return "".join(part.text for part in sentence)


def _sentence(opening: str, amounts: Mapping[str, int], *, named: bool, lang: str) -> Sentence:
    kinds = [kind for kind in words.DOINGS if amounts.get(kind)][:CLAUSES]
    between = (*words.separators(len(kinds), lang), ".")
    parts = []
    for kind, separator in zip(kinds, between, strict=True):
        doing = words.DOINGS[kind]
        if named:
            parts.append(Part(f"{doing.verb} "))
        parts += [Part(doing.counted(amounts[kind]), kind, doing.one, doing.many), Part(separator)]
    return (Part(f"{opening} "), *parts)


def _when(day: date, today: date) -> str:
    days = (today - day).days
    if days == 1:
        return "Yesterday"
    if days < 7:
        return f"On {words.weekday(day)}"
    return f"On {words.date_words(day)}"
