"""Whose page it is: by what each forge's templates write, whoever runs it."""

import time

import pytest

from lifestream.places import top
from lifestream.protocol.forge_pages import forge_of, webhook_hint

HTML = "text/html; charset=utf-8"
PAGES = {
    "gogs by its author": ('<meta name="author" content="Gogs" /><title>Ana</title>', "gogs"),
    "gogs of 2015": ('<meta name="author" content="Gogs - Go Git Service" />', "gogs"),
    "gogs by its keywords, at a repository": (
        '<meta name="author" content="ana"><meta name="keywords" content="go, git, self-hosted, gogs">', "gogs",
    ),
    "gogs by its title": ("<title>Ana - Gogs</title>", "gogs"),
    "gogs by its footer": ("<title>Our code</title><body><footer><div>© 2018 Gogs</div></footer>", "gogs"),
    "gogs in German": ('<body><footer><a target="_blank" href="https://gogs.io">Webseite</a></footer>', "gogs"),
    "gitea": ('<meta name="author" content="Gitea - Git with a cup of tea">', "gitea"),
    "gitea by its title": ("<title>ana - Gitea: Git with a cup of tea</title>", "gitea"),
    "gitea in French": ('<footer><a href="https://about.gitea.com">Propulsé par Gitea</a></footer>', "gitea"),
    "forgejo": ('<meta name="author" content="Forgejo – Beyond coding. We forge.">', "forgejo"),
    "forgejo by its keywords": ('<meta name="keywords" content="git,forge,forgejo">', "forgejo"),
    "forgejo under another name": (
        '<meta name="author" content="Codeberg.org"><footer><a href="https://forgejo.org">Powered by …</a></footer>',
        "forgejo",
    ),
    "gitlab": ('<meta content="GitLab" property="og:site_name"><title>Ana</title>', "gitlab"),
    "gitlab's login": ("<title>Sign in · GitLab</title>", "gitlab"),
    "bitbucket": ('<meta name="application-name" content="Bitbucket">', "bitbucket"),
    "github": ('<meta property="og:site_name" content="GitHub">', "github"),
    "sourcehut": ("<title>~ana - sourcehut git</title>", "sourcehut"),
    "one that says its version": ('<meta name="generator" content="Forgejo 12.0.1">', "forgejo"),
    "a blog": ('<meta name="author" content="Ana"><meta name="generator" content="Hugo 0.1"><title>Ana</title>', ""),
    "a page about a forge": ('<title>From Gitea to Forgejo</title><meta name="keywords" content="git, gitea">', ""),
    "somebody at a forge": ('<meta name="author" content="GitHub Staff"><p>Powered by Gitea</p>', ""),
    "a link to a forge": ('<footer><a href="https://gitea.com/ana">my code</a></footer>', ""),
    "an article's footer before the page's own": (
        "<article><footer>Ana</footer></article><footer><p><footer>©</footer></p>Powered by<br>\n Gitea</footer>",
        "gitea",
    ),
    "a page's footer that follows an article's": (
        "<article><footer>Powered by Gitea</footer></article><footer>Ana</footer>", "",
    ),
    "nothing": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize(("page", "forge"), PAGES.values(), ids=PAGES)
def test_a_forge_is_known_by_its_pages(page: str, forge: str) -> None:
    assert forge_of(page.encode(), HTML) == forge


HOSTILE = {
    "footers in footers": "<body>" + "<footer>" * 250 + ("powered by" + " " * 90) * 5000,
    "an element with 50,000 attributes": f"<footer {' '.join(f'a{number}=1' for number in range(50_000))}>",
    "footers that never end": "<footer>" * 60_000,
    "footers": "<footer></footer>" * 30_000,
    "links in a footer": "<footer>" + "<a href=https://gogs.example>" * 20_000,
    "metas": "<meta name=author content=ana>" * 18_000,
    "a meta": f"<meta name=author content='gogs{' ' * 500_000}x'>",
    "a title": "<title>" + " - gogs " * 62_500,
    "pieces of text": "<footer>" + "<" * 500_000,
    "comments": "<footer>" + "©<!---->" * 50_000,
}


@pytest.mark.parametrize("page", HOSTILE.values(), ids=HOSTILE)
def test_no_page_keeps_everybody_waiting(page: str) -> None:
    """Each is read in less than a tenth of a second; some took half a minute."""
    began = time.process_time()
    forge_of(page.encode(), HTML)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("letter", ["\0", "\x01", "\ufffe", "&#1;", "&#xD800;", "a:b", "<a:b c:d=e>", "</head>"])
def test_what_no_document_may_hold_is_read_over(letter: str) -> None:
    page = (
        f"<title>{letter}</title><{letter}><footer {letter}=1>{letter}<a href='{letter}'></a> Powered by Gogs</footer>"
    )
    assert forge_of(page.encode(), HTML) == "gogs"


def test_what_is_no_html_is_no_forge_s_page() -> None:
    assert forge_of(b"%PDF <title>Ana - Gogs</title>", "application/pdf") == ""


def test_the_hint_names_the_forge_and_what_to_do() -> None:
    assert webhook_hint("gitlab") == (
        "This looks like GitLab, a forge, which can tell of news by webhook: "
        "make one with `lifestream hook add gitlab --slug NAME`, or at /admin/hooks."
    )
    assert webhook_hint("") == ""


@pytest.mark.parametrize("forge", ["gogs", "gitea", "forgejo", "gitlab", "bitbucket", "github", "sourcehut"])
def test_every_forge_that_is_known_has_an_adapter(forge: str) -> None:
    assert (top("hooks") / f"{forge}.py").is_file() and forge in webhook_hint(forge)
