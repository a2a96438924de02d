"""Link headers, <link> elements, and the way from an address to a feed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifestream.errors import ParseError, TimedOut
from lifestream.protocol.links import (
    ADDRESS_CHARS,
    ALTERNATES_TRIED,
    HUBS,
    Advertised,
    Link,
    Page,
    advertised,
    discover,
    feeds_in,
    html_links,
    parse_link_header,
    web_address,
)
from lifestream.types import Feed

BASE = "https://blog.example/posts/"
HUB = "https://hub.example/"
ATOM = "application/atom+xml"
RSS = "application/rss+xml"


def named(links):
    return [(link.url, sorted(link.rels)) for link in links]


# -- Link headers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('<https://hub.example/>; rel="hub"', [(HUB, ["hub"])]),
        ("<https://hub.example/>; rel=hub", [(HUB, ["hub"])]),  # Google's hub quotes nothing
        ('<https://hub.example/> rel="hub"', [(HUB, ["hub"])]),  # no semicolon (idno)
        ("<https://hub.example/>;rel=hub;", [(HUB, ["hub"])]),
        ('<https://hub.example/>; REL="HUB"', [(HUB, ["hub"])]),
        ('<https://hub.example/>; rel = "hub"', [(HUB, ["hub"])]),
        ('< https://hub.example/ >; rel="hub"', [(HUB, ["hub"])]),
        ('<https://hub.example/>; rel="hub self"', [(HUB, ["hub", "self"])]),
        ('<https://hub.example/>; rel="hub"; rel="self"', [(HUB, ["hub"])]),  # RFC 8288, 3.3: the first counts
        ('<https://hub.example/>; title="a \\"b\\", <c>; rel=self"; rel=hub', [(HUB, ["hub"])]),
        ('<https://hub.example/>; title="unended; rel=hub', [(HUB, [])]),
        ("<https://hub.example/>", [(HUB, [])]),
        (
            "<https://blog.example/feed>; rel=self, <https://hub.example/>; rel=hub",
            [("https://blog.example/feed", ["self"]), (HUB, ["hub"])],
        ),
        (
            '<https://blog.example/a,b,c>; rel="self",<https://hub.example/>; rel="hub"',
            [("https://blog.example/a,b,c", ["self"]), (HUB, ["hub"])],
        ),
        ('<feed.atom>; rel="self"', [("https://blog.example/posts/feed.atom", ["self"])]),
        ('</feed.atom>; rel="self"', [("https://blog.example/feed.atom", ["self"])]),
        ('<//other.example/f>; rel="self"', [("https://other.example/f", ["self"])]),
        ('<>; rel="self"', [(BASE, ["self"])]),
        ('<https://blog.example/?>; rel="self"', [("https://blog.example/?", ["self"])]),
        ('<https://hub.example/>; rel="hub"; anchor=""', [(HUB, ["hub"])]),
        (f'<https://hub.example/>; rel="hub"; anchor="{BASE}"', [(HUB, ["hub"])]),
        ('<https://hub.example/>; rel="hub"; anchor="/about"', []),
        ('<https://hub.example/>; rel="hub"; anchor="#part"', []),
        ('<https://hub.example/>; rel="hub"; anchor="https://[broken"', []),
        ("<javascript:alert(1)>; rel=hub", []),
        ("<ftp://hub.example/>; rel=hub", []),
        ("<https://>; rel=hub", []),
        ("<https://hub.example:port/>; rel=hub", []),
        ("<https://[broken/>; rel=hub", []),
        ("<https://hub.example/ x>; rel=hub", []),
        ("https://hub.example/; rel=hub", []),
        ("<<<>>>,;;=\"", []),
        ("", []),
    ],
)  # fmt: skip
def test_a_link_header_names(value, expected):
    found = [link for link in named(parse_link_header([value], BASE)) if link != (BASE, [])]
    assert found == expected


def test_all_link_headers_count():
    assert named(parse_link_header([f"<{HUB}>; rel=hub", "</f>; rel=self"], BASE)) == [
        (HUB, ["hub"]),
        ("https://blog.example/f", ["self"]),
    ]


def test_a_link_carries_its_type_and_title():
    (link,) = parse_link_header([f'</f>; rel=alternate; type="{ATOM}; charset=utf-8"; title="My \\"posts\\""'], BASE)
    assert (link.type, link.title) == (ATOM, 'My "posts"')


@pytest.mark.parametrize("piece", ["<", '"', "\\\\", "a", "a=", 'a="', "<a>;", "<a>;a", '<a>;"', "a ", "= ", ' "'])
def test_a_long_header_takes_no_longer_for_being_nonsense(piece):
    """Each is read in a few thousandths of a second; a pattern that backtracks takes half a minute for one."""
    assert len(parse_link_header(["<a>; " + piece * 60_000] * 3, BASE)) <= 200


@given(st.lists(st.text(st.sampled_from('<>;,="\\ rhtps:/.abl#?')), max_size=3))
def test_no_link_header_breaks_the_reader(values):
    for link in parse_link_header(values, BASE):
        assert web_address(link.url) == link.url


# -- <link> -----------------------------------------------------------------------------------


def test_html_names_hub_self_and_alternates_in_its_head():
    body = b"""<!doctype html><html><head><title>A blog</title><link rel="stylesheet" href="/s.css">
      <link rel="hub" href="https://hub.example/"><link href="/" rel="self">
      <link rel="alternate" type="application/atom+xml" title="All  posts" href="feed.atom">"""
    assert html_links(body, "text/html", BASE) == [
        Link(HUB, frozenset({"hub"})),
        Link("https://blog.example/", frozenset({"self"})),
        Link(BASE + "feed.atom", frozenset({"alternate"}), ATOM, "All posts"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"<html><head><title>x</title></head><body><p>nice post<link rel=hub href=https://evil.example/></body>",
        b"<html><body><div><head><link rel=hub href=https://evil.example/></head></div></body></html>",
        b"<title>x</title><p>comment: <link rel=hub href=https://evil.example/>",
        b"<html><head></head><body></body></html><head><link rel=hub href=https://evil.example/></head>",
        b"<html><head><!-- <link rel=hub href=https://evil.example/> --></head><body></body></html>",
    ],
)
def test_html_in_the_body_names_nothing(body):
    assert html_links(body, "text/html", BASE) == []


def test_html_without_a_head_tag_has_a_head_all_the_same():
    assert named(html_links(b"<link rel=hub href=https://hub.example/><p>Hello", "text/html", BASE)) == [(HUB, ["hub"])]


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://cdn.example/x/", "https://cdn.example/x/f"),
        ("/x/", "https://blog.example/x/f"),
        ("data:text/html,", "https://blog.example/posts/f"),
    ],
)
def test_html_addresses_count_from_its_base(base, expected):
    body = f'<head><base href="{base}"><base href="/no/"><link rel=self href=f></head>'.encode()
    wanted = expected if not base.startswith("data:") else "https://blog.example/no/f"
    assert named(html_links(body, "text/html", BASE)) == [(wanted, ["self"])]


@pytest.mark.parametrize(
    ("media_type", "read"),
    [
        ("text/html; charset=utf-8", True), ("application/xhtml+xml", True), ("text/plain", True), ("", True),
        ("application/octet-stream", True), ("text/html; charset=martian", True), ("TEXT/HTML", True),
        ("image/png", False), ("application/pdf", False), ("application/json", False),
    ],
)  # fmt: skip
def test_html_is_looked_for_where_it_may_be(media_type, read):
    body = b"<html><head><link rel=hub href=https://hub.example/></head></html>"
    assert bool(html_links(body, media_type, BASE)) is read


def test_html_in_another_encoding_is_read_as_such():
    body = '<head><link rel=alternate type=text/xml title="Приве́т" href=f></head>'.encode("utf-16")
    assert [link.title for link in html_links(body, "text/html; charset=utf-16", BASE)] == ["Приве́т"]


def test_html_that_never_ends_is_read_for_its_beginning():
    body = b"<head><link rel=hub href=https://hub.example/>" + b"<div>" * 500_000
    assert named(html_links(body, "text/html", BASE)) == [(HUB, ["hub"])]


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body):
    assert html_links(body, "text/html", BASE) is not None


# -- what is advertised -----------------------------------------------------------------------


def test_headers_win_over_the_document():  # the W3C suite's test 104
    headers = parse_link_header([f"<{HUB}>; rel=hub, <https://blog.example/f>; rel=self"], BASE)
    assert advertised(headers, ["https://wrong.example/"], "https://wrong.example/self") == Advertised(
        (HUB,), "https://blog.example/f"
    )


def test_the_document_counts_where_headers_are_silent():
    assert advertised([], [HUB], "https://blog.example/f") == Advertised((HUB,), "https://blog.example/f")


def test_a_hub_in_the_headers_may_go_with_a_self_in_the_document():
    headers = parse_link_header([f"<{HUB}>; rel=hub"], BASE)
    assert advertised(headers, [], "https://blog.example/f") == Advertised((HUB,), "https://blog.example/f")


def test_several_hubs_are_all_named_once_in_order():
    hubs = [HUB, "https://b.example/", HUB, "gopher://old.example/", "https://a.example/"]
    assert advertised([], hubs, "").hubs == (HUB, "https://b.example/", "https://a.example/")


def test_nobody_names_more_hubs_than_can_be_asked():
    assert len(advertised([], [f"https://hub{n}.example/" for n in range(1000)], "").hubs) == HUBS


# -- which alternate --------------------------------------------------------------------------


def alternate(url, type, title=""):
    return Link(f"https://blog.example{url}", frozenset({"alternate"}), type, title)


def test_posts_come_before_comments_and_atom_before_rss():
    links = [
        alternate("/wp-json/2", "application/json"),
        alternate("/comments/feed/", RSS, "A blog » Comments Feed"),
        alternate("/feed/", RSS, "A blog » Feed"),
        alternate("/comments.atom", ATOM, "Kommentare"),
        alternate("/feed.json", "application/feed+json"),
        alternate("/feed.atom", ATOM),
        alternate("/de/", "text/html"),
        alternate("/oembed", "application/json+oembed"),
        Link("https://blog.example/print.css", frozenset({"alternate", "stylesheet"}), "text/xml"),
        Link("https://blog.example/self.atom", frozenset({"self"}), ATOM),
    ]
    assert [link.url.removeprefix("https://blog.example") for link in feeds_in(links)] == [
        "/feed.atom", "/feed.json", "/feed/", "/wp-json/2", "/comments.atom", "/comments/feed/",
    ]  # fmt: skip


def test_of_equals_the_page_s_first_comes_first():
    links = [alternate("/b", RSS), alternate("/a", RSS), alternate("/b", RSS)]
    assert [link.url for link in feeds_in(links)] == ["https://blog.example/b", "https://blog.example/a"]


# -- discovery --------------------------------------------------------------------------------

HTML = "text/html"
HOME = "https://blog.example/"


def feed(format="atom", hubs=(), self_url=""):
    return Feed(format=format, hubs=hubs, self_url=self_url)


def feed_page(url, feed=feed(), links=()):
    return Page(url, b"<feed/>", ATOM, links, feed)


def html_page(*alternates, url=HOME, links=(), feed=None):
    body = "".join(f'<link rel=alternate type="{type}" href="{href}">' for href, type in alternates)
    return Page(url, f"<head>{body}</head>".encode(), HTML, links, feed, "This is an HTML page, not a feed.")


def converse(site, url=HOME):
    """Plays the driver: returns the discovery and every address that was fetched."""
    fetched = []
    conversation = discover(url)
    try:
        asked = next(conversation)
        while True:
            fetched.append(asked)
            answer = site.get(asked, TimedOut(f"{asked} took too long.", url=asked))
            asked = conversation.throw(answer) if isinstance(answer, Exception) else conversation.send(answer)
    except StopIteration as end:
        return end.value, fetched


def test_a_feed_is_its_own_discovery():
    page = feed_page(HOME, feed(hubs=(HUB,), self_url="https://blog.example/self"))
    found, fetched = converse({HOME: page})
    assert fetched == [HOME]
    assert (found.asked, found.feed_url, found.feed, found.page) == (HOME, HOME, page.feed, page)
    assert found.advertised == Advertised((HUB,), "https://blog.example/self")


def test_a_feed_s_headers_win_in_discovery():
    links = (f"<{HUB}>; rel=hub", "</self>; rel=self")
    page = feed_page(HOME, feed(hubs=("https://wrong.example/",)), links)
    assert converse({HOME: page})[0].advertised == Advertised((HUB,), "https://blog.example/self")


def test_a_feed_that_moved_is_known_by_where_it_is_now():
    found, _ = converse({HOME: feed_page("https://new.example/feed")})
    assert (found.asked, found.feed_url) == (HOME, "https://new.example/feed")


def test_a_page_leads_to_its_feed():
    site = {HOME: html_page(("/rss", RSS), ("/atom", ATOM)), HOME + "atom": feed_page(HOME + "atom")}
    found, fetched = converse(site)
    assert found.feed_url == HOME + "atom"
    assert fetched == [HOME, HOME + "atom"]


def test_a_feed_in_the_headers_is_tried_before_those_in_the_page():
    home = html_page(("/atom", ATOM), links=(f'</rss>; rel="alternate"; type="{RSS}"',))
    assert converse({HOME: home, HOME + "rss": feed_page(HOME + "rss")})[0].feed_url == HOME + "rss"


def test_the_next_feed_is_tried_when_one_cannot_be_read_or_fetched():
    site = {
        HOME: html_page(("/a", ATOM), ("/b", ATOM), ("/c", ATOM)),
        HOME + "b": html_page(url=HOME + "b"),
        HOME + "c": feed_page(HOME + "c"),
    }
    found, fetched = converse(site)
    assert found.feed_url == HOME + "c"
    assert fetched == [HOME, HOME + "a", HOME + "b", HOME + "c"]


def test_three_feeds_are_tried_and_the_sentence_names_them():
    site = {HOME: html_page(*((f"/{n}", ATOM) for n in range(9))), HOME + "1": html_page(url=HOME + "1")}
    with pytest.raises(ParseError) as caught:
        converse(site)
    said = str(caught.value)
    assert said.startswith(f"{HOME} links to feeds, but none of them can be read. Tried /0: {HOME}0 took too long. — ")
    assert "/1: This is an HTML page, not a feed. — /2: " in said
    assert said.endswith(" — the page itself: This is an HTML page, not a feed.")
    assert "/3" not in said


def test_a_page_without_feeds_is_told_so():
    with pytest.raises(ParseError) as caught:
        converse({HOME: html_page()})
    assert str(caught.value) == (
        "https://blog.example/ answered, but names no feed and holds none. This is an HTML page, not a feed. "
        'Tried its Link headers, the <link rel="alternate"> in its head.'
    )


@pytest.mark.parametrize("hrefs", [[], [("/atom", ATOM)]], ids=["without links", "with a link that leads nowhere"])
def test_a_forge_without_feeds_points_to_its_webhook(hrefs):
    page = html_page(*hrefs)
    page = replace(page, body=page.body + b'<meta name="author" content="Gogs">')
    with pytest.raises(ParseError, match="Gogs, a forge, .* `lifestream hook add gogs --slug NAME`, or at"):
        converse({HOME: page})


def test_an_address_that_cannot_be_fetched_is_that_error():
    with pytest.raises(TimedOut):
        converse({})


def test_a_page_that_links_to_itself_is_not_fetched_twice():
    with pytest.raises(ParseError, match="names no feed"):
        converse({HOME: html_page(("/", ATOM))})


def test_a_page_of_microformats_that_names_a_hub_is_meant_as_a_feed():  # the W3C suite's tests 100 and 101
    page = html_page(("/atom", ATOM), links=(f"<{HUB}>; rel=hub",), feed=feed("h-feed"))
    found, fetched = converse({HOME: page, HOME + "atom": feed_page(HOME + "atom")})
    assert (found.feed_url, fetched) == (HOME, [HOME])


def test_a_page_of_microformats_gives_way_to_the_feed_it_links_to():
    page = html_page(("/atom", ATOM), feed=feed("h-feed"))
    assert converse({HOME: page, HOME + "atom": feed_page(HOME + "atom")})[0].feed_url == HOME + "atom"


def test_a_page_of_microformats_is_enough_when_nothing_better_can_be_had():
    assert converse({HOME: html_page(("/atom", ATOM), feed=feed("h-feed"))})[0].feed_url == HOME
    assert converse({HOME: html_page(feed=feed("h-feed"))})[0].feed_url == HOME


OUTBOX, FIRST = "https://social.example/outbox", "https://social.example/outbox?page=1"


def leading_to(url, title=""):
    return Feed("activitystreams", title, entries_at=url)


def test_an_actor_leads_to_the_first_page_of_the_outbox_and_lends_it_a_name():
    site = {
        HOME: feed_page(HOME, leading_to(OUTBOX, "Ana")),
        OUTBOX: feed_page(OUTBOX, leading_to(FIRST)),
        FIRST: feed_page(FIRST, feed("activitystreams")),
    }
    found, fetched = converse(site)
    assert fetched == [HOME, OUTBOX, FIRST]
    assert (found.asked, found.feed_url, found.feed.title) == (FIRST, FIRST, "Ana")


def test_a_page_leads_to_an_actor_after_any_feed():
    home = html_page(("/ana", "application/activity+json"), ("/rss", RSS))
    site = {HOME: home, HOME + "ana": feed_page(HOME, leading_to(OUTBOX)), OUTBOX: feed_page(OUTBOX)}
    assert converse(site) == (
        converse({**site, HOME: site[HOME + "ana"]})[0],
        [HOME, HOME + "rss", HOME + "ana", OUTBOX],
    )
    assert converse({**site, HOME + "rss": feed_page(HOME + "rss")})[0].feed_url == HOME + "rss"


def test_what_leads_nowhere_or_in_a_circle_is_followed_two_steps():
    with pytest.raises(ParseError, match="names no feed"):
        converse({HOME: feed_page(HOME, leading_to(OUTBOX)), OUTBOX: html_page(url=OUTBOX)})
    _, fetched = converse({HOME: feed_page(HOME, leading_to(HOME))})
    assert fetched == [HOME] * 3


@given(st.data())
def test_discovery_never_loops(data):
    """Whatever the pages link to, few are fetched, and none twice."""
    addresses = [HOME + path for path in ("", "a", "b", "c", "d")]
    hrefs = st.lists(st.tuples(st.sampled_from(addresses), st.sampled_from([ATOM, RSS])))
    site = {url: html_page(*data.draw(hrefs), url=data.draw(st.sampled_from(addresses))) for url in addresses}
    conversation = discover(HOME)
    fetched = [next(conversation)]
    with pytest.raises(ParseError):
        while True:
            fetched.append(conversation.send(site[fetched[-1]]))
    assert len(fetched) == len(set(fetched)) <= 1 + ALTERNATES_TRIED


# -- addresses --------------------------------------------------------------------------------


def test_an_absolute_address_stays_as_it_is():
    for url in (
        "https://a.example",
        "https://a.example/?",
        "HTTP://A.example/x/../y?a=%c3%a9&b=+#f",
        "http://[::1]:8/",
    ):
        assert web_address(url, BASE) == web_address(url) == url


def test_an_endless_address_is_none():
    assert web_address("https://a.example/" + "x" * ADDRESS_CHARS) == ""
