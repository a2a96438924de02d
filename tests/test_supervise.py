"""How soon a process that died is started again. What it does is in e2e/test_workers.py."""

from lifestream.supervise import LONGEST_PAUSE, SHORTEST_PAUSE, STEADY, next_pause


def test_one_that_dies_at_its_start_again_and_again_is_started_less_and_less_often() -> None:
    pauses = [SHORTEST_PAUSE]
    for _ in range(12):
        pauses.append(next_pause(pauses[-1], lived=1.0))
    assert pauses == sorted(pauses)
    assert pauses[1] == 2 * pauses[0] and pauses[-1] == LONGEST_PAUSE


def test_one_that_has_lived_is_started_again_at_once() -> None:
    assert next_pause(LONGEST_PAUSE, lived=STEADY + 1) == SHORTEST_PAUSE
