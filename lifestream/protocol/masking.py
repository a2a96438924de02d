"""What may be kept of a request for its owner to read: all of it but what lets whoever reads it in somewhere.

Secrets are known by their names, by their place (`/push/…` is a password in a path), by their look, and by being
named to us. What is masked stays recognisable as something: `***`, or both ends of a signature.
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote, unquote_plus, urlsplit

MASK = "***"
MOST_PAIRS = 1000
LONGEST_URL = 2000
"""Strangers write what is masked here: nothing of it may take long."""
Fields = Iterable[tuple[bytes, bytes]]

_NAMES = re.compile(r"token|secret|passw|pwd|auth|credential|signature|session|cookie|api[-_]?key", re.IGNORECASE)
_SHORT_NAMES = frozenset(("a", "s", "sk", "sid", "sig", "key", "code", "api_sig"))
"""As Audioscrobbler, Last.fm and feeds for their owner's eyes alone call what nobody else may know."""
_PUSH = re.compile(r"(/push/|%2Fpush%2F)[A-Za-z0-9_.~-]+", re.IGNORECASE)
_JSON = re.compile(
    r'("[^"]{0,80}(?:token|secret|passw|pwd|authori|credential|api_?key)[^"]{0,80}"\s*:\s*")((?:[^"\\]|\\.)+)',
    re.IGNORECASE,
)
_URL = re.compile(r"https?://[^\s\"'<>]+")
_FORM = re.compile(r"(?:^|&)[^\s=&<>\"]{1,100}=")
_DOCUMENT = re.compile(r"\s*(?:<|--|[{\[]\s*[\"{\[\]}])")
"""Markup, a message of several parts, JSON: what has `&` and `=` in it and is no form."""
_CONTROLS = {code: "�" for code in (*range(32), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
_LONG = re.compile(r"[A-Za-z0-9_]{32,}")
"""Without hyphens: a long title is no password."""
_SHORTEST_KNOWN = 4


def masked_headers(fields: Fields, known: Sequence[str] = ()) -> list[tuple[str, str]]:
    return [(name, _field(name, value, known)) for name, value in _decoded(fields)]


def masked_url(url: str, known: Sequence[str] = (), *, host_only: bool = False) -> str:
    """`host_only`: its path is somebody's password, as a callback's is. What a hub adds to it is shown."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    host = f"{MASK}@{parts.netloc.rpartition('@')[2]}" if "@" in parts.netloc else parts.netloc
    front = f"{parts.scheme}://{host}" if parts.scheme else host
    if host_only:
        added = "&".join(pair for pair in parts.query.split("&") if pair.startswith("hub."))
        return f"{front}/{MASK}" + (f"?{masked_form(added, known)}" if added else "")
    path = _LONG.sub(lambda found: MASK if _is_random(found[0]) else found[0], parts.path)
    query = f"?{masked_form(parts.query, known)}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return _without(_PUSH.sub(rf"\1{MASK}", front + path + query + fragment), known)


def masked_words(text: str, known: Sequence[str] = ()) -> str:
    """Any text: the addresses in it, and what is known."""
    return _without(_PUSH.sub(rf"\1{MASK}", _URL.sub(_masked_match, text)), known)


def masked_form(text: str, known: Sequence[str] = ()) -> str:
    """A query or a form, as it was written but for the values of what is secret."""
    return "&".join(_pair(pair, known) for pair in text.split("&", MOST_PAIRS)[:MOST_PAIRS])


def masked_body(body: bytes, media_type: str, known: Sequence[str] = ()) -> str:
    """The type is not believed: many doors read a form or JSON under any name, or under none."""
    text = _JSON.sub(rf"\1{MASK}", printable(body.decode("utf-8", "replace")))
    if media_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        return masked_form(text, known)
    if _FORM.search(text) and not _DOCUMENT.match(text):
        text = masked_form(text, known)
    return masked_words(text, known)


def printable(text: str) -> str:
    """What may be shown in a terminal and pasted into one: strangers write this, and controls do things there."""
    return text.replace("\r\n", "\n").translate(_CONTROLS)


def both_ends(signature: str) -> str:
    """Enough of a signature to tell two apart, and too little to use it: `sha256=5b0e…c19d`."""
    method, equals, value = signature.strip().rpartition("=")
    return f"{method}{equals}{value[:4]}…{value[-4:]}" if len(value) > 16 else f"{method}{equals}{MASK}"


def as_curl(method: str, url: str, headers: Sequence[tuple[str, str]], body: str) -> str:
    """The request as a command; where `***` stands it has to be completed. None of it is curl's to interpret: a body
    that begins with `@` names no file.
    """
    lines = ["curl -i"]
    if method != "GET":
        lines[0] += f" -X {method}"
    lines[0] += f" {_quoted(url)}"
    lines += [f"-H {_quoted(f'{name}: {value}')}" for name, value in headers if name not in _MADE_BY_CURL]
    if body:
        lines.append(f"--data-raw {_quoted(body)}")
    return " \\\n  ".join(lines)


_MADE_BY_CURL = frozenset(("host", "content-length", "connection", "accept-encoding", "transfer-encoding"))


def _quoted(text: str) -> str:
    return "'" + printable(text).replace("'", "'\\''") + "'"


def _field(name: str, value: str, known: Sequence[str]) -> str:
    if "signature" in name:
        return both_ends(value)
    if _is_secret(name):
        scheme, blank, rest = value.partition(" ")
        return f"{scheme} {MASK}" if blank and rest and scheme.isalpha() else MASK
    if name in ("location", "referer", "content-location"):
        return masked_url(value, known)
    return masked_words(value, known)


def _pair(pair: str, known: Sequence[str]) -> str:
    name, equals, value = pair.partition("=")
    plain = unquote_plus(name)
    if not value:
        return pair
    if plain == "hub.callback":
        return f"{name}={quote(masked_url(unquote_plus(value), host_only=True), safe=':/*')}"
    if plain == "hub.challenge" or plain == "hub.topic":
        return f"{name}={_address(value, known)}"
    if _is_secret(plain) or _LONG.fullmatch(value) and _is_random(value):
        return f"{name}={MASK}"
    return f"{name}={_address(_json_within(value), known)}"


def _json_within(value: str) -> str:
    """Forges put a whole JSON document into one field of a form."""
    plain = unquote_plus(value)
    masked = _JSON.sub(rf"\1{MASK}", plain)
    return value if masked == plain else quote(masked)


def _is_secret(name: str) -> bool:
    return name.lower() in _SHORT_NAMES or bool(_NAMES.search(name))


def _is_random(text: str) -> bool:
    return any(c.isdigit() for c in text) and any(c.isalpha() for c in text)


def _masked_match(found: re.Match[str]) -> str:
    return masked_url(found[0]) if len(found[0]) <= LONGEST_URL else MASK


def _address(value: str, known: Sequence[str]) -> str:
    """A value of a form, which may be an address."""
    plain = unquote_plus(value)
    masked = masked_words(plain, known)
    return value if masked == plain else quote(masked, safe=":/*?&=")


def _without(text: str, known: Sequence[str]) -> str:
    for secret in known:
        if len(secret) >= _SHORTEST_KNOWN:
            for spelled in {secret, quote(secret, safe="")}:
                text = text.replace(spelled, MASK)
    return text


def _decoded(fields: Fields) -> list[tuple[str, str]]:
    return [(name.decode("latin-1").lower(), printable(value.decode("latin-1"))) for name, value in fields]
