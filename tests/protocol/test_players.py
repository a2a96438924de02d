"""What to enter at players: to copy as it is, and told of in the document."""

from pathlib import Path

import pytest

from lifestream.protocol.players import Player, players

DOCUMENT = Path(__file__).parents[2] / "docs" / "scrobbling.md"
ALL = players("https://stream.example", "ls_x")


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name.split(",")[0])
def test_each_has_the_address_and_the_token(one: Player) -> None:
    assert "https://stream.example/scrobble" in one.settings and "ls_x" in one.settings
    assert "{" not in one.settings or one.name.startswith("curl")


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name.split(",")[0])
def test_the_document_tells_of_each(one: Player) -> None:
    assert one.name.split(",")[0] in DOCUMENT.read_text()
