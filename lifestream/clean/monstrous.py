"""Markup that a browser's rules make take very long to read, as nobody writes who has something to say.

html5ever takes time by the square of what is nested, of attributes in one tag, of formatting that is left open
(measured: 200,000 nested <div> take minutes). What has so much of it is shown as text.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

_DEPTH = 256
_ELEMENTS = 2000  # so few take no time, however they are nested
_COPIED_CHARS = 20_000_000  # no more comes of elements that are made anew in each that begins
_STEPS = 40_000_000  # a third of a second
_STEPS_OF_FORMATTING, _STEPS_OF_FORMATTING_CHAR = 40, 4
_STEPS_OF_STRAYING = 1000
_CROWDED_CHARS = 10_000
_NAMES_SQUARED = 40_000**2  # of the attributes of one tag
_REFERENCES = 150_000
_EQUAL_SIGNS = 50_000
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")
_NEVER_NESTED = frozenset(
    "area base br col dd dt embed hr img input li link meta option p param rp rt source tbody td tfoot th thead tr"
    " track wbr".split()
)

# What every reader of HTML takes for the same tag, comment or instruction: no "<" within, and no quote left open.
_ATTRIBUTE_MEANT = r"""[^\s"'<>=/]++(?:[ \t\n\f\r]*+=[ \t\n\f\r]*+(?:"[^"<]*+"|'[^'<]*+'|[^\s"'<>]++))?+"""
_MARK = re.compile(
    rf"<(?:(/?)([A-Za-z][A-Za-z0-9:_-]*+)(?:[ \t\n\f\r/]++(?:{_ATTRIBUTE_MEANT}[ \t\n\f\r/]*+)*+)?+>"
    r"|!--[^<>]*+(?<=--)>|\?[^<>]*+>|([A-Za-z/!?]))"
)
# HTML Standard, sections 13.2.5.6 to 13.2.5.40.
_DOUBTFUL_TAG = re.compile(
    r"""<([A-Za-z][^ \t\n\f\r/>]*+)(?:[ \t\n\f\r/]++|(?:=[^ \t\n\f\r/>=]*+|[^ \t\n\f\r/>=]++)"""
    r"""(?:[ \t\n\f\r]*+=[ \t\n\f\r]*+(?:"[^"]*+"|'[^']*+'|[^ \t\n\f\r>"'][^ \t\n\f\r>]*+|(?=>)))?+)*+>"""
)
_DOUBTFUL_CHARS = 10_000
_FOREIGN = re.compile("<(?:svg|math)", re.I)
_VOID = frozenset("br embed hr img meta".split())
_VOID_IN_HTML = _VOID | frozenset("area base col input link param source track wbr".split())
"""In drawings and formulas these are elements like others."""
_FORMATTING = frozenset("a b big code em font i nobr s small strike strong tt u".split())
_ENDS_PARAGRAPH = frozenset(
    "address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer form h1 h2 h3"
    " h4 h5 h6 header hgroup hr main menu nav ol p pre section summary table ul".split()
)
_CELLS, _GROUPS = frozenset({"td", "th"}), frozenset({"tbody", "thead", "tfoot"})
_TERMS, _ITEM_PARTS = frozenset({"dd", "dt"}), frozenset({"p", "li", "dd", "dt"})
# What a beginning ends: one of the first, with what stands open in it of the second.
_ENDED_BY_BEGINNING = {
    **dict.fromkeys(_ENDS_PARAGRAPH, (frozenset({"p"}), frozenset[str]())),
    "li": (frozenset({"li"}), frozenset({"p"})),
    **dict.fromkeys(_TERMS, (_TERMS, frozenset({"p"}))),
}
_ENDED_BY_BEGINNING_IN_HTML = _ENDED_BY_BEGINNING | {
    "option": (frozenset({"option"}), frozenset()),
    **dict.fromkeys(_CELLS, (_CELLS, _ITEM_PARTS)),
    "tr": (frozenset({"tr"}), _ITEM_PARTS | _CELLS),
    **dict.fromkeys(_GROUPS, (_GROUPS, _ITEM_PARTS | _CELLS | {"tr"})),
}
_BETWEEN_CELLS = _GROUPS | {"table", "tr", "colgroup"}
_TABLE_PARTS = _GROUPS | _CELLS | {"tr", "caption", "colgroup", "col"}
_END_LEFT_OUT = _ITEM_PARTS | _CELLS | _GROUPS | {"tr", "option", "rp", "rt"}
_ENDS_WHAT_IS_WITHIN = (_ENDS_PARAGRAPH | _ITEM_PARTS | _CELLS | _GROUPS | {"tr"}) - {"p", "form"}


def is_monstrous(source: str) -> bool:
    """Whether this is no article; it costs an ordinary one a few µs to be asked."""
    if len(source) > _EQUAL_SIGNS and (
        source.count("&") > _REFERENCES or source.count("=") > _EQUAL_SIGNS or _is_crowded(source)
    ):
        return True
    begun = source.count("<") - source.count("</")
    if begun > _DEPTH and _depth(source) > _DEPTH:
        return True
    return (begun > _ELEMENTS or begun * len(source) > _COPIED_CHARS) and _takes_long(source)


def _depth(source: str) -> int:
    """How deep these elements are nested, as far as their tags tell. An end without its beginning ends nothing.

    An estimate: html5ever sees no end in a comment or an attribute, and ignores some that it sees (HTML Standard,
    section 13.2.4.2, "has an element in scope"). Where that matters, `_takes_long` is asked too.
    """
    opened: dict[str, int] = {}
    depth = deepest = 0
    for closing, name in _TAG.findall(source):
        name = name.lower()
        if name in _NEVER_NESTED:
            continue
        if not closing:
            opened[name] = opened.get(name, 0) + 1
            depth += 1
            if depth > deepest:
                deepest = depth
        elif opened.get(name):
            opened[name] -= 1
            depth -= 1
    return deepest


def _is_crowded(source: str) -> bool:
    """Whether there are so many attributes in a tag, or may be, that telling them apart takes long."""
    names = 0
    for part in source.split(">"):
        if len(part) > _CROWDED_CHARS and (begun := part.find("<")) >= 0:
            names += sum(part.count(separator, begun) for separator in " \t\n\f\r/") ** 2
    return names > _NAMES_SQUARED


def _takes_long(source: str) -> bool:
    """Whether html5ever may need more than half a second: at each beginning it looks through what is open, and makes
    anew what formats the text (HTML Standard, section 13.2.4.3).

    More may seem open than is, never less: only an end that html5ever obeys for certain ends anything, and where a
    reader may take for text what looks like a tag, or a tag for text, nothing that was open before is ended any more.
    """
    opened = _Opened(is_foreign=bool(_FOREIGN.search(source)))
    for mark in _MARK.finditer(source):
        closing, name, doubtful = mark.groups()
        if doubtful:
            end = mark.start() + _DOUBTFUL_CHARS
            tag = _DOUBTFUL_TAG.match(source, mark.start(), end)
            if tag is None and doubtful.isalpha() and end < len(source):
                return True
            opened.doubt(tag[1].lower() if tag else "", len(tag[0]) if tag else 0)
        elif closing:
            opened.end(name.lower())
        elif name:
            opened.begin(name.lower(), mark.end() - mark.start())
        opened.steps += len(opened.names) + opened.steps_of_formatting
        if opened.steps > _STEPS:
            return True
    return False


@dataclass(slots=True)
class _Opened:
    """The elements that may be open, outermost first, and the steps it takes to look through them."""

    is_foreign: bool
    """Whether there are drawings or formulas, where less is ended by itself."""
    names: list[str] = field(default_factory=list)
    kept: int = 0
    """So many of them are ended by nothing."""
    formatting: list[int] = field(default_factory=list)
    """The steps it takes to make each anew, 0 for what does not format."""
    steps_of_formatting: int = 0
    is_astray: bool = False
    """Whether anything stood between the cells of a table, where the parts of one may be ended unseen."""
    steps: int = 0

    def begin(self, name: str, chars: int) -> None:
        ended = (_ENDED_BY_BEGINNING if self.is_foreign else _ENDED_BY_BEGINNING_IN_HTML).get(name)
        if ended and (at := self._innermost(*ended)) is not None:
            del self.names[at:], self.formatting[at:]
        is_between_cells = bool(self.names) and self.names[-1] in _BETWEEN_CELLS
        if self.is_astray or is_between_cells != (name in _TABLE_PARTS):
            self._stray()
        if name not in (_VOID if self.is_foreign else _VOID_IN_HTML):
            self._open(name, chars)

    def end(self, name: str) -> None:
        if name in _FORMATTING:
            if (at := self._innermost((name,), _FORMATTING)) is not None:
                del self.names[at]  # what began in it goes on
                self.steps_of_formatting -= self.formatting.pop(at)
        elif (at := self._innermost((name,), _END_LEFT_OUT if name in _ENDS_WHAT_IS_WITHIN else ())) is not None:
            del self.names[at:], self.formatting[at:]
        elif "table" in self.names:
            self.is_astray = True

    def doubt(self, name: str, chars: int) -> None:
        self.is_astray = True
        self._open(name, chars)
        self.kept = len(self.names)

    def _open(self, name: str, chars: int) -> None:
        steps = _STEPS_OF_FORMATTING + _STEPS_OF_FORMATTING_CHAR * chars if name in _FORMATTING else 0
        self.names.append(name)
        self.formatting.append(steps)
        self.steps_of_formatting += steps

    def _stray(self) -> None:
        """It is moved before the table, past everything that was moved there before."""
        if "table" in self.names:
            self.is_astray = True
            self.steps += _STEPS_OF_STRAYING

    def _innermost(self, names: Collection[str], within: Collection[str]) -> int | None:
        """Where one of these names is open, with nothing in it but of those others."""
        at = len(self.names) - 1
        while at >= self.kept and self.names[at] not in names:
            if self.names[at] not in within:
                return None
            at -= 1
        return at if at >= self.kept else None
