"""An adapter of the owner's that is wrong: its deliveries come to nothing, he is told why, and nothing else breaks."""

from typing import Any

import pytest

from tests.fakes import AppClient
from tests.hooks.deliveries import SECRET, sample
from tests.living import on_sqlite

pytestmark = on_sqlite

RIGHT = {
    "doubt": 'return "" if call.header("x-bell") in secrets else "it does not ring"',
    "events": 'return [Event("", text(payload, "who"))]',
}
ADAPTER = """
from lifestream.protocol.adapter import *
def doubt(call, secrets, now):
    {doubt}
def events(call, payload):
    {events}
"""
BREAKS = {
    "events raises": {"events": "return payload['missing']"},
    "read raises": {"events": "return []\ndef read(call):\n    raise RecursionError"},
    "events says nothing": {"events": "return None"},
    "events are none": {"events": "return [{'title': 'x'}]"},
    "an event without words": {"events": "return [Event('k', None)]"},
    "an event of a kind that is none": {"events": "return [Event('k', 'x', text=7)]"},
    "it remembers for no time": {"events": "return [Event('k', 'x')]\nSAME_FOR = 'long'"},
}


def writes(client: AppClient, **parts: str) -> None:
    folder = client.site.config.data_dir / "hooks"
    folder.mkdir(exist_ok=True)
    (folder / "doorbell.py").write_text(ADAPTER.format(**(RIGHT | parts)))


async def hangs(client: AppClient, adapter: str = "doorbell") -> None:
    values = {"adapter": adapter, "slug": adapter, "secret": SECRET}
    answer = await client.post("/api/hooks", json=values, headers=await client.token("owner"))
    assert answer.status_code == 201, answer.text


async def rings(client: AppClient, secret: str = SECRET) -> Any:
    return await client.post("/hooks/doorbell", json={"who": "Ines"}, headers={"X-Bell": secret})


async def verdict(client: AppClient) -> dict[str, Any]:
    answer = await client.get("/api/hooks/doorbell", headers=await client.token("owner"))
    last: dict[str, Any] = answer.json()["last_delivery"]
    return last


@pytest.mark.parametrize("parts", BREAKS.values(), ids=BREAKS)
async def test_one_that_breaks_is_the_owners_to_mend_and_not_the_senders(
    client: AppClient, parts: dict[str, str]
) -> None:
    writes(client, **parts)
    await hangs(client)
    answer = await rings(client)
    assert answer.status_code == 422 and answer.text == (
        "This hook's adapter cannot make anything of it. Its owner is told why.\n"
    )
    last = await verdict(client)
    assert (last["status"], last["outcome"]) == (422, "broken") and "doorbell broke over it (" in last["verdict"]
    assert (await client.get("/api/entries")).json()["entries"] == []
    await hangs(client, "github")
    one = sample("github/star-created.json")
    assert (await client.post("/hooks/github", content=one.body, headers=one.headers)).status_code == 200


@pytest.mark.parametrize("doubt", ["return call.nothing", "return None", "return True", "return ['']"])
async def test_one_that_cannot_tell_who_sent_it_believes_nobody(client: AppClient, doubt: str) -> None:
    writes(client, doubt=doubt)
    await hangs(client)
    assert (await rings(client)).status_code == 403
    assert (await verdict(client))["outcome"] == "refused"


async def test_one_whose_file_was_taken_away_is_said_so(client: AppClient) -> None:
    writes(client)
    await hangs(client)
    assert (await rings(client)).status_code == 200
    (client.site.config.data_dir / "hooks" / "doorbell.py").unlink()
    assert (await rings(client)).status_code == 422
    assert "no adapter" in (await verdict(client))["verdict"]
    page = await client.get("/api/hooks", headers=await client.token("owner"))
    assert page.json()[0]["source"] == "doorbell"
