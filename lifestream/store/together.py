"""Group commit: what is asked for while one transaction is under way shares the next one.

So that fsync for each is not what each has to wait for, and what all of them need is read once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy import exc

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

AWAY = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, OSError)


class Together(Generic[Asked, Answer]):
    """`work` answers all that it is given, in their order. When it raises, each is tried alone, for what is wrong with
    one is not the others' fault; but when the database is away, all are told so.

    `weigh` says how much of `most`, what one run may take on, an item counts for. `pause` is for how many seconds a run
    waits for company before it begins: every commit wakes all who follow the log.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Asked]], Awaitable[Sequence[Answer]]],
        most: int,
        weigh: Callable[[Asked], int] = lambda _: 1,
        pause: float = 0.0,
    ) -> None:
        self._work, self._most, self._weigh, self._pause = work, most, weigh, pause
        self._waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def ask(self, what: Asked) -> Answer:
        """What `work` answers; raises what it raised."""
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((what, done))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work_off())
        return await done

    async def _work_off(self) -> None:
        while self._waiting:
            if self._pause:
                await asyncio.sleep(self._pause)
            await self._answer(self._next())

    def _next(self) -> list[tuple[Asked, asyncio.Future[Answer]]]:
        """As many as may go together, and at least one."""
        room, count = self._most, 0
        for what, _ in self._waiting:
            room -= self._weigh(what)
            if room < 0 and count:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _answer(self, batch: list[tuple[Asked, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._work([what for what, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, AWAY):
                for one in batch:
                    await self._answer([one])
                return
            for _, done in batch:
                _settle(done, error)
        else:
            for (_, done), answer in zip(batch, answers, strict=True):
                _settle(done, answer)


def _settle(done: "asyncio.Future[Answer]", answer: Answer | Exception) -> None:
    if done.done():  # nobody waits for it any more
        return
    if isinstance(answer, Exception):
        done.set_exception(answer)
    else:
        done.set_result(answer)
