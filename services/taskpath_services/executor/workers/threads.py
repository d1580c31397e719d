"""Threads that take work from one line and hand results back in batches.

A thread that has taken work goes on as long as there is more, and wakes the event loop only when it runs out,
or has gone on for a millisecond: short functions pass the interpreter's lock twice for many, not twice for
each. If nothing has moved for a millisecond, functions are taking their time, and more threads join in; and
what a thread has done before one that takes its time is handed back without it.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")

_TICK: Final = 0.001
_MOVING: Final = 4
"""So many functions ended within a tick are short ones, and more threads would only be in the way."""
_MAX_LOST: Final = 64

_Job = tuple[Callable[[], Any], Callable[[Any], None], contextvars.Context]


class ThreadWorkers:
    """A bounded number of threads for plain functions.

    Args:
        limit: how many functions run at once.
    """

    def __init__(self, limit: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit
        self._lost = 0
        self._jobs: deque[_Job] = deque()
        self._results: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._wakes: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._idle: deque[None] = deque()
        self._threads = 0
        self._counting = threading.Lock()
        self._waking = False
        self._notified = False
        self._taken = 0
        self._taken_before = 0
        self._ticking = False
        self._closed = False

    @property
    def done(self) -> int:
        """How many functions have ended, ever."""
        return self._taken - self._threads + len(self._idle)

    @property
    def waiting(self) -> int:
        """How many functions wait although every thread has something to do."""
        return max(0, len(self._jobs) - self._unused())

    @property
    def free(self) -> int:
        """How many more functions may begin now."""
        return max(0, self._unused() - len(self._jobs))

    @property
    def busy(self) -> bool:
        """Whether any function runs or waits."""
        return bool(self._jobs) or self._threads > len(self._idle)

    def _unused(self) -> int:
        """How many threads have nothing to do, or are not there yet."""
        return self._most() - self._threads + len(self._idle)

    def submit(self, function: Callable[[], T], deliver: Callable[[T], None]) -> None:
        """Runs a function in a thread, with a copy of the caller's context variables.

        Args:
            function: must not raise.
            deliver: called on the event loop with what it returned.
        """
        self._jobs.append((function, deliver, contextvars.copy_context()))
        if not self._waking:
            self._wake()
        if not self._ticking:
            self._ticking = True
            self._loop.call_later(_TICK, self._tick)

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """What a function returns, or raises, in a thread.

        Who is cancelled meanwhile gives the thread up until the function ends. What has not begun then does
        not begin any more.
        """
        future: asyncio.Future[tuple[T | None, BaseException | None]] = self._loop.create_future()

        def run() -> tuple[T | None, BaseException | None]:
            if future.cancelled():
                return None, None
            try:
                return function(*arguments), None
            except BaseException as error:
                return None, error

        def deliver(ended: tuple[T | None, BaseException | None]) -> None:
            if future.cancelled():
                self.regain()
            else:
                future.set_result(ended)

        self.submit(run, deliver)
        try:
            result, error = await future
        finally:
            if future.cancelled():
                self.lose()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # None only if T has it

    def lose(self) -> None:
        """Gives up a thread whose function does not end; another may take its place."""
        self._lost += 1

    def regain(self) -> None:
        """A thread that was given up is back."""
        self._lost -= 1

    def close(self) -> None:
        """Ends the threads that are idle, and the others when their functions end. What waits is dropped."""
        self._closed = True
        self._jobs.clear()
        for _ in range(self._threads):
            self._wakes.put(False)

    def _most(self) -> int:
        return self._limit + min(self._lost, _MAX_LOST)

    def _wake(self) -> bool:
        """Sets one more thread to work, if there may be one."""
        try:
            self._idle.pop()
        except IndexError:
            if self._threads >= self._most():
                return False
            with self._counting:
                self._threads += 1
            self._waking = True
            threading.Thread(target=self._run, name=f"taskpath {self._threads}", daemon=True).start()
        else:
            self._waking = True
            self._wakes.put(True)
        return True

    def _tick(self) -> None:
        """Calls in more threads if work waits and none ends; and hands on what a thread has left behind that
        has gone on to something longer."""
        if self._results:
            self._deliver()
        if not self._jobs or self._closed:
            self._ticking = False
            return
        if self._taken - self._taken_before < _MOVING:
            for _ in range(len(self._jobs)):
                if not self._wake():
                    break
        self._taken_before = self._taken
        self._loop.call_later(_TICK, self._tick)

    def _run(self) -> None:
        """A thread's life."""
        jobs, results, idle, wakes, clock = self._jobs, self._results, self._idle, self._wakes, time.monotonic
        self._waking = False
        since = clock()
        while True:
            try:
                function, deliver, context = jobs.popleft()
            except IndexError:
                if results:
                    self._notify()
                if self._closed or self._leaves():
                    return
                idle.append(None)
                # Work may have come between the look and the entry; then either this thread takes its entry
                # back, or somebody has, and a wake is on its way.
                if jobs:
                    try:
                        idle.pop()
                        continue
                    except IndexError:
                        pass
                if not wakes.get():
                    return
                self._waking = False
                since = clock()
                continue
            self._taken += 1
            results.append((deliver, context.run(function)))
            del function, deliver, context
            now = clock()
            if now - since >= _TICK:
                since = now
                self._notify()

    def _leaves(self) -> bool:
        """Whether there is a thread too many, because one that was given up is back."""
        with self._counting:
            surplus = self._threads > self._most()
            self._threads -= surplus
        return surplus

    def _notify(self) -> None:
        if not self._notified:
            self._notified = True
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:  # the loop was closed meanwhile: nobody waits
                return

    def _deliver(self) -> None:
        self._notified = False
        results = self._results
        while results:
            deliver, result = results.popleft()
            deliver(result)
