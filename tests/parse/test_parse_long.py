"""A document that is too long to be held as a tree says what a short one would."""

from dataclasses import replace

import pytest

from lifestream.parse import atom_rss, parse
from lifestream.parse.packed import Packed

DOCUMENTS = [
    b"<?xml version='1.0'?><feed xmlns='http://www.w3.org/2005/Atom' xml:base='https://b.example/' xml:lang='de'>"
    b"<entry><id>1</id><title>One</title><link href='/1'/></entry> text between "
    b"<entry><id>2</id><author><name>B</name></author><content type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'>"
    b"<item>no entry</item></div></content></entry><x:entry xmlns:x='urn:x'><x:id>3</x:id></x:entry><entry/>"
    b"<title>Behind</title><author><name>A</name></author><link rel='hub' href='https://hub.example/'/></feed>",
    b"<rss version='2.0'><channel><item><title>One</title><link>/1</link><item><title>Inside</title></item></item>"
    b"<item><guid>2</guid></item><link>https://site.example/</link><title>Behind</title></channel></rss>",
    b"<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://purl.org/rss/1.0/'>"
    b"<channel><title>T</title><link>https://r.example/</link></channel><item rdf:about='x'><title>I</title></item>"
    b"</rdf:RDF>",
    b"<html><feed xmlns='http://www.w3.org/2005/Atom'><title>In a page</title><entry><id>1</id></entry></feed></html>",
    b"<entry xmlns='http://www.w3.org/2005/Atom'><id>alone</id><title>Alone</title></entry>",
    b"<feed xmlns='http://www.w3.org/2005/Atom'><title>Broken</title><entry><id>1</id></entry><entry><id>2</feed>",
    b"<feed xmlns='http://www.w3.org/2005/Atom' xmlns:a='http://activitystrea.ms/spec/1.0/'><entry><id>1</id>"
    b"<a:verb>delete</a:verb></entry><entry><id>2</id></entry></feed>",
    b"<feed xmlns='http://www.w3.org/2005/Atom'><entry><id>1</id><content type='xhtml'>"
    b"<div xmlns='http://www.w3.org/1999/xhtml'><feed xmlns='http://www.w3.org/2005/Atom'><entry><id>evil</id></entry>"
    b"</feed></div></content></entry><feed><entry><id>evil</id></entry></feed></feed>",
    b"<rss><channel><item><guid>1</guid><channel><item><guid>evil</guid></item></channel></item></channel>"
    b"<channel><item><guid>evil</guid></item></channel></rss>",
    b"<page><feed xmlns='http://www.w3.org/2005/Atom'><entry><id>1</id></entry></feed>"
    b"<feed xmlns='http://www.w3.org/2005/Atom'><entry><id>evil</id></entry></feed></page>",
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=range(len(DOCUMENTS)))
@pytest.mark.parametrize("piece", [7, 64 * 1024])
def test_a_long_document_says_the_same_as_a_short_one(
    document: bytes, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = parse(document, "", "https://x.example/feed")
    assert "evil" not in {entry.id for entry in short.entries}
    monkeypatch.setattr(atom_rss, "LONG", 0)
    monkeypatch.setattr(atom_rss, "PIECE", piece)
    long = parse(document, "", "https://x.example/feed")
    assert replace(long, entries=tuple(long.entries)) == short


def test_a_long_document_is_never_a_whole_tree() -> None:
    entries = (b"<entry><id>%d</id></entry>" % number for number in range(10_000))
    document = b"<feed xmlns='http://www.w3.org/2005/Atom'><title>T</title>" + b"".join(entries) + b"</feed>"
    walk = atom_rss._LongDocument(document, None)
    assert sum(1 for _ in walk) == 10_000
    assert len(walk.root) == 2
    assert isinstance(parse(document + b" " * atom_rss.LONG, "", "").entries, Packed)
