"""Work in groups, without a timer: what comes while a group is under way makes up the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Gathering(Generic[T, R]):
    """Hands items to a piece of work, in the order in which they came.

    A lone item waits for nothing. A batch is never divided between two groups.

    Args:
        work: takes a group and returns a result for each item; what it raises, everyone of the group gets.
        most: a group takes no further batch once it has so many items.
    """

    def __init__(self, work: Callable[[list[T]], Awaitable[list[R]]], most: int) -> None:
        self._work = work
        self._most = most
        self._waiting: deque[tuple[Sequence[T], asyncio.Future[list[R]]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def do(self, batch: Sequence[T]) -> list[R]:
        """Has a batch done, and returns the result for each of its items."""
        done: asyncio.Future[list[R]] = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, done))
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run(), name="gathering")
        return await done

    async def close(self) -> None:
        """Cancels what is under way or waits."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait([running])
        for _, done in self._waiting:
            done.cancel()
        self._waiting.clear()

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._run_one()
        finally:
            if self._running is asyncio.current_task():
                self._running = None

    async def _run_one(self) -> None:
        group: list[T] = []
        batches: list[tuple[int, asyncio.Future[list[R]]]] = []
        while self._waiting and len(group) < self._most:
            batch, done = self._waiting.popleft()
            if not done.cancelled():
                group.extend(batch)
                batches.append((len(batch), done))
        if not batches:
            return
        try:
            results = await self._work(group)
        except BaseException as error:
            for _, done in batches:
                if done.done():
                    continue
                if isinstance(error, asyncio.CancelledError):
                    done.cancel()
                else:
                    done.set_exception(error)
            if isinstance(error, Exception):
                return
            raise
        start = 0
        for count, done in batches:
            if not done.done():
                done.set_result(results[start : start + count])
            start += count
