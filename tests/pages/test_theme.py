"""Light or dark, as the reader chose it."""

import pytest

from tests.fakes import AppClient
from tests.living import on_sqlite

pytestmark = on_sqlite


async def chooses(client: AppClient, theme: str, **headers: str) -> int:
    return (await client.post("/theme", data={"theme": theme}, headers=headers)).status_code


async def first_line(client: AppClient) -> str:
    return (await client.get("/hub")).text.splitlines()[1]


async def test_a_page_is_rendered_in_the_theme_that_was_chosen(client: AppClient) -> None:
    assert "data-theme" not in await first_line(client)
    for theme in ("dark", "light"):
        assert await chooses(client, theme) == 303
        assert f'data-theme="{theme}"' in await first_line(client)
    assert await chooses(client, "system") == 303
    assert "data-theme" not in await first_line(client)


async def test_the_choice_leads_back_to_where_it_was_made(client: AppClient) -> None:
    base = client.site.config.base_url
    for came_from, back in (
        (f"{base}/day/2026-11-21?kind=photo", "/day/2026-11-21?kind=photo"), (base, "/"), ("", "/"),
        ("https://evil.example/login", "/"), (f"{base}//evil.example/", "/evil.example/"), ("http://[", "/"),
    ):  # fmt: skip
        answer = await client.post("/theme", data={"theme": "dark"}, headers={"referer": came_from})
        assert answer.headers["location"] == back


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}], ids=str)
async def test_other_sites_choose_nothing(client: AppClient, headers: dict[str, str]) -> None:
    assert await chooses(client, "dark", **headers) == 403
    assert "data-theme" not in await first_line(client)


async def test_a_theme_that_is_none_is_refused_and_a_cookie_that_is_none_means_nothing(client: AppClient) -> None:
    assert await chooses(client, "pink") == 400
    client.cookies.set("theme", '"><script>')
    assert "data-theme" not in await first_line(client)


async def test_the_choice_stands_on_every_page_without_script(client: AppClient) -> None:
    await chooses(client, "dark")
    page = (await client.get("/hub")).text
    assert '<form class="theme" method="post" action="/theme">' in page
    assert 'value="dark" aria-pressed="true"' in page and 'value="system" aria-pressed="false"' in page
    assert '<meta name="color-scheme" content="dark">' in page
