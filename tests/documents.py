"""Feeds to publish in tests: a few words in, a document out."""

from collections.abc import Sequence

COMPLETE = "<fh:complete xmlns:fh='http://purl.org/syndication/history/1.0'/>"


def entry(number: int, text: str = "hello", *, title: str = "", updated: str = "") -> str:
    """An Atom entry; a later second for a higher number unless `updated` says otherwise."""
    return (
        f"<entry><id>urn:e:{number}</id><title>{title or f'Post {number}'}</title>"
        f"<link href='http://blog.example/{number}'/>"
        f"<updated>{updated or f'2026-03-20T10:{number // 60:02}:{number % 60:02}Z'}</updated>"
        f"<content type='html'>{text}</content></entry>"
    )


def tombstone(number: int, when: str = "2026-03-21T10:00:00Z") -> str:
    return f"<at:deleted-entry xmlns:at='http://purl.org/atompub/tombstones/1.0' ref='urn:e:{number}' when='{when}'/>"


def atom(*parts: str, title: str = "Blog", hubs: Sequence[str] = (), self_url: str = "") -> str:
    links = "".join(f"<link rel='hub' href='{hub}'/>" for hub in hubs)
    links += f"<link rel='self' href='{self_url}'/>" if self_url else ""
    return (
        f"<feed xmlns='http://www.w3.org/2005/Atom'><id>urn:f</id><title>{title}</title>{links}{''.join(parts)}</feed>"
    )
