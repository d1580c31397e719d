"""The executor's heartbeat, and what it says of itself: who it is, what it serves, how much it runs.

The heartbeat is small and frequent: it renews the leases of everything that this executor has reported. The
announcement is large (workflows with their schemas) and goes out when it changes, and now and then for those
who have come since.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from taskpath.app import App
from taskpath.runtime.bus import Bus, BusClosed, BusLost
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.events import ExecutorAnnounced, ExecutorBeat, WorkflowAnnouncement

log = structlog.get_logger("taskpath.executor")

EVERY: Final = 10.0
"""Seconds between two announcements."""
BEAT_EVERY: Final = 2.0
"""Seconds between two heartbeats, unless leases are so short that there have to be more."""
BEATS_A_LEASE: Final = 5


def new_executor_id() -> str:
    """An id that no other executor has, and that tells an operator where to look."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:6]}"


def beat_seconds(lease: float) -> float:
    """The seconds between two heartbeats: several fit into a lease, so that one may be lost or late.

    Args:
        lease: in seconds.
    """
    return max(0.05, min(BEAT_EVERY, lease / BEATS_A_LEASE))


def workflows_for(app: App, queues: Iterable[str]) -> tuple[WorkflowAnnouncement, ...]:
    """What an executor says of its workflows: of those whose queue it serves.

    Args:
        app: its workflows.
        queues: the queues that it takes work from.
    """
    served = set(queues)
    return tuple(
        WorkflowAnnouncement(
            name=workflow.name,
            queue=workflow.queue,
            description=workflow.description,
            schema=workflow.schema,
        )
        for workflow in app.workflows.values()
        if workflow.queue in served
    )


class Announcer(Service):
    """Says that an executor lives, and what it serves.

    Args:
        bus: the bus.
        clock: the time.
        lease: in seconds: without a heartbeat for so long, what the executor has counts as lost.
        describe: makes the announcement.
        running: how many attempts the executor runs.
        late: called when heartbeats have failed for so long that leases may have lapsed.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        lease: float,
        describe: Callable[[], ExecutorAnnounced],
        running: Callable[[], int],
        late: Callable[[], None],
    ) -> None:
        super().__init__("announcer")
        self._bus = bus
        self._clock = clock
        self._lease = lease
        self._describe = describe
        self._running = running
        self._late = late
        self._id = ""

    async def announce(self) -> None:
        """Announces now; returns when it is safe, or the bus is away: then it is heard of later."""
        try:
            await self._bus.publish(self._describe(), topology.ANNOUNCEMENTS)
        except (BusClosed, BusLost) as error:
            log.debug("nothing was announced", reason=str(error))

    async def gone(self, partitions: Iterable[int]) -> None:
        """Says that the executor has ended: what it had and did not report as finished is lost.

        Args:
            partitions: whose owners it has reported to: they hear it behind its last report, not before.
        """
        beat = self._beat(gone=True)
        try:
            if self._bus.durable:
                for sent in [
                    self._bus.send(topology.scheduler_mailbox(partition), beat) for partition in partitions
                ]:
                    await sent
            await self._bus.publish(beat, topology.ANNOUNCEMENTS)
        except (BusClosed, BusLost) as error:
            log.debug("the end was not announced", reason=str(error))

    def _beat(self, *, gone: bool = False) -> ExecutorBeat:
        return ExecutorBeat(self._id, self._clock.now(), self._running(), gone)

    async def on_start(self) -> None:
        """Announces, and goes on."""
        self._id = self._describe().executor
        await self.announce()

        async def announce_again() -> None:
            while True:
                await self._clock.sleep(EVERY)
                await self.announce()

        self.spawn(announce_again(), "announcements")
        self.spawn(self._keep_beating(), "heartbeat")

    async def _keep_beating(self) -> None:
        every, last = beat_seconds(self._lease), self._clock.now()
        while True:
            await self._clock.sleep(every)
            begun = self._clock.now()
            try:
                await self._bus.publish(self._beat(), topology.ANNOUNCEMENTS)
            except BusLost:
                continue
            except BusClosed:
                return
            if begun - last > self._lease * 1000:
                log.warning("heartbeats were late", seconds=(begun - last) / 1000)
                self._late()
            last = begun
