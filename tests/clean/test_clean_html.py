"""Strangers' HTML: what is left of it, and the laws that hold whatever it is."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lifestream.clean.html import (
    TAGS,
    clean_html,
    clean_with_pictures,
    is_picture_file,
    summary_of,
    text_of,
    web_address,
)
from lifestream.parse import parse
from lifestream.types import Media

SITE = "https://b.example"
BASE = f"{SITE}/posts/1"
REL = 'rel="noopener noreferrer nofollow ugc"'
HOSTILE = Path(__file__).parent.parent / "parse" / "data" / "hostile"


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("<p onclick=alert(1) style=color:red class=x id=y>a</p>", "<p>a</p>"),
        ("a<script>alert(1)</script>b", "ab"),
        ("<!--><img src=x onerror=alert(1)>-->", f'<a href="https://b.example/posts/x" {REL}>Picture</a>--&gt;'),
        ("<svg><script>1</script></svg><math><p>x</math>y", "<p>xy</p>"),
        ('<a href="javascript:alert(1)">x</a>', "x"),
        ('<a href="java&Tab;script:alert(1)">x</a>', "x"),
        ('<a href=" &#1;JaVaScRiPt:alert(1)">x</a>', "x"),
        ('<a href="//evil.example/x">x</a>', f'<a href="https://evil.example/x" {REL}>x</a>'),
        ('<a href="\\\\evil.example\\x">x</a>', f'<a href="https://evil.example/x" {REL}>x</a>'),
        ('<a href="/admin/logout">x</a>', f'<a href="https://b.example/admin/logout" {REL}>x</a>'),
        ('<a target=_blank href="//c.example/?a&b">x</a>', f'<a href="https://c.example/?a&amp;b" {REL}>x</a>'),
        ('<a href="mailto:a@b.example">x</a>', f'<a href="mailto:a@b.example" {REL}>x</a>'),
        ('<a name="x">anchor</a>', "anchor"),
        ("<h1>a</h1><h2>b</h2><h6>c</h6>", "<h3>a</h3><h4>b</h4><h6>c</h6>"),
        ("<h2>a</h2><h3>b</h3>", "<h3>a</h3><h4>b</h4>"),
        ("<form><input type=password><button>Log in</button></form>", "Log in"),
        ("</div></article></main><b>x", "<b>x</b>"),
        ("<iframe src=https://c.example></iframe><base href=//c.example><meta http-equiv=refresh>", ""),
        ("<blockquote cite='javascript:1'>x</blockquote>", "<blockquote>x</blockquote>"),
    ],
)  # fmt: skip
def test_html_is_cleaned(given: str, left: str) -> None:
    assert clean_html(given, BASE) == left


def test_a_picture_becomes_a_link_and_is_named() -> None:
    cleaned, pictures = clean_with_pictures('<img src="/rose.jpg" alt="A <rose>" width=640 height=480>', BASE)
    assert cleaned == f'<a href="https://b.example/rose.jpg" {REL}>A &lt;rose&gt;</a>'
    assert pictures == (Media("image", "https://b.example/rose.jpg", 640, 480, "A <rose>"),)


def test_a_picture_in_a_link_is_its_text() -> None:
    assert (
        clean_html('<a href="/x"><img src="y.jpg" alt="Y"></a>', BASE) == f'<a href="https://b.example/x" {REL}>Y</a>'
    )


def test_a_picture_that_links_to_a_larger_one_is_its_thumbnail() -> None:
    _, pictures = clean_with_pictures('<a href="/big.jpg"><img src="/small.jpg" alt="One" width=10 height=5></a>', BASE)
    assert pictures == (Media("image", f"{SITE}/big.jpg", alt="One", thumbnail=f"{SITE}/small.jpg"),)


@pytest.mark.parametrize(
    ("address", "is_picture"),
    [
        ("/a.jpg", True),
        ("/a.JPEG?w=9&f=.x", True),
        ("/a.jpg?u=/b", False),
        ("/a.jpg/", False),
        ("/a.php?f=b.png", True),
    ],
)
def test_a_picture_is_told_by_its_ending(address: str, is_picture: bool) -> None:
    assert is_picture_file(SITE + address) is is_picture


def test_an_address_of_nothing_but_endings_takes_no_time() -> None:
    began = process_time()
    assert not any(is_picture_file(".jpg?" * 800 + "/") for _ in range(100))
    assert process_time() - began < 0.5  # a thousandth of which is needed; by the square of its length, two seconds


def test_letters_and_furniture_are_no_pictures() -> None:
    letter = '<img src="https://s.w.org/images/core/emoji/1/72x72/1f642.png" alt="☺">'
    button = (
        '<img src="http://feeds.feedburner.com/~ff/x?d=1"><img src="https://secure.gravatar.com/avatar/1" alt="@ada">'
    )
    assert clean_with_pictures(f"a{letter}{button}", BASE) == ("a☺", ())


@pytest.mark.parametrize(
    ("markup", "kind", "url", "poster"),
    [
        ('<video poster="/p.jpg" src="/f.webm">no</video>', "video", f"{SITE}/f.webm", f"{SITE}/p.jpg"),
        ("<audio controls><source src=/s.ogg></audio>", "audio", f"{SITE}/s.ogg", ""),
        (
            '<iframe src="//www.youtube.com/embed/abcdef"></iframe>',
            "video",
            "https://www.youtube.com/watch?v=abcdef",
            "",
        ),
        ('<iframe src="https://player.vimeo.com/video/12"></iframe>', "video", "https://vimeo.com/12", ""),
    ],
)
def test_a_player_becomes_a_link_to_what_it_plays(markup: str, kind: str, url: str, poster: str) -> None:
    cleaned, media = clean_with_pictures(markup, BASE)
    assert media == (Media(kind, url, thumbnail=poster),)
    assert f'<a href="{url}" {REL}>{kind.capitalize()}</a>' in cleaned


@pytest.mark.parametrize(
    "markup", ['<iframe src="https://evil.example/"></iframe>', '<video src="javascript:1"></video>']
)
def test_what_plays_nothing_we_know_is_gone(markup: str) -> None:
    assert clean_with_pictures(markup, BASE) == ("", ())


def test_a_counter_is_no_picture() -> None:
    assert clean_with_pictures('x<img src="https://t.example/p.gif?u=1" width=1 height=1>', BASE) == ("x", ())


@pytest.mark.parametrize(
    "monster",
    [
        "<div>" * 20_000, "<a href=x><b>" * 20_000, "&" * 200_000, "<a " + "b=1 " * 60_000 + ">",
        # Ends that end nothing, and elements that are nested in each other only.
        "<div><!</div>" * 30_000, '<div t="</div>">' * 30_000, "<div><table><tr><td></div></table>" * 30_000,
        "<dd><li>" * 30_000,
    ],
)  # fmt: skip
def test_monstrous_markup_becomes_text_at_once(monster: str) -> None:
    cleaned = clean_html(f"Hello {monster} world", BASE)
    assert cleaned.startswith("Hello")
    assert "<" not in cleaned


@pytest.mark.parametrize(
    "monster",
    [
        "<div><svg><![CDATA[></svg></div>]]>" * 9000,
        '<div><style><a b="</style><div>"></a></style>' * 9000,
        "<style><!--</style><div>-->" * 9000,
        "<div><select></div></select>" * 9000,
        "<svg>" + "<wbr>" * 30_000,
        "<p><b></p>" * 9000,
        # Formatting that is made anew in each paragraph, with its attributes.
        "<p>" + "".join(f"<b title={n}>" for n in range(200)) + "<p>x" * 9000,
        "<p>" + "".join(f'<a title={n} t="</a>">' for n in range(900)) + "<p>x" * 900,
        "<p>" + "".join(f"<a title={'x' * 2000}{n}>" for n in range(200)) + "<p>x" * 1700,
        # All of it is moved before the table, each past the others.
        "<table>" + "<b>x</b>" * 100_000,
        "<table><tr><td><div><td></td>" + "<b>x</b>" * 100_000,
        "<a " + " ".join(f"b{n}" for n in range(150_000)) + ">",
    ],
    ids=["cdata", "quote", "comment", "select", "drawing", "open", "anew", "hidden", "copied", "moved", "unseen",
         "names"],
)  # fmt: skip
def test_markup_made_to_take_long_is_text(monster: str) -> None:
    began = process_time()
    assert "<" not in clean_html(f"Hello {monster}", BASE)
    assert process_time() - began < 2  # a tenth of which is needed; some take minutes, and all memory there is


@pytest.mark.parametrize(
    ("article", "tag", "times"),
    [
        ("<table>" + ("<tr>" + "<td>x</td>" * 10 + "</tr>") * 1000 + "</table>", "<td>", 10_000),
        ("<table>" + ("<tr>" + "<td><p>x" * 10) * 1000 + "</table>", "<td>", 10_000),
        ("<pre>" + '<span class="k">def</span> ' * 10_100 + "</pre>", "<span>", 10_100),
        ("x<br>" * 10_100, "<br>", 10_100),
        ("<p><b>x</b></p>" * 12_000, "<b>", 12_000),
        ("<div>" * 40 + '<p><i title="a > b">x</i></p>' * 6000 + "</div>" * 40, '<i title="a &gt; b">', 6000),
        ("<dl>" + "<dt>x<dd><p>y" * 6000 + "</dl>", "<dd>", 6000),
        ('<!-- wp:p {"a":1} --><div><p>x</p></div><!-- /wp:p -->' * 5000, "<p>", 5000),
        ("<p><math><mrow><mi>x</mi></mrow></math><b>y</b></p>" * 4000, "<b>", 4000),
        ("<p><b><i>x</b></i></p>" * 100 + "<p>y</p>" * 10_000, "<p>", 10_100),
    ],
    ids=["cells", "open-cells", "highlighted", "breaks", "bold", "deep", "terms", "comments", "formulas", "crossed"],
)  # fmt: skip
def test_a_long_article_keeps_its_markup(article: str, tag: str, times: int) -> None:
    assert clean_html(article, BASE).count(tag) == times


def test_a_long_flat_article_is_no_monster() -> None:
    article = "<p>One<br>two<ul>" + "<li>x<p>y" * 2000 + "</ul>"
    assert clean_html(article, BASE).count("<li>") == 2000


SCRAPS = [
    "<p>", "</p>", "<b>", "</b>", "<i>", "</i>", "<a href='x'>", "</a>", "<table>", "<tr>", "<td>", "</td>",
    "</table>", "<pre>", "\n", "</pre>", "<img src=y alt='&lt;b&gt;\"'>", "<h1>", "</h1>", "<h5>", "<ul>", "<li>",
    "</ul>", "<svg>", "</svg>", "<math>", "<mtext>", "<style>", "</style>", "<!--", "-->", "<title>", "</title>",
    "<noscript>", "</noscript>", "<template>", "<select>", "<option>", "<textarea>", "</textarea>", "<plaintext>",
    "<iframe>", "<script>", "</script>", "<form>", "<button>", "<dl>", "<dt>", "<ruby>", "<rt>", "<div>", "</div>",
    "<a href='javascript:1' title='\"><img>'>", "<caption>", "<col>", "<nobr>", "&amp;", "&lt;", "&nbsp;", "\xa0",
    "x", " ", "<", ">", '"', "<a href='mailto:x'>", "<q cite=z>", "<a title=t>", "<foreignObject>",
    "<annotation-xml encoding='text/html'>", "<mglyph>", "<font color=red>", "<marquee>", "<object>",
]  # fmt: skip
MARKUP = st.lists(st.sampled_from(SCRAPS), max_size=25).map("".join) | st.text(max_size=60)


class Seen(HTMLParser):
    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@settings(deadline=None, max_examples=400)
@given(MARKUP)
@example("<pre>\n\n\nx")
@example(" \ufeffx")
@example("<b>" + 9 * "\ufeff" + "x")
@example("<a href=1><table><tr><td><a href=2>x</a></td></tr></table></a>")
@example('<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">')
def test_cleaning_twice_changes_nothing(markup: str) -> None:
    once = clean_html(markup, BASE)
    assert clean_html(once, BASE) == once
    assert clean_html(once, "https://elsewhere.example/") == once


@settings(deadline=None, max_examples=400)
@given(MARKUP)
def test_only_known_tags_and_web_addresses_are_left(markup: str) -> None:
    for tag, attributes in Seen(clean_html(markup, BASE)).tags:
        assert tag in TAGS
        assert not {"style", "class", "id", "name", "src", "srcset"} & attributes.keys()
        assert not any(name.startswith("on") for name in attributes)
        for name in ("href", "cite"):
            assert re.match(r"https?://|mailto:|$", attributes.get(name) or "")
        if tag == "a" and "href" in attributes:
            assert attributes["rel"] == "noopener noreferrer nofollow ugc"


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=80))
@example("\ufeffx\ufeff")
def test_text_survives(text: str) -> None:
    """All but byte order marks, which are none of it."""
    assert text_of(clean_html(html.escape(text), BASE)) == " ".join(text.replace("\ufeff", "").split())


@pytest.mark.parametrize("name", ["xss-content.atom", "xss-summary.atom", "xss-title-html.atom", "xss-xhtml.atom"])
def test_nothing_of_a_hostile_feed_runs(name: str) -> None:
    for entry in parse((HOSTILE / name).read_bytes(), "", BASE).entries:
        for text in filter(None, (entry.title, entry.content, entry.summary)):
            for tag, attributes in Seen(clean_html(text.value, BASE)).tags:
                assert tag in TAGS
                assert attributes.keys() <= {"href", "rel", "title", "cite", "dir", "lang", "start", "type", "datetime"}


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>One</p><p>t<b>w</b>o</p>", "One two"),
        ("a<br>b &amp; c", "a b & c"),
        ("x<script>y</script>z", "xz"),
        ("AT&amp;T", "AT&T"),
        ("1 < 2", "1 < 2"),
        ("  a \n\t b ", "a b"),
    ],
)
def test_text_is_what_a_reader_sees(markup: str, text: str) -> None:
    assert text_of(markup) == text


def test_a_summary_ends_between_words() -> None:
    assert summary_of("short") == "short"
    assert summary_of("word " * 100) == "word " * 59 + "word…"
    assert len(summary_of("x" * 400)) == 300


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://b.example/a?b=1&c=2#d", "https://b.example/a?b=1&c=2#d"),
        ("../x y", "https://b.example/x%20y"),
        ("/a/b.c/", "https://b.example/a/b.c/"), ("/a/../b", "https://b.example/b"), ("//c.example/a", "https://c.example/a"),
        ("HTTP://c.example/", "HTTP://c.example/"),
        ("javascript:alert(1)", ""), ("data:text/html,x", ""), ("file:///etc/passwd", ""), ("tel:1", ""), ("", ""),
        ("https://user:pass@evil.example/", ""), ("http://b.example:99999/", ""), ("http://[::1", ""),
        ("http:///x", ""), ("https://b.example/" + "a" * 9000, ""),
        ("tag:b.example,2026:1", ""), ("blob:https://x/1", ""),
    ],
)  # fmt: skip
def test_an_address_is_absolute_or_nothing(url: str, address: str) -> None:
    assert web_address(url, BASE).lower() == address.lower()


@given(st.text(max_size=80), st.text(max_size=40))
def test_no_address_raises_or_leads_elsewhere(url: str, base: str) -> None:
    found = web_address(url, base)
    assert not found or re.match(r"https?://[^\s]+$", found, re.I)
