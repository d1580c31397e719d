"""Where attempts run: each kind of worker has a lane. What has not begun can be taken back from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from taskpath.runtime.settings import Settings
from taskpath_proto.work import OrderKind
from taskpath_services.executor.attempt import Attempt, Lane, Unfinished
from taskpath_services.executor.flow import Flow
from taskpath_services.executor.outcome import Outcome
from taskpath_services.executor.workers.coroutines import CoroutineWorkers
from taskpath_services.executor.workers.processes import ProcessWorkers
from taskpath_services.executor.workers.threads import ThreadWorkers

QUICK_THREADS: Final = 4
"""Threads for conditions, lists and ``on_complete``, which must not wait behind long plain functions."""


class Lanes:
    """Hands attempts to workers.

    Args:
        settings: how many workers there are.
        processes: runs functions in worker processes.
        finish: called with how an attempt ended.
        aside: runs what is not worth a worker.
        least: how many orders may wait for each kind of worker at least.
    """

    def __init__(
        self,
        settings: Settings,
        processes: ProcessWorkers,
        finish: Callable[[Attempt, Outcome], None],
        aside: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        least: int,
    ) -> None:
        self.coroutines = CoroutineWorkers(settings.concurrency)
        self.threads = ThreadWorkers(settings.threads)
        self.quick_threads = ThreadWorkers(QUICK_THREADS)
        self.processes = processes
        self._finish = finish
        self._aside = aside
        self._process_limit = settings.processes
        self._in_processes: set[Attempt] = set()
        self._coroutine_flow, self._thread_flow, self._quick_flow, self._process_flow = self._flows = (
            Flow(least),
            Flow(least),
            Flow(least),
            Flow(least),
        )

    @property
    def has_room(self) -> bool:
        """Whether more work should be taken: nowhere does more wait than will soon begin."""
        return (
            self.coroutines.waiting <= self._coroutine_flow.ahead
            and self.threads.waiting <= self._thread_flow.ahead
            and self.quick_threads.waiting <= self._quick_flow.ahead
            and len(self._in_processes) - self._process_limit <= self._process_flow.ahead
        )

    @property
    def free(self) -> int:
        """How many more orders could begin at once or in a moment, if they are of the kinds that are here."""
        coroutines, threads = self.coroutines.free, self.threads.free
        free = [
            coroutines + self._coroutine_flow.ahead if self.coroutines.busy else None,
            threads + self._thread_flow.ahead if self.threads.busy else None,
            self._process_limit - len(self._in_processes) + self._process_flow.ahead
            if self._in_processes
            else None,
        ]
        return max(0, min((one for one in free if one is not None), default=threads))

    @property
    def waiting(self) -> int:
        """How many orders wait for a worker."""
        processes = max(0, len(self._in_processes) - self._process_limit)
        return self.coroutines.waiting + self.threads.waiting + self.quick_threads.waiting + processes

    def measure(self, now: int) -> None:
        """Looks how fast work is done; to be called a few times a second."""
        self._coroutine_flow.measure(self.coroutines.done, now)
        self._thread_flow.measure(self.threads.done, now)
        self._quick_flow.measure(self.quick_threads.done, now)
        self._process_flow.measure(self.processes.done, now)

    def flow_of(self, attempt: Attempt) -> Flow:
        """How fast the workers are that an attempt is for."""
        if attempt.lane is Lane.THREAD:
            return self._thread_flow if attempt.order.kind is OrderKind.TASK else self._quick_flow
        return self._coroutine_flow if attempt.lane is Lane.COROUTINE else self._process_flow

    def forget(self, attempt: Attempt) -> None:
        """An attempt has ended in a process, or was taken back."""
        self._in_processes.discard(attempt)

    def start(self, attempt: Attempt) -> None:
        """Has an attempt begun as soon as there is a worker for it."""
        if attempt.lane is Lane.COROUTINE:
            self.coroutines.submit(partial(self._start_coroutine, attempt))
        elif attempt.lane is Lane.THREAD:
            threads = self.threads if attempt.order.kind is OrderKind.TASK else self.quick_threads
            threads.submit(attempt.run_plain, partial(self._plain_ended, attempt))
        else:
            self._in_processes.add(attempt)
            attempt.work = self._aside(attempt.run_process())

    def recall(self, attempt: Attempt) -> bool:
        """Takes an attempt back if it has not begun; whether it has not. It will not begin any more."""
        if attempt.lane is Lane.PROCESS:
            if not self.processes.recall(attempt):
                return False
        elif not (attempt.claim() if attempt.lane is Lane.THREAD else attempt.execution_time is None):
            return False
        if attempt.work is not None:
            attempt.work.cancel()
        return True

    def interrupt(self, attempt: Attempt) -> bool:
        """Ends an attempt that has begun; whether its own end is still to be waited for."""
        if attempt.lane is Lane.PROCESS:
            self.processes.kill(attempt)
        elif attempt.lane is Lane.THREAD and attempt.execution_time is not None:
            attempt.lost = True
            self.threads_of(attempt).lose()
        if attempt.lane is Lane.COROUTINE and attempt.work is not None:
            attempt.work.cancel()
            return True
        return False

    def threads_of(self, attempt: Attempt) -> ThreadWorkers:
        """The threads for an attempt."""
        return self.threads if attempt.order.kind is OrderKind.TASK else self.quick_threads

    def close(self) -> None:
        """Lets the threads go when they are done with what they are at."""
        self.threads.close()
        self.quick_threads.close()

    def _start_coroutine(self, attempt: Attempt) -> asyncio.Task[None] | None:
        if attempt.over:
            return None
        work = asyncio.get_running_loop().create_task(attempt.run_coroutine())
        attempt.work = work
        return work

    def _plain_ended(self, attempt: Attempt, outcome: Outcome | Unfinished) -> None:
        if attempt.over:
            if attempt.lost:
                self.threads_of(attempt).regain()
            if isinstance(outcome, Unfinished):
                _close(outcome.awaitable)
        elif isinstance(outcome, Unfinished):
            attempt.lane = Lane.COROUTINE
            attempt.work = self._aside(attempt.run_coroutine(outcome.awaitable))
        else:
            self._finish(attempt, outcome)


def _close(awaitable: Any) -> None:
    """Ends a coroutine that will not be awaited, without a warning."""
    close: Callable[[], None] | None = getattr(awaitable, "close", None)
    if close is not None:
        close()
