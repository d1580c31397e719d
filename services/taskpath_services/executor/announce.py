"""The executor's heartbeat: who it is, what it serves, how much it runs."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from taskpath.app import App
from taskpath.runtime.bus import Bus, BusClosed
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.events import ExecutorAnnounced, WorkflowAnnouncement

log = structlog.get_logger("taskpath.executor")

EVERY: Final = 5.0
"""Seconds between two announcements."""


def new_executor_id() -> str:
    """An id that no other executor has, and that tells an operator where to look."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:6]}"


def announcement(
    executor: str, app: App, queues: Iterable[str], running: int, now: int, *, leaving: bool = False
) -> ExecutorAnnounced:
    """What an executor says of itself: of the workflows, those whose queue it serves.

    Args:
        executor: its id.
        app: its workflows.
        queues: the queues that it takes work from.
        running: how many attempts it has.
        now: ms since epoch.
        leaving: whether it has stopped taking work.
    """
    served = tuple(sorted(queues))
    return ExecutorAnnounced(
        executor=executor,
        queues=served,
        workflows=tuple(
            WorkflowAnnouncement(
                name=workflow.name,
                queue=workflow.queue,
                description=workflow.description,
                schema=workflow.schema,
            )
            for workflow in app.workflows.values()
            if workflow.queue in served
        ),
        running=running,
        time=now,
        leaving=leaving,
    )


class Announcer(Service):
    """Announces an executor on start, every five seconds, when it is told to, and when it leaves.

    Args:
        bus: the bus.
        clock: the time.
        describe: makes the announcement; told whether the executor is leaving.
    """

    def __init__(self, bus: Bus, clock: Clock, describe: Callable[[bool], ExecutorAnnounced]) -> None:
        super().__init__("announcer")
        self._bus = bus
        self._clock = clock
        self._describe = describe

    async def announce(self, *, leaving: bool = False) -> None:
        """Announces now; returns when it is safe. A bus that is closed is no error."""
        try:
            await self._bus.publish(self._describe(leaving), topology.ANNOUNCEMENTS)
        except BusClosed:
            log.debug("the bus is closed; nothing was announced")

    async def on_start(self) -> None:
        """Announces, and goes on."""
        await self.announce()

        async def repeat() -> None:
            while True:
                await self._clock.sleep(EVERY)
                await self.announce()

        self.spawn(repeat(), "heartbeat")
