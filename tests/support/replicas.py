"""Several schedulers and storages over one bus and the same stores, which come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeAlias

from taskpath import App, Client
from taskpath.client import Instance
from taskpath.runtime.bus import Bus, Subscription
from taskpath.runtime.clock import SystemClock
from taskpath.runtime.service import Service
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_proto.errors import TaskpathError
from taskpath_services.executor.service import ExecutorService
from taskpath_services.gateway.service import GatewayService
from taskpath_services.scheduler.service import SchedulerService
from taskpath_services.storage.service import StorageService
from taskpath_services.storage.stores import index_of, records_of
from tests.support.over_servers import until_heard

Replica: TypeAlias = SchedulerService | StorageService

PATIENCE = 30.0
"""How long anything is waited for, in seconds."""


class Replicas:
    """A gateway, an executor, and as many schedulers and storages as a test wants.

    Args:
        settings: of all of them.
        connect: makes a bus that has started, for one service.
        disconnect: stops it, if it is of that service alone.
        heard: the announcements of replicas.

    Attributes:
        alive: the replicas that work.
    """

    def __init__(
        self,
        settings: Settings,
        connect: Callable[[], Awaitable[Bus]],
        disconnect: Callable[[Bus], Awaitable[None]],
        heard: Subscription,
    ) -> None:
        self.settings = settings
        self.alive: list[Replica] = []
        self._connect = connect
        self._disconnect = disconnect
        self._heard = heard
        self._buses: dict[Service, Bus] = {}
        self._clock = SystemClock()

    async def begin(self, app: App) -> None:
        """Starts one of everything."""
        await records_of(self.settings).migrate()
        await index_of(self.settings).migrate()
        await self.add(StorageService, SchedulerService)
        bus = await self._connect()
        self._gateway = GatewayService(bus, self._clock, self.settings)
        self._buses[self._gateway] = bus
        await self._gateway.start()
        bus = await self._connect()
        self._executor = ExecutorService(bus, self._clock, self.settings, app)
        self._buses[self._executor] = bus
        await self._executor.start()
        await until_heard(self._gateway.url)

    async def add(self, *kinds: type[SchedulerService] | type[StorageService]) -> None:
        """Starts one more of these."""
        for kind in kinds:
            bus = await self._connect()
            service = kind(bus, self._clock, self.settings)
            self._buses[service] = bus
            await service.start()
            self.alive.append(service)

    async def stop(self, *services: Replica) -> None:
        """Stops replicas in order."""
        for service in services:
            self.alive.remove(service)
            await service.stop()
            await self._disconnect(self._buses.pop(service))

    async def kill(self, *services: Replica) -> None:
        """Takes the bus away from replicas, so that nobody is told of their end."""
        for service in services:
            self.alive.remove(service)
            await self._disconnect(self._buses.pop(service))
            await service.stop()

    async def end(self) -> None:
        """Stops everything."""
        for service in (self._executor, self._gateway):
            await service.stop()
            await self._disconnect(self._buses.pop(service))
        await self.stop(*self.of(SchedulerService), *self.storages)

    def of(self, kind: type[Replica]) -> list[Replica]:
        """The replicas of a kind, the eldest first."""
        return [one for one in self.alive if isinstance(one, kind)]

    @property
    def storages(self) -> list[StorageService]:
        """The storages, the eldest first."""
        return [one for one in self.alive if isinstance(one, StorageService)]

    def owned(self, kind: type[Replica]) -> Sequence[tuple[int, ...]]:
        """What the replicas of a kind own, the eldest first."""
        return [one.owned for one in self.of(kind)]

    def is_shared(self, kind: type[Replica]) -> bool:
        """Whether each partition is owned by one replica of a kind, and none has more than its part."""
        owned = self.owned(kind)
        partitions = self.settings.partitions
        part = -(-partitions // len(owned))
        return sorted(number for one in owned for number in one) == list(range(partitions)) and all(
            len(one) <= part for one in owned
        )

    async def until_shared(self) -> None:
        """Returns when both kinds have shared; looks whenever one says what it owns."""
        async with asyncio.timeout(PATIENCE):
            while not (self.is_shared(SchedulerService) and self.is_shared(StorageService)):
                await self._heard.take()

    async def run(self, *, least: int = 1) -> None:
        """Runs instances of the workflow ``w``, side by side, to their ends: in every partition some."""
        count, partitions = 0, set(range(self.settings.partitions))
        async with asyncio.timeout(PATIENCE), Client(self._gateway.url) as client:
            made: list[str] = []
            while partitions or count < least:
                instance = await _insisting(lambda: client.create("w", execute=True))
                made.append(instance.id)
                partitions.discard(topology.partition_of(instance.id, self.settings.partitions))
                count += 1
            for id in made:
                assert (await _insisting(partial(client.wait, id))).status == "done"


async def _insisting(ask: Callable[[], Awaitable[Instance]]) -> Instance:
    """Asks until there is an answer: a question may be lost with who was to answer it."""
    while True:
        try:
            return await ask()
        except TaskpathError as error:
            if not error.code.temporary:
                raise


@asynccontextmanager
async def replicas_of(
    app: App,
    settings: Settings,
    connect: Callable[[], Awaitable[Bus]],
    disconnect: Callable[[Bus], Awaitable[None]],
) -> AsyncIterator[Replicas]:
    """One of each service; more when they are asked for. Arguments as of :class:`Replicas`."""
    bus = await connect()
    replicas = Replicas(settings, connect, disconnect, await bus.subscribe(topology.REPLICAS))
    try:
        await replicas.begin(app)
        yield replicas
    finally:
        await replicas.end()
        await disconnect(bus)
