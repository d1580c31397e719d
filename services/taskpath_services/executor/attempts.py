"""The attempts that this executor has: taken, carried out, watched over, reported.

One room, though a long one: whatever may become of an attempt takes it out of the same few collections, and
only side by side can it be seen that none of these ways forgets it or takes it out twice.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final

import structlog

from taskpath.runtime.bus import Bus, BusClosed
from taskpath.runtime.clock import Clock
from taskpath.runtime.settings import Settings
from taskpath_proto.errors import TaskpathError
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import INLINE_BYTES, Inline
from taskpath_proto.work import CancelAttempts, Order, OrderKind
from taskpath_services.executor.attempt import Attempt, Lane, Stop
from taskpath_services.executor.attempt_reports import AttemptReports, at
from taskpath_services.executor.beat import STUBBORN, Beat
from taskpath_services.executor.flow import Flow
from taskpath_services.executor.group import Group
from taskpath_services.executor.hold_reports import HoldReports
from taskpath_services.executor.holding import Hold, Holding, Key, Known
from taskpath_services.executor.lanes import Lanes
from taskpath_services.executor.outcome import OK, Outcome, failed
from taskpath_services.executor.trees import Tree, Trees
from taskpath_services.executor.values import Reading, Values
from taskpath_services.executor.workers.processes import ProcessWorkers
from taskpath_services.executor.workers.threads import ThreadWorkers

log = structlog.get_logger("taskpath.executor")

MAX_CANCELLED: Final = 10_000
MAX_FINISHING: Final = 1_000
"""How many ended attempts may wait for their logs and values to be safe before no more work is taken."""
MAX_PREPARING: Final = 200
"""How many orders may wait for their tree, argument or context before no more work is taken."""


MOST_WAITING: Final = 32
"""So many orders may wait for workers, and still more is taken, in case that it is for other workers."""

Given = list[tuple[Hold, Sequence[Order]]]
"""Orders that are given up, by the message that they came in."""


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
        self.processes = processes
        self.holding = Holding()
        self.lanes = Lanes(
            settings,
            processes,
            self.finish,
            partial(self._aside, bounded=False),
            # Of a bus of one process nobody else could take what waits.
            least=0 if bus.durable else MOST_WAITING,
        )
        self._bus = bus
        self._reports = reports
        self._trees = trees
        self._all: dict[Key, Attempt] = {}
        self._ended: dict[Key, Attempt] = {}
        self._waiting_for: dict[Key, asyncio.Event] = {}
        self._cancelled: OrderedDict[Key, None] = OrderedDict()
        self._side: set[asyncio.Task[None]] = set()
        self._preparing: dict[tuple[Hold, int], Sequence[Order]] = {}
        self._in_preparation = 0
        self._loop = asyncio.get_running_loop()
        self._change = asyncio.Event()
        self._watched = 0
        self._looking = False
        self._reserved = False
        self._later: list[tuple[Hold, Sequence[Order]]] = []
        self.company: Callable[[], None] | None = None
        """Called once, when something else begins beside an order that had this executor for itself."""
        self.go_on: Callable[[Attempt], None]
        """Called when it is confirmed that a task is ok that others of its segment follow. To be set."""
        self.beat = Beat(
            bus,
            clock,
            reports,
            self._all.values(),
            (HoldReports(self.holding, reports, self.find).look, self._look),
            time_out=partial(self._stop, why=Stop.TIMEOUT),
            abandon=partial(self.finish, outcome=OK),
        )

    def __len__(self) -> int:
        return len(self._all)

    @property
    def quick_threads(self) -> ThreadWorkers:
        """Threads for what must not wait behind long plain functions."""
        return self.lanes.quick_threads

    # Taking.

    @property
    def idle(self) -> bool:
        """Whether nothing is here that has not been reported."""
        return not self._all and not self._side

    @property
    def has_room(self) -> bool:
        """Whether more work should be taken."""
        return (
            not self._reserved
            and self._in_preparation < MAX_PREPARING
            and len(self._side) < MAX_FINISHING
            and self.lanes.has_room
            and not self._reports.reports.full
        )

    @property
    def may_probe(self) -> bool:
        """Whether some work may be taken although some waits."""
        return (
            not self._reserved and self._in_preparation < MAX_PREPARING and self.lanes.waiting <= MOST_WAITING
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns when something holds that the end of orders may bring about."""
        while not condition():
            self._change.clear()
            self._watched += 1
            try:
                await self._change.wait()
            finally:
                self._watched -= 1

    def _look(self, now: int) -> bool:
        self.lanes.measure(now)
        self.signal()
        return False

    def find(self, key: Key) -> Attempt | None:
        """The attempt for an order, until the report of its end is confirmed."""
        return self._all.get(key) or self._ended.get(key)

    def join(self, hold: Hold, order: Order) -> bool:
        """Whether the order is one that we have; then it is settled with that one."""
        twin = self.find((hold.message.id, hold.message.epoch, order.command))
        if twin is None:
            return False
        twin.holds += (hold,)
        return True

    def reserve(self) -> None:
        """Keeps this executor for one order that is reported as started: others wait for its release."""
        self._reserved = True

    def release(self) -> None:
        """Ends a reservation."""
        self._reserved = False
        later, self._later = self._later, []
        for hold, orders in later:
            self.take(hold, orders)
        self.signal()

    def take(self, hold: Hold, orders: Sequence[Order], *, started: bool = False) -> None:
        """Carries out orders.

        Args:
            hold: the message that they came in.
            orders: some of its orders.
            started: whether it has been reported that they run.
        """
        if self._reserved and not started:
            self._later.append((hold, orders))
            return
        if self.company is not None:
            self.company()
            self.company = None
        message = hold.message
        tree = self._trees.cached((message.id, message.workflow, message.data))
        data = self.values.at_hand(message.id, message.data, message.revision) if tree is not None else None
        if tree is not None and data is not None:
            self._begin(hold, orders, tree, data, started)
        else:
            self._aside(self._take_later(hold, orders, started))

    async def _take_later(self, hold: Hold, orders: Sequence[Order], started: bool) -> None:
        """Takes a message whose tree has to be generated first."""
        message, entry = hold.message, (hold, orders[0].command)
        self._preparing[entry] = orders
        self._in_preparation += len(orders)
        try:
            data = await self.values.read(message.id, message.data, message.revision)
            tree = await self._trees.tree((message.id, message.workflow, message.data), data.json)
        except TaskpathError as error:
            if self._preparing.pop(entry, None) is not None:
                for order in orders:
                    self._reports.unstarted(hold, order, error.info)
                    self._wake((message.id, message.epoch, order.command))
            return
        except BusClosed:
            return  # not acknowledged: it comes back
        finally:
            self._in_preparation -= len(orders)
        if self._preparing.pop(entry, None) is not None:
            self._begin(hold, orders, tree, data, started)

    def _begin(self, hold: Hold, orders: Sequence[Order], tree: Tree, data: Reading, started: bool) -> None:
        group = Group(hold, tree, data, self.values)
        attempts, ended, cancelled, lost = self._all, self._ended, self._cancelled, hold.lost
        start = self.lanes.start
        for order in orders:
            key = (group.id, group.epoch, order.command)
            if lost and not hold.keeps(order.command):
                self._wake(key)
                continue
            if cancelled and key in cancelled:
                hold.settle(order.command)
                self._give_up(hold, order)
                self._wake(key)
                continue
            twin = attempts.get(key)
            if twin is None and ended:
                twin = ended.get(key)
            if twin is not None:
                twin.holds += (hold,)
                continue
            task = tree.find(order.path)
            if task is None:
                self._reports.unstarted(hold, order, tree.missing(order.path).info)
                self._wake(key)
                continue
            attempt = Attempt(self, group, order, task, key)
            if started:
                attempt.started = True
            attempts[key] = attempt
            if attempt.is_ready():
                start(attempt)
                if task.timeout is not None:
                    self.beat.look_by(task.timeout)
            else:
                self._in_preparation += 1
                self._aside(self._start_later(attempt))
        self.beat.begin()

    async def _start_later(self, attempt: Attempt) -> None:
        """Starts an attempt whose argument or context has to be read first."""
        attempt.fetching = True
        try:
            await attempt.fetch()
        except TaskpathError as error:
            if not attempt.over:
                attempt.execution_time = self.clock.now()
                self.finish(attempt, Outcome(TaskStatus.FAILED, error=at(error.info, attempt.path)))
            return
        finally:
            self._in_preparation -= 1
            attempt.fetching = False
        if not attempt.over:
            self.lanes.start(attempt)
            if attempt.task.timeout is not None:
                self.beat.look_by(attempt.task.timeout)

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
        self.signal()

    def signal(self) -> None:
        """Something has changed: there may be room. Who waits for that is told with the loop's next turn."""
        if self._watched and not self._looking:
            self._looking = True
            self._loop.call_soon(self._look_around)

    def _look_around(self) -> None:
        self._looking = False
        self._change.set()

    # Ending.

    def finish(self, attempt: Attempt, outcome: Outcome) -> None:
        """An attempt has ended: its report is sent when what belongs to it is safe."""
        if attempt.over:
            return
        if attempt.stop is not None:
            if attempt.stop is not Stop.TIMEOUT:
                self._drop(attempt)
                return
            outcome = self._timed_out(attempt)
        self._remove(attempt)
        now = self.clock.now()
        if attempt.progress is not None:
            self._reports.progressed(attempt, now)
        json = outcome.json
        if attempt.book is not None or (
            json is not None and (len(json) > INLINE_BYTES // 4 or outcome.updaters is not None)
        ):
            self._keep(attempt)
            self._aside(self._finish_later(attempt, outcome, now))
        elif not self._reports.finished(
            attempt, outcome, now, outcome.value if json is None else Inline(json), None
        ):
            self._keep(attempt)
        if self._watched:
            self.signal()

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

    def _keep(self, attempt: Attempt) -> None:
        """It has ended, and the report of that is not confirmed yet."""
        attempt.unconfirmed = True
        self._ended[attempt.key] = attempt

    def forget(self, attempt: Attempt) -> None:
        """The report of its end is confirmed."""
        self._ended.pop(attempt.key, None)

    def _timed_out(self, attempt: Attempt) -> Outcome:
        error = TimeoutError(f"the attempt took longer than its timeout of {attempt.task.timeout:g} s")
        return failed(error, attempt.task, attempt.path)

    def _remove(self, attempt: Attempt) -> None:
        attempt.over = True
        # Ended already: what this holds must not be kept by a thread that does not end.
        attempt.work = None
        self._all.pop(attempt.key, None)
        if attempt.lane is Lane.PROCESS:
            self.lanes.forget(attempt)
        if self._waiting_for:
            self._wake(attempt.key)

    def _drop(self, attempt: Attempt) -> None:
        """Ends an attempt whose report nobody wants; what it wrote to its log is kept."""
        self._remove(attempt)
        if attempt.book is not None:
            attempt.book.publish(self._bus)
        if attempt.stop is Stop.CANCELLED:
            attempt.settle()
            self._give_up(attempt.group.hold, attempt.order)
        self.signal()

    def _give_up(self, hold: Hold, order: Order) -> None:
        """A cancelled step is returned: its owner may have changed since, and know of no cancellation."""
        if hold.is_step:
            self._reports.returned(hold, (order,))

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
        if attempt.execution_time is None and self.lanes.recall(attempt):
            self.finish(attempt, OK)
        elif not self.lanes.interrupt(attempt):
            work = attempt.work
            self.finish(attempt, OK)
            if work is not None:
                work.cancel()

    # Giving back, and waiting for ends.

    def give_back(self) -> Given:
        """Takes back everything that has not begun, and gives it up."""
        given = [*((entry[0], orders) for entry, orders in self._preparing.items()), *self._later]
        self._preparing.clear()
        self._later.clear()
        return [*given, *self._recall(lambda attempt: True)]

    def give_back_surplus(self) -> Given:
        """Takes back what waits for a worker, but for what will have begun within a second; gives it up."""
        kept: dict[Flow, int] = {}

        def is_surplus(attempt: Attempt) -> bool:
            if attempt.fetching or (attempt.lane is Lane.COROUTINE and attempt.work is not None):
                return False
            flow = self.lanes.flow_of(attempt)
            kept[flow] = kept.get(flow, 0) + 1
            return kept[flow] > flow.soon

        return self._recall(is_surplus)

    def drop_lost(self) -> None:
        """Drops what has not begun and has gone to somebody else, because a connection was lost."""
        self._recall(lambda attempt: not attempt.kept)

    def _recall(self, which: Callable[[Attempt], bool]) -> Given:
        given: dict[Hold, list[Order]] = {}
        for attempt in list(self._all.values()):
            if attempt.execution_time is None and which(attempt) and self.lanes.recall(attempt):
                self._remove(attempt)
                for hold in attempt.holds:
                    given.setdefault(hold, []).append(attempt.order)
        self.signal()
        return list(given.items())

    def known(self) -> Iterable[Known]:
        """Everything that is here and whose end is not known to be reported."""
        for attempt in chain(self._all.values(), self._ended.values()):
            yield attempt.group.message.partition, attempt.key, attempt.path
        waiting = ((entry[0], orders) for entry, orders in self._preparing.items())
        for hold, orders in (*waiting, *self._later):
            yield from hold.known(orders)

    def expect(self, key: Key) -> asyncio.Event:
        """What is set when the order has ended, or is not begun, after all."""
        event = self._waiting_for[key] = asyncio.Event()
        return event

    def _wake(self, key: Key) -> None:
        event = self._waiting_for.pop(key, None)
        if event is not None:
            event.set()

    def cut(self) -> None:
        """Ends what runs, because its time is over. That it ran is known before, so that it is not lost."""
        for attempt in list(self._all.values()):
            if not attempt.started and attempt.execution_time is not None:
                self._reports.started(attempt, attempt.execution_time)
            self._stop(attempt, Stop.DRAIN)

    async def until_idle(self, limit: asyncio.Future[None]) -> None:
        """Returns when nothing is here and everything is reported, or the limit is over."""
        idle = asyncio.ensure_future(self.until(lambda: self.idle))
        try:
            await asyncio.wait((limit, idle), return_when=asyncio.FIRST_COMPLETED)
        finally:
            idle.cancel()

    async def drain(self, limit: asyncio.Future[None]) -> None:
        """Lets what runs end, until the limit; then ends it."""
        await self.until_idle(limit)
        self.cut()
        stubborn = asyncio.ensure_future(self.clock.sleep(STUBBORN / 1000))
        try:
            await self.until_idle(stubborn)
        finally:
            stubborn.cancel()
            for task in self._side:
                task.cancel()
            self.lanes.close()
