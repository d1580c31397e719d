"""The wiring of an executor."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from itertools import chain

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from taskpath.app import DEFAULT_QUEUE, App
from taskpath.runtime.bus import Bus
from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath.runtime.settings import Settings
from taskpath_proto.events import ExecutorAnnounced
from taskpath_proto.work import ExpandPlan, RunHandler, RunTasks
from taskpath_services.executor import logs
from taskpath_services.executor.admission import Admission
from taskpath_services.executor.announce import Announcer, new_executor_id, workflows_for
from taskpath_services.executor.attempt_reports import AttemptReports
from taskpath_services.executor.attempts import Attempts
from taskpath_services.executor.cancellations import Cancellations
from taskpath_services.executor.expansions import Expansions
from taskpath_services.executor.foreign import Foreign
from taskpath_services.executor.handlers import Handlers
from taskpath_services.executor.holding import Held
from taskpath_services.executor.intake import Intake
from taskpath_services.executor.questions import Questions
from taskpath_services.executor.reports import Reports
from taskpath_services.executor.review import Review
from taskpath_services.executor.segments import Segments
from taskpath_services.executor.suspects import Suspects
from taskpath_services.executor.trees import Trees
from taskpath_services.executor.values import Values
from taskpath_services.executor.workers.processes import ProcessWorkers

FLUSH_SECONDS = 5.0
"""How long the last reports may take to be confirmed. What is not comes back, or its lease lapses."""


class ExecutorService(Service):
    """Calls generators and handlers, and runs tasks.

    Args:
        bus: the bus.
        clock: the time.
        settings: queues and bounds.
        app: the author's workflows and handlers.
    """

    def __init__(self, bus: Bus, clock: Clock, settings: Settings, app: App) -> None:
        super().__init__("executor")
        self.id = new_executor_id()
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._app = app
        self._started = clock.now()
        self._leaving = False
        self._caller = Caller(bus, clock, "executor")
        self._reports = Reports(bus, clock)
        self._attempt_reports = AttemptReports(self._reports, clock, self.id)
        self._values = Values(self._caller, clock)
        self._trees = Trees(app, clock, self._open)
        self._processes = ProcessWorkers(app, settings.processes, settings.max_value)
        self._expansions = Expansions(self._trees, self._values, self._reports, settings.max_value)
        self._handlers = Handlers(app, clock, self._reports)
        self._foreign = Foreign(app, bus, clock, self._attempt_reports, lambda: self.attempts.signal())
        self._intake = Intake(bus, clock, self)
        self._announcer = Announcer(
            bus, clock, settings.lease, self._announcement, lambda: len(self.attempts), self._look_through
        )

    def metrics(self) -> Iterable[Metric]:
        """What it has in hand."""
        attempts = len(self.attempts) if self.ready else 0
        return [GaugeMetricFamily("taskpath_executor_attempts", "Attempts in hand", value=attempts)]

    async def on_start(self) -> None:
        """Starts everything, then takes work, then says so."""
        logs.listen()
        bus, clock = self._bus, self._clock
        attempts = self.attempts = Attempts(
            bus, clock, self._settings, self._attempt_reports, self._trees, self._values, self._processes
        )
        questions = Questions(self._caller, self.id, clock)
        self._suspects = Suspects(
            questions,
            attempts,
            self._attempt_reports,
            clock,
            lambda: self._expansions.idle and self._handlers.idle,
            random.Random(),
        )
        self._review = Review(
            questions,
            lambda: chain(attempts.known(), self._suspects.known(), self._foreign.known()),
            attempts.cancel,
            self._reports,
            self.id,
        )
        self._cancellations = Cancellations(
            bus,
            clock,
            attempts.cancel,
            self._announcer.announce,
            self._review.tell,
            self._intake.renew,
            self._review.begin,
        )
        self._admission = Admission(
            bus, clock, attempts, self._suspects, self._foreign, self._attempt_reports
        )
        self._segments = Segments(
            attempts, self._attempt_reports, self._admission.outdated, self._suspects.take
        )
        attempts.go_on = self._segments.go_on
        for part in (
            self._caller,
            self._reports,
            self._processes,
            self._expansions,
            self._handlers,
            self._foreign,
            self._suspects,
            self._review,
            self._cancellations,
            self._intake,
        ):
            await part.start()
            self.spawn(part.wait(), part.name)
        self.spawn(attempts.beat.run(), "beat")
        await self._intake.open(self._first_queues())
        await self._announcer.start()
        self.spawn(self._announcer.wait(), "announcer")

    async def on_stop(self) -> None:
        """Stops taking work, gives back what has not begun, lets what runs end within the grace period.

        The heartbeat goes on until the last report is confirmed; then owners hear that this executor is gone,
        and have what was cut short done by another.
        """
        self._leaving = True
        self._admission.close()
        self._segments.close()
        await self._intake.pause()
        self._admission.give_back()
        await self._announcer.announce()
        limit = asyncio.ensure_future(self._clock.sleep(self._settings.grace))
        try:
            await asyncio.gather(self.attempts.drain(limit), self._handlers.drain(limit))
        finally:
            limit.cancel()
        for part in (self._suspects, self._review, self._foreign):
            await part.stop()
        await self._expansions.stop()
        await self._handlers.stop()
        await self._processes.stop()
        limit = asyncio.ensure_future(self._clock.sleep(FLUSH_SECONDS))
        try:
            await self._reports.flush(limit)
        finally:
            limit.cancel()
        await self._intake.stop()
        await self._cancellations.stop()
        await self._announcer.stop()
        await self._announcer.gone(self._reports.partitions)
        await self._reports.stop()
        await self._values.close()
        await self._trees.close()
        await self._caller.stop()
        logs.leave()

    # What was taken.

    @property
    def has_room(self) -> bool:
        """Whether there is room for more orders."""
        self.attempts.lanes.measure(self._clock.now())
        return self.attempts.has_room and not self._foreign.full

    @property
    def free(self) -> int:
        """How many more orders could begin at once or in a moment."""
        return self.attempts.lanes.free

    @property
    def may_probe(self) -> bool:
        """Whether some orders may be taken although others wait."""
        return self.attempts.may_probe and not self._foreign.full

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns when something holds that the end of orders may bring about."""
        await self.attempts.until(condition)

    def spare(self) -> bool:
        """Returns orders that wait for a worker; whether there were any."""
        given = self.attempts.give_back_surplus()
        for hold, orders in given:
            self._attempt_reports.returned(hold, orders)
        return bool(given)

    def decline(self, message: RunTasks, held: Held) -> None:
        """Returns orders at once."""
        self._admission.decline(message, held)

    def run(self, message: RunTasks, held: Held, redelivered: bool) -> None:
        """Carries out orders."""
        self._admission.take(message, held, redelivered)

    def expand(self, request: ExpandPlan, queue: str, held: Held) -> None:
        """Calls a generator."""
        self._admission.note(request.partition, request.epoch)
        if not self._passes(request, queue, held):
            self._expansions.take(request, held)

    def handle(self, request: RunHandler, queue: str, held: Held) -> None:
        """Calls handlers."""
        self._admission.note(request.partition, request.epoch)
        if not self._passes(request, queue, held):
            self._handlers.take(request, held)

    def _passes(self, request: ExpandPlan | RunHandler, queue: str, held: Held) -> bool:
        return self._bus.durable and self._foreign.passes(request, queue, held)

    def lost(self) -> None:
        """A connection was lost: what came by it, is not acknowledged and has not begun is another's."""
        self.attempts.drop_lost()

    # What is said of it all.

    def _first_queues(self) -> set[str]:
        if self._settings.queues is not None:
            return set(self._settings.queues)
        return {DEFAULT_QUEUE} | {workflow.queue for workflow in self._app.workflows.values()}

    async def _open(self, queues: set[str]) -> None:
        """Serves the queues that a plan names, if this executor serves all; others hear of it first."""
        if self._settings.queues is None and not self._leaving and await self._intake.open(queues):
            await self._announcer.announce()

    def _announcement(self) -> ExecutorAnnounced:
        queues = tuple(sorted(self._intake.queues))
        return ExecutorAnnounced(
            executor=self.id,
            queues=queues,
            workflows=workflows_for(self._app, queues),
            running=len(self.attempts),
            time=self._clock.now(),
            leaving=self._leaving,
            started=self._started,
            concurrency=self._settings.concurrency,
        )

    def _look_through(self) -> None:
        self._review.begin()
