"""Whose page it is: by what each forge's templates write, whoever runs it."""

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
    "nothing": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize(("page", "forge"), PAGES.values(), ids=PAGES)
def test_a_forge_is_known_by_its_pages(page: str, forge: str) -> None:
    assert forge_of(page.encode(), HTML) == forge


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
