"""A Redis that comes back without its last writes, as one does that does not sync each of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taskpath.runtime.clock import ManualClock
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_proto.events import InstanceDeleted, WantSnapshot
from taskpath_proto.records import TaskChange
from taskpath_services.storage.records.contract import Fallen
from taskpath_services.storage.records.redis.store import RedisRecords
from taskpath_services.storage.service import StorageService
from taskpath_services.storage.stores import index_of, records_of
from tests.support.executors import DurableBus, until
from tests.support.servers import Keeper, MariaDB, Redis
from tests.support.storage import changed, created


@asynccontextmanager
async def falling_back(server: Redis) -> AsyncIterator[None]:
    """What is written inside is gone afterwards."""
    (written,) = (server.folder / "appendonlydir").glob("*.incr.aof")
    kept = written.stat().st_size
    yield
    await asyncio.to_thread(server.kill)
    os.truncate(written, kept)
    await asyncio.to_thread(server.start)


async def test_the_store_tells_what_it_has_lost_and_tells_it_once(keeper: Keeper) -> None:
    server = Redis(keeper, appendfsync="no")
    await asyncio.to_thread(server.start)
    store = RedisRecords(server.url)
    await store.open()
    await store.commit([created(), created(id="same"), created(id="dead")], 0)
    async with falling_back(server):
        await store.commit([changed(2), InstanceDeleted("dead", 0, 1, 2), created(id="new")], 0)
        assert list(await store.fallen_back()) == []
    fallen = sorted(await store.fallen_back(), key=lambda one: one.id)
    assert fallen == [
        Fallen("a", epoch=1, revision=2, deleted=False),
        Fallen("dead", epoch=1, revision=2, deleted=True),
        Fallen("new", epoch=1, revision=1, deleted=False),
    ]
    assert list(await store.fallen_back()) == []
    await store.close()
    server.kill()


async def test_owners_are_asked_and_the_dead_stay_dead(keeper: Keeper, mariadb: MariaDB) -> None:
    server = Redis(keeper, appendfsync="no")
    await asyncio.to_thread(server.start)
    index = await asyncio.to_thread(mariadb.new_database)
    bus, clock = DurableBus(), ManualClock()
    await bus.start()
    settings = Settings(records=server.url, index=index, partitions=2)
    service = StorageService(bus, clock, settings)
    await records_of(settings).migrate()
    await index_of(settings).migrate()
    await service.start()
    for event in (created(), created(id="dead")):
        await bus.publish(event, topology.storage_mailbox(0))
    await until(lambda: service.counters.applied == 2, clock)
    async with falling_back(server):
        await bus.publish(changed(2, TaskChange(path="#.one", attempt=1)), topology.storage_mailbox(0))
        await bus.publish(InstanceDeleted("dead", 0, 1, 2), topology.storage_mailbox(0))
        await until(lambda: service.counters.applied == 4, clock)
    partition = topology.partition_of("a", 2)
    owner = await bus.consume(topology.scheduler_mailbox(partition))
    taking = asyncio.ensure_future(owner.take())
    await until(taking.done, clock)
    assert [one for one in taking.result().messages if isinstance(one, WantSnapshot)] == [WantSnapshot("a")]
    store = RedisRecords(server.url)
    await store.open()
    while not (await store.standing("dead")).deleted:
        clock.move(0.1)
    await store.close()
    await service.stop()
    await bus.stop()
    server.kill()
