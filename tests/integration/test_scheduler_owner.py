"""An owner that gives up its partition, and one that waits for it and loses its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from taskpath.runtime.bus import BusLost
from taskpath.runtime.buses.memory import MemoryInbox
from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import SystemClock
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_proto.events import Probe
from taskpath_services.scheduler.owner import Owner
from taskpath_services.storage.service import StorageService
from tests.support.executors import DurableBus

MAILBOX = topology.scheduler_mailbox(0)


class OpenedBus(DurableBus):
    """A bus that gives a test the ends that its owners have opened at their mailbox, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: asyncio.Queue[MemoryInbox] = asyncio.Queue()

    async def consume(self, mailbox: str, *, exclusive: bool = False, prefetch: int = 100) -> MemoryInbox:
        inbox = await super().consume(mailbox, exclusive=exclusive, prefetch=prefetch)
        if mailbox == MAILBOX:
            self.opened.put_nowait(inbox)
        return inbox


class System:
    """Storage, and owners of one partition on one bus."""

    def __init__(self, bus: OpenedBus, caller: Caller) -> None:
        self.bus = bus
        self._caller = caller
        self.running: list[asyncio.Task[None]] = []

    def owner(self) -> Owner:
        """One more that waits for the partition."""
        owner = Owner(self.bus, SystemClock(), self._caller, 0, f"r{len(self.running)}", 30.0)
        self.running.append(asyncio.ensure_future(owner.run()))
        return owner


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    bus, clock = OpenedBus(), SystemClock()
    settings = Settings(
        records=f"sqlite:///{tmp_path}/records.sqlite",
        index=f"sqlite:///{tmp_path}/index.sqlite",
        partitions=1,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(bus.stop)
        for part in (StorageService(bus, clock, settings), caller := Caller(bus, clock, "test")):
            stack.push_async_callback(part.stop)
            await part.start()
        made = System(bus, caller)
        yield made
        for task in made.running:
            task.cancel()
        await asyncio.gather(*made.running, return_exceptions=True)


async def test_an_owner_that_is_told_to_go_while_it_works_goes_when_it_has_finished(system: System) -> None:
    owner = system.owner()
    async with asyncio.timeout(10):
        await owner.owning.wait()
        await system.bus.send(MAILBOX, Probe(0))
        owner.hand_over()  # it has not been asked since it began to own
        await system.running[0]


async def test_who_waits_and_loses_its_connection_claims_nothing(system: System) -> None:
    with capture_logs() as logs:
        owner = system.owner()
        async with asyncio.timeout(10):
            await owner.owning.wait()
            await system.bus.opened.get()
            system.owner()
            second = await system.bus.opened.get()
            await second.lose()
            with pytest.raises(BusLost):
                await system.running[1]
    assert [line["event"] for line in logs].count("partition owned") == 1
