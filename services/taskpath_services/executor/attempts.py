"""The attempts that this executor has: taken, carried out, watched over, reported."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

import structlog

from taskpath.runtime.bus import Bus, BusClosed
from taskpath.runtime.clock import Clock
from taskpath.runtime.settings import Settings
from taskpath_proto.errors import TaskpathError
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import INLINE_BYTES, Inline
from taskpath_proto.work import (
    CancelAttempts,
    OrderKind,
    RunTasks,
)
from taskpath_services.executor.attempt import Attempt, Lane, Stop, Unfinished
from taskpath_services.executor.attempt_reports import AttemptReports, at
from taskpath_services.executor.beat import STUBBORN, Beat
from taskpath_services.executor.group import Group
from taskpath_services.executor.outcome import OK, Outcome, failed
from taskpath_services.executor.reports import Held
from taskpath_services.executor.trees import Tree, Trees
from taskpath_services.executor.values import Reading, Values
from taskpath_services.executor.workers.coroutines import CoroutineWorkers
from taskpath_services.executor.workers.processes import ProcessWorkers
from taskpath_services.executor.workers.threads import ThreadWorkers

log = structlog.get_logger("taskpath.executor")

MAX_CANCELLED: Final = 10_000
MAX_FINISHING: Final = 1_000
"""How many ended attempts may wait for their logs and values to be safe before no more work is taken."""
MIN_BACKLOG: Final = 32
QUICK_THREADS: Final = 4
"""Threads for conditions, lists and ``on_complete``, which must not wait behind long plain functions."""

_Key = tuple[str, int, int]


class Attempts:
    """Carries out orders.

    Args:
        bus: for logs.
        clock: the time.
        settings: bounds.
        reports: sends reports.
        trees: finds functions.
        values: reads and stores values.
        processes: runs functions in worker processes.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        settings: Settings,
        reports: AttemptReports,
        trees: Trees,
        values: Values,
        processes: ProcessWorkers,
    ) -> None:
        self.clock = clock
        self.values = values
        self.debug = settings.debug
        self.max_value = settings.max_value
        self.coroutines = CoroutineWorkers(settings.concurrency)
        self.threads = ThreadWorkers(settings.threads)
        self.quick_threads = ThreadWorkers(QUICK_THREADS)
        self.processes = processes
        self._bus = bus
        self._reports = reports
        self._trees = trees
        self._all: dict[_Key, Attempt] = {}
        self._cancelled: OrderedDict[_Key, None] = OrderedDict()
        self._side: set[asyncio.Task[None]] = set()
        self._preparing = 0
        self._backlogs = (
            max(settings.concurrency, MIN_BACKLOG),
            max(settings.threads, MIN_BACKLOG),
            max(settings.processes, MIN_BACKLOG),
        )
        self._room: asyncio.Event = asyncio.Event()
        self.beat = Beat(
            bus,
            clock,
            reports,
            self._all.values(),
            time_out=partial(self._stop, why=Stop.TIMEOUT),
            abandon=partial(self.finish, outcome=OK),
        )
        self._draining = False

    def __len__(self) -> int:
        return len(self._all)

    # Taking.

    @property
    def has_room(self) -> bool:
        """Whether more work should be taken: no kind of worker has more waiting than it will soon start."""
        coroutines, threads, processes = self._backlogs
        return (
            self.coroutines.backlog < coroutines
            and self.threads.backlog < threads
            and self.quick_threads.backlog < threads
            and self.processes.backlog < processes
            and self._preparing < coroutines
            and len(self._side) < MAX_FINISHING
        )

    async def room(self) -> None:
        """Returns when more work should be taken."""
        while not self.has_room:
            self._room.clear()
            await self._room.wait()

    def take(self, message: RunTasks, held: Held) -> None:
        """Carries out the orders of a message.

        Args:
            message: the message.
            held: settled once for each order.
        """
        tree = self._trees.cached((message.id, message.workflow, message.data))
        data = self.values.at_hand(message.id, message.data, message.revision) if tree is not None else None
        if tree is not None and data is not None:
            self._begin(message, held, tree, data)
        else:
            self._preparing += len(message.orders)
            self._aside(self._take_later(message, held))

    async def _take_later(self, message: RunTasks, held: Held) -> None:
        """Takes a message whose tree has to be generated first."""
        try:
            data = await self.values.read(message.id, message.data, message.revision)
            tree = await self._trees.tree((message.id, message.workflow, message.data), data.json)
        except TaskpathError as error:
            for order in message.orders:
                self._reports.unstarted(message, held, order, error.info)
            return
        except BusClosed:
            return  # not acknowledged: it comes back
        finally:
            self._preparing -= len(message.orders)
        self._begin(message, held, tree, data)

    def _begin(self, message: RunTasks, held: Held, tree: Tree, data: Reading) -> None:
        if self._draining:
            return
        group = Group(message, held, tree, data, self.values)
        attempts, cancelled = self._all, self._cancelled
        for order in message.orders:
            key = (message.id, message.epoch, order.command)
            if cancelled and key in cancelled:
                held.settle()
                continue
            twin = attempts.get(key)
            if twin is not None:
                twin.helds += (held,)
                continue
            task = tree.find(order.path)
            if task is None:
                self._reports.unstarted(message, held, order, tree.missing(order.path).info)
                continue
            attempt = Attempt(self, group, order, task)
            attempts[key] = attempt
            if attempt.is_ready():
                self._start(attempt)
            else:
                self._preparing += 1
                self._aside(self._start_later(attempt))
        self.beat.begin()

    async def _start_later(self, attempt: Attempt) -> None:
        """Starts an attempt whose argument or context has to be read first."""
        try:
            await attempt.fetch()
        except TaskpathError as error:
            attempt.execution_time = self.clock.now()
            self.finish(attempt, Outcome(TaskStatus.FAILED, error=at(error.info, attempt.path)))
            return
        finally:
            self._preparing -= 1
        self._start(attempt)

    def _start(self, attempt: Attempt) -> None:
        if attempt.over or self._draining:
            return
        if attempt.lane is Lane.COROUTINE:
            self.coroutines.submit(partial(self._start_coroutine, attempt))
        elif attempt.lane is Lane.THREAD:
            self._threads_of(attempt).submit(attempt.run_plain, partial(self._plain_ended, attempt))
        else:
            attempt.work = self._aside(attempt.run_process(), bounded=False)
        if attempt.task.timeout is not None:
            self.beat.look_by(attempt.task.timeout)

    def _threads_of(self, attempt: Attempt) -> ThreadWorkers:
        return self.threads if attempt.order.kind is OrderKind.TASK else self.quick_threads

    def _start_coroutine(self, attempt: Attempt) -> asyncio.Task[None] | None:
        if attempt.over:
            return None
        work = asyncio.get_running_loop().create_task(attempt.run_coroutine())
        attempt.work = work
        return work

    def _plain_ended(self, attempt: Attempt, outcome: Outcome | Unfinished) -> None:
        if attempt.over:
            if attempt.lost:
                self._threads_of(attempt).regain()
            if isinstance(outcome, Unfinished):
                _close(outcome.awaitable)
        elif isinstance(outcome, Unfinished):
            attempt.lane = Lane.COROUTINE
            attempt.work = self._aside(attempt.run_coroutine(outcome.awaitable), bounded=False)
        else:
            self.finish(attempt, outcome)

    def _aside(self, work: Coroutine[Any, Any, None], *, bounded: bool = True) -> asyncio.Task[None]:
        """Runs what is not worth a worker."""
        task = asyncio.get_running_loop().create_task(work, name="executor: aside")
        if bounded:
            self._side.add(task)
        task.add_done_callback(self._aside_ended)
        return task

    def _aside_ended(self, task: asyncio.Task[None]) -> None:
        self._side.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an attempt was left unreported", exc_info=error)
        self._signal()

    def _signal(self) -> None:
        if not self._room.is_set() and self.has_room:
            self._room.set()

    # Ending.

    def finish(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt has ended: its report is sent when what belongs to it is safe."""
        if attempt.over:
            return
        if attempt.stop is Stop.TIMEOUT:
            outcome = self._timed_out(attempt)
        elif attempt.stop is not None:
            self._drop(attempt)
            return
        attempt.over = True
        group, order = attempt.group, attempt.order
        del self._all[(group.id, group.epoch, order.command)]
        # Ended already: what this holds must not be kept by a thread that does not end.
        attempt.work = None
        now = self.clock.now()
        if attempt.progress is not None:
            self._reports.progressed(attempt, now)
        json = outcome.json
        if attempt.book is not None or (
            json is not None and (len(json) > INLINE_BYTES // 4 or outcome.updaters is not None)
        ):
            self._aside(self._finish_later(attempt, outcome, now))
        else:
            self._reports.finished(
                attempt, outcome, now, outcome.value if json is None else Inline(json), None
            )
        self._signal()

    async def _finish_later(self, attempt: Attempt, outcome: Outcome, now: int) -> None:
        """Reports an attempt with logs, updaters or a large result."""
        order, instance = attempt.order, attempt.group.id
        value, updaters = outcome.value, None
        try:
            name = "items" if order.kind is OrderKind.FOREACH else "body"
            if outcome.json is not None:
                value = await self.values.put(instance, attempt.path, name, order.command, outcome.json)
            if outcome.updaters is not None:
                updaters = await self.values.put(
                    instance, attempt.path, "updaters", order.command, outcome.updaters
                )
        except TaskpathError as error:
            value = updaters = None
            outcome = failed(error, attempt.task, attempt.path)
        if attempt.book is not None:
            try:
                await attempt.book.confirm(self._bus)
            except BusClosed:
                return  # not acknowledged: it comes back
        self._reports.finished(attempt, outcome, now, value, updaters)

    def _timed_out(self, attempt: Attempt) -> Outcome:
        error = TimeoutError(f"the attempt took longer than its timeout of {attempt.task.timeout:g} s")
        return failed(error, attempt.task, attempt.path)

    def _drop(self, attempt: Attempt) -> None:
        """Ends an attempt whose report nobody wants; what it wrote to its log is kept."""
        attempt.over = True
        attempt.work = None
        group = attempt.group
        self._all.pop((group.id, group.epoch, attempt.order.command), None)
        if attempt.book is not None:
            attempt.book.publish(self._bus)
        if attempt.stop is Stop.CANCELLED:
            for held in attempt.helds:
                held.settle()
        self._signal()

    def cancel(self, message: CancelAttempts) -> None:
        """Stops these attempts; those that are still on their way are not begun."""
        for command in message.commands:
            key = (message.id, message.epoch, command)
            attempt = self._all.get(key)
            if attempt is not None:
                self._stop(attempt, Stop.CANCELLED)
            else:
                self._cancelled[key] = None
        while len(self._cancelled) > MAX_CANCELLED:
            self._cancelled.popitem(last=False)

    def _stop(self, attempt: Attempt, why: Stop) -> None:
        attempt.cancelled = True
        if attempt.stop is None:
            attempt.stop_time = self.clock.now()
        attempt.stop = why
        if attempt.lane is Lane.PROCESS:
            self.processes.kill(attempt)
        elif attempt.lane is Lane.THREAD and attempt.execution_time is not None:
            attempt.lost = True
            self._threads_of(attempt).lose()
        if attempt.lane is Lane.COROUTINE and attempt.work is not None:
            attempt.work.cancel()
        else:
            work = attempt.work
            self.finish(attempt, OK)
            if work is not None:
                work.cancel()

    # Ending it all.

    def close(self) -> None:
        """Begins nothing more; what has not begun goes back with its delivery."""
        self._draining = True
        self.coroutines.close()
        for attempt in list(self._all.values()):
            if attempt.execution_time is None and (attempt.work is None or attempt.lane is Lane.PROCESS):
                self._stop(attempt, Stop.DRAIN)

    async def drain(self, grace: float) -> None:
        """Lets what runs end, for so many seconds; then ends it.

        Args:
            grace: in seconds.
        """
        limit = asyncio.ensure_future(self.clock.sleep(grace))
        try:
            await self._until_idle(limit)
            for attempt in list(self._all.values()):
                self._stop(attempt, Stop.DRAIN)
            limit = asyncio.ensure_future(self.clock.sleep(STUBBORN / 1000))
            await self._until_idle(limit)
        finally:
            limit.cancel()
            for task in self._side:
                task.cancel()
            self.threads.close()
            self.quick_threads.close()

    async def _until_idle(self, limit: asyncio.Future[None]) -> None:
        """Returns when nothing runs and everything is reported, or the limit is over."""
        while (self._all or self._side) and not limit.done():
            self._room.clear()
            room = asyncio.ensure_future(self._room.wait())
            await asyncio.wait((limit, room), return_when=asyncio.FIRST_COMPLETED)
            room.cancel()


def _close(awaitable: Any) -> None:
    """Ends a coroutine that will not be awaited, without a warning."""
    close: Callable[[], None] | None = getattr(awaitable, "close", None)
    if close is not None:
        close()
