"""When a hub counts as silent."""

from datetime import UTC, datetime

from lifestream.protocol.silence import asks_anew, is_silent, sentence


def test_two_polls_that_found_what_nobody_told_of_are_silence():
    assert [is_silent(looks) for looks in range(4)] == [False, False, True, True]


def test_a_silent_hub_is_asked_ever_more_rarely():
    assert [looks for looks in range(40) if asks_anew(looks)] == [2, 4, 8, 16, 32]


def test_the_owner_is_told_in_a_sentence():
    since = datetime(2026, 11, 21, 14, 31, tzinfo=UTC)
    told = sentence("https://hub.example/", since)
    assert told.startswith("The hub https://hub.example/ has told nothing since 2026-11-21 14:31 UTC; ")
    assert "since" not in sentence("https://hub.example/", None)
