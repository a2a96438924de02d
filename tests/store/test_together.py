"""What is asked for at the same moment is worked off together, and what is wrong with one harms no other."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy.exc import OperationalError

from lifestream.store.together import Together


class Counter:
    """Doubles numbers; will have nothing to do with 13, and is away at 0."""

    def __init__(self) -> None:
        self.runs: list[list[int]] = []

    async def __call__(self, asked: Sequence[int]) -> Sequence[int]:
        self.runs.append(list(asked))
        await asyncio.sleep(0)
        if 13 in asked:
            raise ValueError(asked)
        if 0 in asked:
            raise OperationalError("", {}, Exception())
        return [2 * one for one in asked]


async def test_all_that_is_asked_meanwhile_shares_the_next_run() -> None:
    counter = Counter()
    together = Together(counter, 10)
    assert await asyncio.gather(*map(together.ask, range(1, 6))) == [2, 4, 6, 8, 10]
    assert counter.runs == [[1, 2, 3, 4, 5]]
    assert await together.ask(7) == 14


async def test_no_run_takes_on_more_than_it_may_but_at_least_one() -> None:
    counter = Counter()
    together = Together(counter, 10, weigh=lambda one: one)
    await asyncio.gather(*map(together.ask, (4, 6, 1, 25, 3)))
    assert counter.runs == [[4, 6], [1], [25], [3]]


async def test_what_breaks_over_one_is_tried_with_each_alone() -> None:
    counter = Counter()
    together = Together(counter, 10)
    answers = await asyncio.gather(*map(together.ask, (1, 13, 2)), return_exceptions=True)
    assert answers[0] == 2 and isinstance(answers[1], ValueError) and answers[2] == 4
    assert counter.runs == [[1, 13, 2], [1], [13], [2]]


async def test_when_the_database_is_away_nobody_tries_again() -> None:
    counter = Counter()
    together = Together(counter, 10)
    answers = await asyncio.gather(*map(together.ask, (1, 0, 2)), return_exceptions=True)
    assert {type(one) for one in answers} == {OperationalError} and len(counter.runs) == 1


async def test_who_gives_up_waiting_harms_nobody() -> None:
    together = Together(Counter(), 10)
    first, second = (asyncio.create_task(together.ask(one)) for one in (1, 2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second == 4


async def test_a_run_may_wait_for_company() -> None:
    counter = Counter()
    together = Together(counter, 10, pause=0.01)
    first = asyncio.create_task(together.ask(1))
    await asyncio.sleep(0)
    assert await together.ask(2) == 4 and await first == 2
    assert counter.runs == [[1, 2]]
