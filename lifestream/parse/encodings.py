"""Which encoding a document is really in: declarations lie, in both directions (RFC 7303, sections 3 and 3.2).

UTF-7 is never decoded, whatever a document says: it hides markup in plain ASCII.
"""

import codecs
import re

_DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_CHARSET = re.compile(r"""charset\s*=\s*["']?([A-Za-z0-9._:-]{1,40})""", re.I)
# An "Ã" that no byte of 0x80 to 0xBF follows, as windows-1252 reads it: where UTF-8 was encoded once more, one does.
_NEVER_TWICE = re.compile(rb"\xc3\x83(?![\xc2\xc5\xc6\xcb\xe2])")
# Longest first: the BOM of UTF-32-LE begins with that of UTF-16-LE.
_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def override(body: bytes, media_type: str) -> str | None:
    """The encoding to force on the XML reader, or None where its own judgement (BOM, declaration) is right."""
    if _bom(body) or body[:2] in (b"<\0", b"\0<"):
        return None
    declared = _DECLARED.match(body[:400])
    if declared is None:
        return None if _is_utf8(body) else _usable(_charset(media_type))
    name = declared[1].decode().lower()
    if name in ("utf-8", "utf8"):
        return None
    if "utf-7" in name or "utf7" in name or name.startswith(("utf-16", "utf-32")):
        return "utf-8"
    return "utf-8" if not body.isascii() and _is_utf8(body) else None


def decode(body: bytes, media_type: str) -> str:
    """Text at any price: by BOM, by zero bytes, by declaration, as UTF-8, as windows-1252."""
    if bom := _bom(body):
        mark, name = bom
        return body[len(mark) :].decode(name, "replace").lstrip("\ufeff")
    if wide := _wide(body):
        return body.decode(wide, "replace")
    if _is_utf8(body):
        return body.decode()
    declared = _DECLARED.match(body[:400])
    for name in (declared[1].decode() if declared else "", _charset(media_type)):
        if (usable := _usable(name)) and usable != "utf-8":
            return body.decode(usable, "replace")
    # More good UTF-8 than bad bytes: damaged UTF-8. Otherwise what Windows calls Latin-1.
    replaced = body.decode("utf-8", "replace")
    bad = replaced.count("\ufffd")
    good = sum(not c.isascii() for c in replaced) - bad
    return replaced if good > bad else body.decode("windows-1252", "replace")


def undouble(body: bytes) -> bytes:
    """UTF-8 that was taken for windows-1252 and encoded once more ("Ã©" for "é"), undone; anything else as it is."""
    if b"\x83" not in body:  # one byte is found many times as fast as two
        return body
    at = body.find(b"\xc3\x83")
    if at < 0 or _NEVER_TWICE.search(body, at):
        return body
    try:
        once = body.decode("utf-8").encode("windows-1252")
        once.decode("utf-8")
    except UnicodeError:
        return body
    return once


def _bom(body: bytes) -> tuple[bytes, str] | None:
    return next(((mark, name) for mark, name in _BOMS if body.startswith(mark)), None)


def _wide(body: bytes) -> str:
    """UTF-16 or UTF-32 without a BOM, by where the zeros around the first character are (XML 1.0, appendix F)."""
    match body[:4]:
        case b"\0\0\0<":
            return "utf-32-be"
        case b"<\0\0\0":
            return "utf-32-le"
        case bytes(head) if head[:2] == b"\0<":
            return "utf-16-be"
        case bytes(head) if head[:2] == b"<\0":
            return "utf-16-le"
    return ""


def _charset(media_type: str) -> str:
    found = _CHARSET.search(media_type)
    return found[1] if found else ""


def _usable(name: str) -> str | None:
    """Python's name of a text encoding that is not UTF-7; None for what it does not know."""
    try:
        found = codecs.lookup(name)
    except LookupError:
        return None
    return found.name if found._is_text_encoding and found.name not in ("utf-7", "idna", "punycode") else None


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
