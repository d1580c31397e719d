"""The wiring of an executor."""

from __future__ import annotations

import asyncio

from taskpath.app import DEFAULT_QUEUE, App
from taskpath.runtime.bus import Bus, BusClosed, Subscription
from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_proto.events import ExecutorAnnounced
from taskpath_proto.work import CancelAttempts
from taskpath_services.executor import logs
from taskpath_services.executor.announce import Announcer, announcement, new_executor_id
from taskpath_services.executor.attempt_reports import AttemptReports
from taskpath_services.executor.attempts import Attempts
from taskpath_services.executor.expansions import Expansions
from taskpath_services.executor.handlers import Handlers
from taskpath_services.executor.intake import Intake
from taskpath_services.executor.reports import Reports
from taskpath_services.executor.trees import Trees
from taskpath_services.executor.values import Values
from taskpath_services.executor.workers.processes import ProcessWorkers


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
        self._caller = Caller(bus, clock, "executor")
        self._reports = Reports(bus)
        self._values = Values(self._caller, clock)
        self._trees = Trees(app, clock, self._open)
        self._processes = ProcessWorkers(app, settings.processes, settings.max_value)
        self._expansions = Expansions(self._trees, self._values, self._reports, settings.max_value)
        self._handlers = Handlers(app, clock, self._reports)
        self._announcer = Announcer(bus, clock, self._announcement)
        self._attempts: Attempts | None = None
        self._intake: Intake | None = None
        self._cancels: Subscription | None = None

    async def on_start(self) -> None:
        """Starts everything, then takes work, then says so."""
        logs.listen()
        attempts = self._attempts = Attempts(
            self._bus,
            self._clock,
            self._settings,
            AttemptReports(self._reports, self._clock, self.id),
            self._trees,
            self._values,
            self._processes,
        )
        intake = self._intake = Intake(
            self._bus, attempts.room, attempts.take, self._expansions.take, self._handlers.take
        )
        for part in (
            self._caller,
            self._reports,
            self._processes,
            self._expansions,
            self._handlers,
            intake,
        ):
            await part.start()
            self.spawn(part.wait(), part.name)
        cancels = self._cancels = await self._bus.subscribe(topology.EXECUTORS)
        self.spawn(self._hear(cancels, attempts), "cancellations")
        self.spawn(attempts.beat.run(), "beat")
        await intake.open(self._first_queues())
        await self._announcer.start()
        self.spawn(self._announcer.wait(), "announcer")

    async def on_stop(self) -> None:
        """Stops taking work, lets what runs end within the grace period, gives the rest back."""
        if self._intake is not None:
            await self._intake.pause()
        if self._attempts is not None:
            self._attempts.close()
        await self._announcer.announce(leaving=True)
        await self._announcer.stop()
        draining = [self._handlers.drain(self._settings.grace)]
        if self._attempts is not None:
            draining.append(self._attempts.drain(self._settings.grace))
        await asyncio.gather(*draining)
        await self._expansions.stop()
        await self._handlers.stop()
        await self._processes.stop()
        await self._reports.stop()
        if self._intake is not None:
            await self._intake.stop()
        await self._values.close()
        await self._trees.close()
        if self._cancels is not None:
            await self._cancels.close()
        await self._caller.stop()
        logs.leave()

    def _first_queues(self) -> set[str]:
        if self._settings.queues is not None:
            return set(self._settings.queues)
        return {DEFAULT_QUEUE} | {workflow.queue for workflow in self._app.workflows.values()}

    async def _open(self, queues: set[str]) -> None:
        """Serves the queues that a plan names, if this executor serves all; others hear of it first."""
        if self._settings.queues is None and self._intake is not None and await self._intake.open(queues):
            await self._announcer.announce()

    def _announcement(self, leaving: bool) -> ExecutorAnnounced:
        queues = self._intake.queues if self._intake is not None else ()
        running = len(self._attempts) if self._attempts is not None else 0
        return announcement(self.id, self._app, queues, running, self._clock.now(), leaving=leaving)

    async def _hear(self, cancels: Subscription, attempts: Attempts) -> None:
        try:
            while True:
                for message in await cancels.take():
                    if isinstance(message, CancelAttempts):
                        attempts.cancel(message)
        except BusClosed:
            return
