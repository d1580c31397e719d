"""Calls of author code outside of tasks: generators and handlers, each within a time limit."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Any, Final, TypeVar

from taskpath.calls import AuthorFunction
from taskpath.runtime.clock import Clock
from taskpath.tree import MAX_TASKS

SECONDS: Final = 30.0
"""How long a call may take, in seconds."""
MOST: Final = 32
"""How many calls are under way at once."""

T = TypeVar("T")


class AuthorCalls:
    """Calls plain functions in threads of their own, which are left alone when their time is over, and
    others on the event loop.

    Args:
        clock: the time.
        seconds: how long a call may take.
        most: how many calls are under way at once.
    """

    def __init__(self, clock: Clock, seconds: float = SECONDS, most: int = MOST) -> None:
        self._clock = clock
        self._seconds = seconds
        self._room = asyncio.Semaphore(most)

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
            work = asyncio.ensure_future(_whole(function, arguments, is_async))
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


async def _whole(function: AuthorFunction, arguments: tuple[Any, ...], is_async: bool) -> Any:
    try:
        if is_async:
            returned = function(*arguments)
        else:
            returned = await _in_thread(lambda: listed(function(*arguments)))
        return await settled(returned)
    except (SystemExit, KeyboardInterrupt) as error:
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


def _in_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Runs a function in a thread of its own, which may be left alone."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def set_result(result: T) -> None:
        if not future.done():
            future.set_result(result)

    def set_exception(error: BaseException) -> None:
        if not future.done():
            # A future refuses StopIteration.
            future.set_exception(_tame(error) if isinstance(error, (StopIteration, *_WILD)) else error)

    def run() -> None:
        try:
            outcome = function()
        except BaseException as error:
            _post(loop, set_exception, error)
        else:
            _post(loop, set_result, outcome)

    threading.Thread(target=run, name="taskpath author call", daemon=True).start()
    return future


def _post(loop: asyncio.AbstractEventLoop, function: Callable[[Any], None], argument: Any) -> None:
    try:
        loop.call_soon_threadsafe(function, argument)
    except RuntimeError:  # the loop was closed meanwhile: nobody waits
        return
