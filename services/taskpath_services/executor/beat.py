"""The beat: ten times a second everything that is here is looked at; attempts have no timers of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Final

from taskpath.runtime.bus import Bus
from taskpath.runtime.clock import Clock
from taskpath_proto.work import OrderKind
from taskpath_services.executor.attempt import Attempt
from taskpath_services.executor.attempt_reports import AttemptReports
from taskpath_services.executor.holding import REPORT_AFTER

BEAT: Final = 0.1
"""How often running attempts are looked at, in seconds."""
PROGRESS_EVERY: Final = 500
"""The progress of a task is reported at most this often, in ms."""
STUBBORN: Final = 5_000
"""So long, in ms, a coroutine has to end after it was cancelled; then it is left alone."""


class Beat:
    """Reports what has started and what progressed, publishes logs, and ends what takes too long.

    Args:
        bus: for logs.
        clock: the time.
        reports: sends reports.
        attempts: those to look at.
        also: called, too, with the time; each says whether it is to be called again.
        time_out: called for an attempt that is over its timeout.
        abandon: called for one that was stopped and does not end.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        reports: AttemptReports,
        attempts: Collection[Attempt],
        also: Sequence[Callable[[int], bool]],
        time_out: Callable[[Attempt], None],
        abandon: Callable[[Attempt], None],
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._reports = reports
        self._attempts = attempts
        self._also = also
        self._more = False
        self._time_out = time_out
        self._abandon = abandon
        self._busy = asyncio.Event()
        self._hurry = asyncio.Event()
        self._resting = False
        self._next_look = 0

    def begin(self) -> None:
        """There is something to look at."""
        if self._resting:
            self._resting = False
            self._busy.set()

    def look_by(self, seconds: float) -> None:
        """Sees to it that a timeout this near is noticed in time."""
        if seconds < BEAT and self._clock.now() + seconds * 1000 < self._next_look:
            self._hurry.set()

    async def run(self) -> None:
        """Looks at what runs, while anything does; sooner where a timeout is."""
        while True:
            if not self._attempts and not self._more:
                self._resting = True
                self._busy.clear()
                await self._busy.wait()
            step = self._look()
            self._next_look = self._clock.now() + round(step * 1000)
            self._hurry.clear()
            sleep = asyncio.ensure_future(self._clock.sleep(step))
            hurry = asyncio.ensure_future(self._hurry.wait())
            try:
                await asyncio.wait((sleep, hurry), return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleep.cancel()
                hurry.cancel()

    def _look(self) -> float:
        """Does what is due; returns when to look again, in seconds."""
        now = self._clock.now()
        due = [look(now) for look in self._also]
        self._more = any(due)
        step = BEAT
        for attempt in list(self._attempts):
            since, timeout = attempt.execution_time, attempt.task.timeout
            if attempt.book is not None:
                attempt.book.publish(self._bus)
            if since is None:
                if timeout is not None:
                    step = min(step, timeout)
                continue
            if attempt.stop is not None:
                if now - attempt.stop_time >= STUBBORN:
                    self._abandon(attempt)
                continue
            is_task = attempt.order.kind is OrderKind.TASK
            if timeout is not None and is_task:
                left = since + timeout * 1000 - now
                if left <= 0:
                    self._time_out(attempt)
                    continue
                step = min(step, max(0.001, left / 1000))
            progressed = attempt.progress is not None and now - attempt.progress_sent >= PROGRESS_EVERY
            # What is not known to run is not said to get on.
            if not attempt.started and is_task and (progressed or now - since >= REPORT_AFTER):
                self._reports.started(attempt, since)
            if progressed:
                self._reports.progressed(attempt, now)
        return step
