"""The scheduler service: waits at the mailbox of every partition, and shares them with its replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog
from prometheus_client import Metric

from taskpath.runtime.bus import Bus, BusClosed, BusLost, Subscription
from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import Clock
from taskpath.runtime.partitions import agree
from taskpath.runtime.service import Service
from taskpath.runtime.settings import Settings
from taskpath.runtime.sharing import Sharing, new_id
from taskpath_proto import topology
from taskpath_proto.errors import TaskpathError
from taskpath_proto.events import (
    AnnounceYourself,
    ExecutorAnnounced,
    ExecutorBeat,
    Probe,
)
from taskpath_services.scheduler.owner import Owner

log = structlog.get_logger("taskpath.scheduler")

RETRY_DELAY: Final = 0.5
"""Seconds before a mailbox is opened again whose connection was lost."""


class SchedulerService(Service):
    """Owns instances: their trees, order, retries, timers and cancellation.

    Args:
        bus: the bus.
        clock: the time.
        settings: the number of partitions, the lease of executors.
    """

    def __init__(self, bus: Bus, clock: Clock, settings: Settings) -> None:
        super().__init__("scheduler")
        self.id = new_id()
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._caller = Caller(bus, clock, self.name)
        self._sharing = Sharing(
            self.name,
            self.id,
            bus,
            clock,
            settings.partitions,
            lambda: self.owned,
            lambda number: self._owners[number].hand_over(),
            self._probe,
        )
        self._owners: dict[int, Owner] = {}
        self._seats: list[asyncio.Task[None]] = []
        self._stopping = False

    @property
    def owned(self) -> tuple[int, ...]:
        """The partitions that this replica owns."""
        return tuple(number for number, owner in self._owners.items() if owner.owning.is_set())

    def metrics(self) -> Iterable[Metric]:
        """How much of the whole this replica has."""
        return self._sharing.metrics()

    async def on_start(self) -> None:
        """Takes a seat at every partition. On a bus of one process it owns them all when this returns.

        Storage is waited for.

        Raises:
            SettingsError: there is another number of partitions.
        """
        await self._caller.start()
        self.spawn(self._caller.wait(), "caller")
        await agree(self._caller, self._clock, self._settings.partitions)
        heard = await self._bus.subscribe(topology.ANNOUNCEMENTS)
        self.spawn(self._listen(heard), "announcements")
        for number in range(self._settings.partitions):
            owner = self._owners[number] = self._owner(number)
            self._seats.append(self.spawn(self._sit(owner), f"partition {number}"))
        await self._ask_executors()
        if self._bus.durable:
            await self._sharing.start()
            self.spawn(self._sharing.wait(), "sharing")
        else:
            await self._own_all()

    def _owner(self, number: int) -> Owner:
        return Owner(self._bus, self._clock, self._caller, number, self.id, self._settings.lease)

    async def _sit(self, owner: Owner) -> None:
        """Waits for a partition, owns it, hands it over, and waits again."""
        try:
            while True:
                try:
                    await owner.run()
                except BusLost as error:
                    log.warning("partition lost", partition=owner.number, reason=str(error))
                    await self._clock.sleep(RETRY_DELAY)
                if self._stopping:
                    return
                owner = self._owners[owner.number] = self._owner(owner.number)
        except BusClosed:
            return
        except TaskpathError:
            if not self._stopping:
                raise

    async def _own_all(self) -> None:
        """Returns when every partition is owned; raises what is in the way of that."""

        async def owning() -> None:
            for owner in list(self._owners.values()):
                await owner.owning.wait()

        all_owned = asyncio.ensure_future(owning())
        await asyncio.wait({all_owned, *self._seats}, return_when=asyncio.FIRST_COMPLETED)
        if not all_owned.done():
            all_owned.cancel()
            for seat in self._seats:
                if seat.done():
                    seat.result()
            raise BusClosed("The bus was closed before every partition was owned.")

    async def _listen(self, heard: Subscription) -> None:
        """Hears executors, also after the connection was lost."""
        try:
            while True:
                try:
                    for message in await heard.take():
                        if isinstance(message, (ExecutorAnnounced, ExecutorBeat)):
                            for owner in self._owners.values():
                                owner.hear(message)
                except BusLost:
                    heard = await self._bus.subscribe(topology.ANNOUNCEMENTS)
                    await self._ask_executors()
        except BusClosed:
            return

    async def _ask_executors(self) -> None:
        try:
            await self._bus.publish(AnnounceYourself(), topology.EXECUTORS)
        except BusLost:
            log.debug("executors announce themselves in their own time")

    async def _probe(self) -> None:
        """Wakes whoever has become the owner of what another replica had."""
        for number, owner in self._owners.items():
            if not owner.owning.is_set():
                await self._bus.send(topology.scheduler_mailbox(number), Probe(number))

    async def on_stop(self) -> None:
        """Finishes the batches in hand, and gives every partition back."""
        self._stopping = True
        for owner in self._owners.values():
            owner.hand_over()
        if self._seats:
            _, late = await asyncio.wait(self._seats, timeout=self._settings.grace)
            for seat in late:
                seat.cancel()
        await self._sharing.stop()
        await self._caller.stop()
