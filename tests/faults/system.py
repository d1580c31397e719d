"""What a test of faults has in hand."""

from __future__ import annotations

import asyncio
import json
import signal
import urllib.error
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import msgspec

from tests.faults.journal import Journal
from tests.faults.lines import Line
from tests.faults.load import Load, load_on
from tests.support.cluster import Cluster, ServiceProcess
from tests.support.servers import MariaDB, RabbitMQ, Redis

FOUND_AGAIN: Final = "sent again what got lost"
PARTITIONS: Final = 4
CONCURRENCY: Final = 20
LEASE: Final = 4.0
GRACE: Final = 10.0

SETTINGS: Final = {
    "TASKPATH_PARTITIONS": str(PARTITIONS),
    "TASKPATH_CONCURRENCY": str(CONCURRENCY),
    "TASKPATH_LEASE": str(LEASE),
    "TASKPATH_GRACE": str(GRACE),
}
"""Of all services."""


class System(msgspec.Struct, frozen=True):
    """A cluster, its servers, and the journal of its bodies.

    Attributes:
        lines: by role, what the first of each has between itself and the broker.
    """

    cluster: Cluster
    broker: RabbitMQ
    records: Redis
    index: MariaDB
    lines: Mapping[str, Line]
    journal: Journal

    def of(self, role: str) -> tuple[ServiceProcess, ServiceProcess]:
        """The two of a role; the first is on a line."""
        first, second = (process for process in self.cluster if process.role == role)
        return first, second

    @asynccontextmanager
    async def load(self, *, may_lose: bool = False) -> AsyncIterator[Load]:
        """A load on all gateways, which has begun. What a test before has left broken is mended first.

        Args:
            may_lose: whether something may get lost, so that only the schedulers' watchdog finds it again.
        """
        await asyncio.to_thread(self._mend)
        before = self._found_again()
        async with load_on([gateway.url for gateway in self.cluster.gateway], self.journal) as load:
            yield load
        assert may_lose or self._found_again() == before, "something was lost, and found again late"

    def _found_again(self) -> int:
        return sum(process.log.read_text().count(FOUND_AGAIN) for process in self.of("scheduler"))

    def counted(self, role: str, figure: str) -> float:
        """The sum of a figure over all processes of a role that run."""
        lines = [
            line
            for process in self.of(role)
            if process.running
            for line in process.ask("/metrics").splitlines()
        ]
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(figure + " "))

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns when something can be seen from outside."""
        await asyncio.to_thread(self.cluster.gateway[1].wait_until, condition)

    async def owns(self, scheduler: ServiceProcess, partitions: int) -> None:
        """Returns when a scheduler owns so many partitions."""
        await asyncio.to_thread(scheduler.wait_until, partial(_owns, scheduler, partitions))

    async def shared(self) -> None:
        """Returns when the schedulers share the partitions."""
        for scheduler in self.cluster.scheduler:
            await self.owns(scheduler, PARTITIONS // 2)

    def _mend(self) -> None:
        for line in self.lines.values():
            line.go_on()
        for program in (self.broker, self.records, self.index, *self.cluster):
            if program.running:
                program.send_signal(signal.SIGCONT)
            else:
                program.launch()
        for server in (self.broker, self.records, self.index):
            server.wait_ready()
        self.cluster.wait_ready()


def _owns(scheduler: ServiceProcess, partitions: int) -> bool:
    return f"taskpath_scheduler_partitions {partitions}.0" in scheduler.ask("/metrics")


def shown(system: System, id: str) -> list[str]:
    """The statuses of an instance's tasks; none if there is no such instance."""
    try:
        found = json.loads(system.cluster.gateway[1].ask(f"/api/v1/instances/{id}"))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 404:
            raise
        return []
    return [state["status"] for state in found.get("statuses", {}).values()]
