"""Calls of author code outside of tasks: generators and handlers, each within a time limit."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from itertools import islice
from typing import Any, Final

from taskpath.calls import AuthorFunction
from taskpath.runtime.clock import Clock
from taskpath.tree import MAX_TASKS
from taskpath_services.executor.workers.threads import ThreadWorkers

SECONDS: Final = 30.0
"""How long a call may take, in seconds."""
MOST: Final = 32
"""How many calls are under way at once."""


class AuthorCalls:
    """Calls plain functions in threads, which are given up when their time is over, and others on the event
    loop.

    Args:
        clock: the time.
        seconds: how long a call may take.
        most: how many calls are under way at once.
    """

    def __init__(self, clock: Clock, seconds: float = SECONDS, most: int = MOST) -> None:
        self._clock = clock
        self._seconds = seconds
        self._room = asyncio.Semaphore(most)
        self._most = most
        self._threads: ThreadWorkers | None = None

    async def call(self, function: AuthorFunction, arguments: tuple[Any, ...], *, is_async: bool) -> Any:
        """What a function returns; what it returns to be awaited or to be iterated over is.

        Args:
            function: the author's.
            arguments: what it is called with.
            is_async: whether it may be called on the event loop.

        Raises:
            TimeoutError: its time is over.
            BaseException: whatever it raises, save what would end the event loop or look like a cancellation.
        """
        async with self._room:
            work = asyncio.ensure_future(self._whole(function, arguments, is_async))
            limit = asyncio.ensure_future(self._clock.sleep(self._seconds))
            try:
                await asyncio.wait((work, limit), return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    raise TimeoutError(f"it did not return within {self._seconds:g} s")
                if work.cancelled():
                    raise RuntimeError("it raised CancelledError")
                return work.result()
            finally:
                limit.cancel()
                work.cancel()

    def close(self) -> None:
        """Ends the threads that are idle, and the others when their functions return."""
        if self._threads is not None:
            self._threads.close()

    async def _whole(self, function: AuthorFunction, arguments: tuple[Any, ...], is_async: bool) -> Any:
        try:
            if is_async:
                returned = function(*arguments)
            else:
                self._threads = self._threads or ThreadWorkers(self._most)
                returned = await self._threads.call(_called, function, arguments)
            return await settled(returned)
        except (SystemExit, KeyboardInterrupt) as error:
            raise _tame(error) from error


def _called(function: AuthorFunction, arguments: tuple[Any, ...]) -> Any:
    """What a function returns, in a thread."""
    try:
        return listed(function(*arguments))
    except (StopIteration, *_WILD) as error:
        raise _tame(error) from error


def listed(returned: Any) -> Any:
    """What was returned; a generator in Python's sense is run, where it may take its time.

    Of one that goes on and on it takes a task more than there may be.
    """
    return list(islice(returned, MAX_TASKS + 1)) if inspect.isgenerator(returned) else returned


async def settled(returned: Any) -> Any:
    """What was returned, or what comes of it when it is awaited or iterated over."""
    while hasattr(returned, "__await__"):
        returned = await returned
    if not isinstance(returned, AsyncIterator):
        return returned
    entries: list[Any] = []
    async for entry in returned:
        entries.append(entry)
        if len(entries) > MAX_TASKS:
            break
    return entries


def _tame(error: BaseException) -> RuntimeError:
    return RuntimeError(f"{type(error).__name__}: {error}".rstrip(": "))


_WILD: Final = (SystemExit, KeyboardInterrupt, asyncio.CancelledError)
"""What would end the loop, or look like a cancellation of ours, where it is raised again."""
