"""Strangers' HTML made safe to show on our own page: a small allow-list (nh3), every address absolute http(s).

The order is: sanitise, rewrite, sanitise again. The first pass yields canonical markup (attributes quoted, text
escaped, no raw-text elements), so that the rewriting in between may read it token by token; the last word is the
sanitiser's. Pictures become links: the page shows pictures of its own archive only, from `media`.
"""

import html
import re
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from operator import itemgetter
from urllib.parse import urljoin, urlsplit

import nh3

from lifestream.clean.monstrous import is_monstrous
from lifestream.types import Media

TAGS = frozenset(
    "a abbr b bdi bdo blockquote br caption cite code col colgroup dd del dfn div dl dt em figcaption figure h3 h4 h5"
    " h6 hr i ins kbd li mark ol p pre q rp rt ruby s samp small span strike strong sub sup table tbody td tfoot th"
    " thead time tr tt u ul var wbr".split()
)
_ATTRIBUTES = {
    "*": {"dir", "lang", "title"},
    "a": {"href"},
    "abbr": {"title"},
    "bdo": {"dir"},
    "blockquote": {"cite"},
    "col": {"span"},
    "colgroup": {"span"},
    "del": {"cite", "datetime"},
    "ins": {"cite", "datetime"},
    "li": {"value"},
    "ol": {"start", "reversed", "type"},
    "q": {"cite"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "time": {"datetime"},
}
_DROPPED_WITH_CONTENT = {
    "script", "style", "template", "svg", "math", "iframe", "object", "embed", "noembed", "noframes", "select",
    "textarea", "title", "canvas", "map", "xmp",
}  # fmt: skip
_NAMELESS = "Picture"
_REL = "noopener noreferrer nofollow ugc"
_PICTURE_FILE = re.compile(r"\.(?:jpe?g|png|gif|webp|avif)(?:\?[^/]*)?$", re.I)
_PLAYS = re.compile("<(?:iframe|video|audio)")
_PLAYER = re.compile(r"<(iframe|video|audio)\b([^<>]*+)>(?:\s*+<source\b([^<>]*+)>)?", re.I)
_SOURCE = re.compile(r"""\ssrc\s*=\s*["']?([^"'\s]+)""", re.I)
_FILM = re.compile(
    r"//(?:www\.)?(?:youtube(?:-nocookie)?\.com/embed/([\w-]{6,20})|player\.vimeo\.com/video/(\d{1,15}))"
)
_POSTER = re.compile(r"""\sposter\s*=\s*["']?([^"'\s<>]+)""", re.I)
_LETTER = re.compile(r"/(?:core/emoji|twemoji|wpcom-smileys|smilies|custom_emojis|emojis?)/", re.I)
# Drawn by a page for its own ends: faces of people, buttons, counters. No picture of the entry.
_FURNITURE = re.compile(
    r"//(?:[^/]*\.)?(?:feedburner\.com/~|feeds\.wordpress\.com/1\.0/|pixel\.wp\.com/|stats\.wordpress\.com/|gravatar\.com/"
    r"|avatars\d*\.githubusercontent\.com/|feedsportal\.com/|doubleclick\.net/|medium\.com/_/stat|api\.flattr\.com/)"
    r"|/(?:piwik|matomo)(?:\.php)?\?|[?&]idsite=|/favicon[^/]*$",
    re.I,
)

_first = nh3.Cleaner(
    tags={*TAGS, "h1", "h2", "img"},
    clean_content_tags=_DROPPED_WITH_CONTENT,
    attributes={**_ATTRIBUTES, "img": {"src", "alt", "width", "height"}},
    link_rel=None,
    url_schemes={"http", "https", "mailto"},
)
_last = nh3.Cleaner(
    tags=set(TAGS),
    clean_content_tags=_DROPPED_WITH_CONTENT,
    attributes=_ATTRIBUTES,
    link_rel=_REL,
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
)
_UNNAMED = re.compile(">(?:Picture|Video|Audio)</a>")
_BLOCKS = frozenset(
    "address article aside blockquote br caption dd div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header hr li"
    " main nav ol p pre section table tbody td tfoot th thead tr ul".split()
)
_text_only = nh3.Cleaner(tags=set(_BLOCKS), clean_content_tags=_DROPPED_WITH_CONTENT, attributes={}, link_rel=None)

# Canonical markup only: what nh3 wrote. Attribute values hold no double quote, text holds no "<".
_TOKEN = re.compile(r'<(/?)(a|blockquote|del|h[1-6]|img|ins|q)((?: [a-z]+="[^"]*")*)>')
# Names by their first letter, because alternatives are tried one after the other.
_BLOCK = re.compile(
    "</?(?:"
    + "|".join(
        f"{first}(?:{'|'.join(name[1:] for name in names)})" for first, names in groupby(sorted(_BLOCKS), itemgetter(0))
    )
    + ")(?: [^<>]*)?>"
)
_INLINE = re.compile(r"<[^<>]*>")
_ATTRIBUTE = re.compile(r' ([a-z]+)="([^"]*)"')
_HREF = re.compile(r' href="([^"]*)"')
_HEADING = re.compile(r"<h([1-6])[ >]")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.I)
# Most addresses are plain: they, and paths on a plain site, need no parser.
_PLAIN_SITE = r"https?://[a-z0-9](?:[a-z0-9-]*\.)+[a-z0-9-]+"
_PLAIN_ADDRESS = re.compile(_PLAIN_SITE + r"(?:[/?#][!#-;=?-\[\]-~]*)?")
_PLAIN_PATH = re.compile(r"(?:/[\w~%@:!$&=+,-][\w.~%@:!$&=+,-]*)+/?", re.A)
_OF_PLAIN_SITE = re.compile(rf"({_PLAIN_SITE})(?:[/?#]|\Z)")
_PLAIN_LINK = re.compile(rf' href="{_PLAIN_SITE}(?:[/?#][!#-%(-;=?-\[\]-~]*(?:&amp;[!#-%(-;=?-\[\]-~]*)*)?"')
_CONTROLS = "".join(map(chr, range(33)))
_BYTE_ORDER_MARK = "\ufeff"
"""html5ever drops one where a text begins, so what stays would not stay the same when it is cleaned again."""
_PASSES = 4
_ADDRESS_CHARS = 4096
_BEGINNING_CHARS = 10_000
_OUTPUT_CHARS = 2 * 1024 * 1024
_PLAIN_CHARS = 64 * 1024


def clean_html(source: str, base: str) -> str:
    """Safe HTML with the same text. Cleaning it again changes nothing."""
    return clean_with_pictures(source, base)[0]


def clean_with_pictures(source: str, base: str) -> tuple[str, tuple[Media, ...]]:
    """Safe HTML, and the pictures and players that were in it."""
    pictures: dict[str, Media] = {}
    if is_monstrous(source):
        return _as_plain_text(source), ()
    if _PLAYS.search(source):
        source = _PLAYER.sub(partial(_player, base, pictures), source)
    for _ in range(_PASSES):
        rewriting = _Rewriting(base, pictures)
        canonical = _first.clean(source).replace(_BYTE_ORDER_MARK, "")
        if len(canonical) > _OUTPUT_CHARS:
            break
        rewritten = rewriting.run(canonical)
        cleaned: str = _last.clean(rewritten)
        if len(cleaned) > _OUTPUT_CHARS:
            break
        if cleaned == rewritten or cleaned == source:
            return cleaned.strip(), tuple(pictures.values())
        source = cleaned
    # Markup that changes its shape each time it is read is no markup for us.
    return _as_plain_text(source), tuple(pictures.values())


def _player(base: str, media: dict[str, Media], found: re.Match[str]) -> str:
    """A link to what it plays. What other frames hold is unknown, and goes with them."""
    tag, attributes = found[1].lower(), found[2]
    source = _SOURCE.search(attributes) or _SOURCE.search(found[3] or "")
    address = web_address(html.unescape(source[1]), base) if source else ""
    if tag == "iframe":
        film = _FILM.search(address)
        if film is None:
            return ""
        tag = "video"
        address = f"https://www.youtube.com/watch?v={film[1]}" if film[1] else f"https://vimeo.com/{film[2]}"
    if not address:
        return ""
    poster = _POSTER.search(attributes)
    media.setdefault(
        address, Media(tag, address, thumbnail=web_address(html.unescape(poster[1]), base) if poster else "")
    )
    return f'<a href="{quoted(address)}">{tag.capitalize()}</a>'


def text_of(source: str) -> str:
    """The text a reader would see of any HTML, on one line."""
    if is_monstrous(source):
        return html.unescape(_as_plain_text(source))
    return text_of_clean(_text_only.clean(source) if "<" in source else source)


def text_of_clean(cleaned: str) -> str:
    """The same of what `clean_html` gave."""
    return " ".join(spaced_text_of_clean(cleaned).split())


def spaced_text_of_clean(cleaned: str) -> str:
    """The same with its white space as it is. Blocks part words, everything else does not."""
    if "<" in cleaned:
        cleaned = _INLINE.sub("", _BLOCK.sub(" ", cleaned))
    return html.unescape(cleaned)


def beginning_of_clean(cleaned: str) -> str:
    """The same of its beginning, which is enough to judge by, without our names of pictures and players."""
    if len(cleaned) > _BEGINNING_CHARS:
        cut = cleaned.rfind("<", 0, _BEGINNING_CHARS)
        cleaned = cleaned[: cut if cut > 0 else _BEGINNING_CHARS]
    return text_of_clean(_UNNAMED.sub("></a>", cleaned))


def summary_of(text: str, limit: int = 300) -> str:
    """The beginning of a text, cut between words."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    at_word = text.rfind(" ", limit // 2, limit)
    return text[: at_word if at_word > 0 else limit - 1].rstrip() + "…"


def web_address(url: str, base: str = "") -> str:
    """The absolute http(s) address meant, or "". Reads what a browser would (WHATWG URL, section 4.4): no tabs or
    line breaks, backslashes as slashes, no credentials."""
    if not url:
        return ""
    if len(url) <= _ADDRESS_CHARS:
        if _PLAIN_ADDRESS.fullmatch(url):
            return url
        if url[:1] == "/" and _PLAIN_PATH.fullmatch(url) and (site := _OF_PLAIN_SITE.match(base)):
            return site[1] + url
    url = re.sub(r"[\t\r\n]", "", url.strip(_CONTROLS))
    if not url or len(url) > _ADDRESS_CHARS:
        return ""
    if not _SCHEME.match(url) or url[:4].lower() == "http":
        url = url.replace("\\", "/")
    try:
        joined = urljoin(base, url)
        parts = urlsplit(joined)
        parts.port  # noqa: B018  raises on a port that cannot be
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        return ""
    return "".join(c if c > " " else f"%{ord(c):02X}" for c in joined)


def is_picture_file(address: str) -> bool:
    """By its ending, before a query if there is one. Asked of what follows the last slash, where nothing takes long."""
    return bool(_PICTURE_FILE.search(address, address.rfind("/") + 1))


def _as_plain_text(source: str) -> str:
    """Without any parser: tags out, references read, escaped again."""
    plain = html.unescape(re.sub("<[^<>]*>", " ", source[: 4 * _PLAIN_CHARS]))
    return html.escape(" ".join(plain.replace(_BYTE_ORDER_MARK, "").split())[:_PLAIN_CHARS], quote=False)


@dataclass(slots=True)
class _Rewriting:
    """One walk over canonical markup: addresses absolute, headings below the entry's own, pictures linked."""

    base: str
    pictures: dict[str, Media]
    lower_by: int = 0
    links: list[str] = field(default_factory=list)
    """The attributes of the links that are open; "" for one that leads nowhere."""

    def run(self, canonical: str) -> str:
        levels = [int(level) for level in _HEADING.findall(canonical)]
        self.lower_by = max(0, 3 - min(levels, default=3))
        return _TOKEN.sub(self._token, canonical)

    def _token(self, found: re.Match[str]) -> str:
        closing, tag, attributes = found.groups()
        if tag == "img":
            return self._picture({name: html.unescape(value) for name, value in _ATTRIBUTE.findall(attributes)})
        if tag[0] == "h":
            return f"<{closing}h{min(6, int(tag[1]) + self.lower_by)}{attributes}>"
        if tag == "a":
            return self._link(closing, attributes)
        return f"<{closing}{tag}{_ATTRIBUTE.sub(self._attribute, attributes)}>" if attributes else found[0]

    def _link(self, closing: str, attributes: str) -> str:
        """A link that leads nowhere we may go keeps its text only."""
        if closing:
            return "</a>" if self.links and self.links.pop() else ""
        is_plain = len(attributes) <= _ADDRESS_CHARS and _PLAIN_LINK.fullmatch(attributes)
        kept = attributes if is_plain else _ATTRIBUTE.sub(self._attribute, attributes)
        self.links.append(kept if ' href="' in kept else "")
        return f'<a{kept} rel="{_REL}">' if self.links[-1] else ""

    def _attribute(self, found: re.Match[str]) -> str:
        name, value = found.groups()
        if name not in ("href", "cite"):
            return found[0]
        url = html.unescape(value)
        if name == "href" and url.strip().lower().startswith("mailto:"):
            return found[0]
        address = web_address(url, self.base)
        return f' {name}="{quoted(address)}"' if address else ""

    def _picture(self, about: dict[str, str]) -> str:
        """A link to it, named by its alternative text. The picture itself is in `media`, archived from there. One that
        links to a picture is the small form of that."""
        address = web_address(about.get("src", ""), self.base)
        if "0" in (width := about.get("width", ""), height := about.get("height", "")) or width == height == "1":
            return ""  # a counter, not a picture
        alt = " ".join(about.get("alt", "").split()).removeprefix("/")  # alt= /> says "/"
        if _FURNITURE.search(address):
            return ""
        named = html.escape(alt, quote=False)
        if not address or _LETTER.search(address):
            return named
        link = next(filter(None, reversed(self.links)), "")
        self._keep(address, link, _pixels(width), _pixels(height), alt[:4096])
        return named if link else f'<a href="{quoted(address)}" rel="{_REL}">{named or _NAMELESS}</a>'

    def _keep(self, address: str, link: str, width: int | None, height: int | None, alt: str) -> None:
        leads = _HREF.search(link)
        around = html.unescape(leads[1]) if leads else ""
        if around != address and is_picture_file(around):
            self.pictures.setdefault(around, Media("image", around, alt=alt, thumbnail=address))
        else:
            self.pictures.setdefault(address, Media("image", address, width, height, alt))


def quoted(address: str) -> str:
    """As the value of an attribute, and as nh3 writes it, so that its last pass finds nothing to change."""
    return (
        address.replace("&", "&amp;")
        .replace("\xa0", "&nbsp;")
        .replace('"', "&quot;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
    )


def _pixels(given: str) -> int | None:
    return int(given) if given.isascii() and given.isdigit() and 0 < len(given) <= 5 else None
