"""What must become of documents that are broken, lying or hostile, as far as reading them goes."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifestream.errors import ParseError
from lifestream.parse import parse
from lifestream.types import Feed

HOSTILE = Path(__file__).parent / "data" / "hostile"
EVERY = sorted(HOSTILE.iterdir())
URL = "https://b.example/feed"
REFUSED = {
    "body-empty": "empty",
    "body-whitespace.xml": "empty",
    "body-html.html": "HTML page (“Home”)",
    "body-cloudflare.html": "guard against robots",
    "body-login.html": "login page",
    "body-error.json": "rate limited",
    "body-binary.bin": "PNG",
    "body-path.txt": "/etc/passwd",
    "body-url.txt": "http://127.0.0.1:8000/admin",
}
TITLES = {
    "xml-html-entities.xml": "a\xa0b — ©",
    "xml-bare-ampersand.xml": "AT&T & co",
    "xml-control-chars.xml": "abcd",
    "xml-charref-illegal.xml": "abcde😀",
    "xml-external-dtd.xml": "a\xa0b",
    "xml-external-entity-file.xml": "[]",
    "xml-external-entity-http.xml": "[]",
    "xml-external-entity-php.xml": "[]",
    "xml-billion-laughs.xml": "x",
    "xml-xinclude.xml": "x",
    "xml-leading-junk.xml": "x",
    "xml-two-roots.xml": "x",
    "xml-bom-and-space.xml": "é",
    "xml-double-bom.xml": "é",
    "enc-utf-7.xml": "+AOlOLQ",
    "enc-utf-16.xml": "é中",
    "enc-utf-16-le.xml": "é中",
    "enc-utf-32.xml": "é中",
    "enc-decl-lies-latin1.xml": "é",
    "enc-decl-lies-utf8.xml": "“q” é",
    "enc-bogus-name.xml": "x",
    "ns-missing.atom": "ok",
    "ns-wrong-case.atom": "ok",
    "ns-unbound-prefix.xml": "x",
    "json-surrogate.json": "x",
    "id-sql.atom": "Robert'); DROP TABLE entries;--",
}


def read(name: str) -> Feed:
    return parse((HOSTILE / name).read_bytes(), "text/html; charset=utf-7", URL)


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.name)
def test_a_hostile_document_is_read_or_refused_with_a_sentence(path: Path) -> None:
    try:
        feed = read(path.name)
    except ParseError as error:
        assert str(error).endswith(".")
        assert path.name in REFUSED
    else:
        assert path.name not in REFUSED
        assert "root:" not in str(feed)


@pytest.mark.parametrize(("name", "said"), REFUSED.items())
def test_what_is_no_feed_is_named(name: str, said: str) -> None:
    with pytest.raises(ParseError) as refused:
        read(name)
    assert said in str(refused.value)


@pytest.mark.parametrize(("name", "title"), TITLES.items())
def test_a_title_survives_the_damage(name: str, title: str) -> None:
    first = read(name).entries[0].title
    assert first is not None
    assert first.value == title


def test_an_ampersand_in_an_address_stays() -> None:
    assert read("xml-bare-ampersand.xml").entries[0].link == "https://b.example/?a=1&b=2"


def test_the_whole_entries_of_a_truncated_document_are_kept() -> None:
    feed = read("xml-truncated.xml")
    assert [entry.id for entry in feed.entries] == ["urn:1", "urn:2"]
    assert feed.damaged


def test_a_document_without_entries_is_a_feed() -> None:
    assert read("body-zero-entries.atom").entries == ()


def test_a_text_title_keeps_its_literal_markup() -> None:
    title = read("xss-title-text.atom").entries[0].title
    assert title is not None and not title.html
    assert title.value == "<script>alert(1)</script>"


def test_only_web_addresses_are_hubs() -> None:
    assert read("spoof-self-link.atom").hubs == ("http://127.0.0.1:8000/admin",)


def test_a_thousand_hubs_are_a_hundred() -> None:
    links = "".join(f'<link rel="hub" href="https://h{n}.example/"/>' for n in range(1000))
    body = f'<feed xmlns="http://www.w3.org/2005/Atom"><title>t</title>{links}</feed>'
    assert len(parse(body.encode(), "", URL).hubs) == 100


def test_hundreds_of_enclosures_are_twenty() -> None:
    enclosures = "".join(f'<enclosure url="https://b.example/{n}.mp3" length="1e30"/>' for n in range(500))
    body = f"<rss><channel><item><guid>1</guid>{enclosures}<enclosure/></item></channel></rss>"
    assert len(parse(body.encode(), "", URL).entries[0].media) == 20


def test_long_texts_are_cut() -> None:
    item = f"<title>{'t' * 100_000}</title><description>{'d' * 1_100_000}</description>"
    body = f"<rss><channel><item>{item}</item></channel></rss>"
    (entry,) = parse(body.encode(), "", URL).entries
    assert entry.title is not None and len(entry.title.value) == 64 * 1024
    assert entry.content is not None and len(entry.content.value) == 1024 * 1024


@pytest.mark.parametrize("depth", [300, 20_000])
def test_deep_nesting_costs_neither_stack_nor_entry(depth: int) -> None:
    inside = "<x>" * depth + "</x>" * depth
    body = f'<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>urn:1</id>{inside}</entry></feed>'
    assert [entry.id for entry in parse(body.encode(), "", URL).entries] == ["urn:1"]


def test_deep_json_costs_neither_stack_nor_entry() -> None:
    deep = "[" * 20_000 + "]" * 20_000
    body = f'{{"version":"https://jsonfeed.org/version/1.1","items":[{{"id":"1","x":{deep}}}, {{"id": "2"}}]}}'
    feed = parse(body.encode(), "", URL)
    assert [entry.id for entry in feed.entries] == ["1", "2"]
    assert feed.damaged


def test_an_entity_repeated_without_end_is_never_expanded() -> None:
    item = f"<item><guid>1</guid><title>{'&a;' * 3000}</title></item>"
    body = f'<!DOCTYPE r [<!ENTITY a "{"A" * 50_000}">]><rss><channel>{item}</channel></rss>'
    (entry,) = parse(body.encode(), "", URL).entries
    assert entry.title is None


def test_utf8_encoded_twice_is_read_once() -> None:
    body = (
        "<rss><channel><title>Überblick über „alles“</title></channel></rss>".encode()
        .decode("cp1252", "ignore")
        .encode()
    )
    assert parse(body, "", URL).title.startswith("Überblick")


def test_feedparser_reads_what_nothing_else_can() -> None:
    body = b"<rss version=2.0><channel><title>S</title><item><title>One</title><guid>1</guid></item></channel></rss>"
    feed = parse(body, "", URL)
    assert feed.damaged
    assert [entry.id for entry in feed.entries] == ["1"]


MUTATED = [
    body for path in EVERY if len(body := path.read_bytes()) < 2000 and path.suffix in (".xml", ".atom", ".json")
] + [path.read_bytes() for path in (HOSTILE.parent).iterdir() if path.suffix in (".atom", ".rss", ".rdf")]
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 12),
        st.sampled_from([b"", b"<", b"&", b"\0", b"]]>", b"\xff", b"</item>", b'"', b"<![CDATA["]),
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(MUTATED), EDITS)
def test_no_mutation_raises_anything_but_a_parse_error(body: bytes, edits: list[tuple[float, int, bytes]]) -> None:
    for where, length, new in edits:
        at = int(where * len(body))
        body = body[:at] + new + body[at + length :]
    try:
        feed = parse(body, "", URL)
    except ParseError:
        return
    str(feed).encode()  # nothing that a database or a socket could not take


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(st.binary(max_size=300), st.text(alphabet="<>/&;\"'=rsitemfdx :![]CDAT-", max_size=200).map(str.encode))
)
def test_no_bytes_raise_anything_but_a_parse_error(body: bytes) -> None:
    for candidate in (body, b"<rss>" + body, b'{"items":' + body, b"<feed><entry>" + body):
        try:
            parse(candidate, "", URL)
        except ParseError:
            pass
