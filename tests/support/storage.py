"""Storage alone on a bus, for tests: real files, a clock that is moved by hand, and somebody who asks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import ManualClock
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_proto.events import InstanceChanged, InstanceDeleted, LogsWritten
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.queries import (
    BlobPut,
    ClaimPartition,
    InstancesPage,
    InstanceView,
    ListInstances,
    PartitionClaimed,
    PutBlob,
    ReadInstance,
    ReadTask,
    ReadValue,
    TaskView,
    ValueRead,
)
from taskpath_proto.records import InstanceChange, TaskChange
from taskpath_proto.values import KEEP_BYTES, Inline, Value
from taskpath_services.storage.service import StorageService

LARGE = '"' + "x" * KEEP_BYTES + '"'
MAILBOX = topology.storage_mailbox(0)

FAN = Plan(
    tasks=(
        TaskSpec(name="plain", foreach=True),
        TaskSpec(
            name="groups",
            foreach=True,
            subtasks=(
                TaskSpec(name="a"),
                TaskSpec(name='b"', subtasks=(TaskSpec(name="c"), TaskSpec(name="d"))),
                TaskSpec(name="inner", foreach=True),
                TaskSpec(name="skipped", condition=True),
            ),
        ),
    )
)
"""A tree with foreaches, of plain items and of groups."""


class WatchedClock(ManualClock):
    """Tells when somebody begins to sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.sleeps: asyncio.Queue[float] = asyncio.Queue()

    async def sleep(self, seconds: float) -> None:
        self.sleeps.put_nowait(seconds)
        await super().sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Returns when somebody has begun to sleep for so long."""
        while await self.sleeps.get() != pytest.approx(seconds, abs=0.001):
            pass


class System:
    """Storage alone on a bus, and somebody who asks it."""

    def __init__(self, folder: Path, max_value: int = Settings().max_value) -> None:
        self.folder = folder
        self.bus = MemoryBus()
        self.clock = WatchedClock()
        self.service = StorageService(
            self.bus, self.clock, Settings(data=folder, partitions=2, max_value=max_value)
        )
        self.caller = Caller(self.bus, self.clock, "test", timeout=20)

    async def start(self) -> None:
        await self.bus.start()
        await self.service.start()
        await self.caller.start()

    async def stop(self) -> None:
        await self.caller.stop()
        await self.service.stop()
        await self.bus.stop()

    def publish(self, event: InstanceChanged | InstanceDeleted | LogsWritten) -> asyncio.Future[None]:
        return self.bus.publish(
            event, topology.instance_key(event.id), topology.storage_mailbox(event.partition)
        )

    async def claim(self, partition: int = 0) -> PartitionClaimed:
        mailbox = topology.storage_mailbox(partition)
        return await self.caller.ask(mailbox, ClaimPartition(partition, "test"), PartitionClaimed)

    async def read(self, value: Value, min_revision: int = 0) -> str:
        query = ReadValue("a", value, min_revision)
        return (await self.caller.ask(topology.QUERIES, query, ValueRead)).json

    async def view(self, query: ReadInstance) -> InstanceView:
        return await self.caller.ask(topology.QUERIES, query, InstanceView)

    async def task(self, path: str, min_revision: int = 0) -> TaskView:
        return await self.caller.ask(topology.QUERIES, ReadTask("a", path, min_revision), TaskView)

    async def put(self, path: str, name: str, version: int, json: str) -> Value:
        query = PutBlob("a", path, name, version, json)
        return (await self.caller.ask(topology.QUERIES, query, BlobPut)).value

    async def listed(self) -> list[str]:
        page = await self.caller.ask(topology.QUERIES, ListInstances(), InstancesPage)
        return [item.id for item in page.items]


def changed(
    revision: int, *tasks: TaskChange, epoch: int = 1, id: str = "a", instance: InstanceChange | None = None
) -> InstanceChanged:
    return InstanceChanged(id, 0, epoch, revision, revision - 1, tasks=list(tasks), instance=instance)


def created(plan: Plan | None = None, *, id: str = "a", epoch: int = 1) -> InstanceChanged:
    change = InstanceChange(
        realm="r",
        workflow="w",
        plan=plan or Plan(tasks=(TaskSpec(name="one"),)),
        data=Inline("1"),
        created_at=5,
    )
    return changed(1, id=id, epoch=epoch, instance=change)
