"""Schedulers and storages share the partitions, whoever comes and goes, while work goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from taskpath import App, Task
from taskpath.runtime import sharing
from taskpath.runtime.bus import Bus
from taskpath.runtime.buses import bus_of
from taskpath.runtime.settings import Settings
from taskpath_services.scheduler.service import SchedulerService
from taskpath_services.storage.service import StorageService
from tests.support.executors import DurableBus
from tests.support.replicas import Replicas, replicas_of
from tests.support.servers import MariaDB, RabbitMQ, Redis

PARTITIONS = 4
BOTH = (StorageService, SchedulerService)


def app() -> App:
    made = App()
    made.workflow("w")(
        lambda: [Task("list", lambda: list(range(20))), Task("each", lambda number: number, foreach=True)]
    )
    return made


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times as fast as in earnest."""
    monkeypatch.setattr(sharing, "EVERY", 0.1)
    monkeypatch.setattr(sharing, "LAPSE_MS", 500)


@pytest.fixture
def stores(redis: Redis, mariadb: MariaDB) -> dict[str, str]:
    return {"records": redis.new_database(), "index": mariadb.new_database()}


@asynccontextmanager
async def in_memory(stores: dict[str, str]) -> AsyncIterator[Replicas]:
    """Over one bus that outlives them all."""
    shared = DurableBus()

    async def connect() -> Bus:
        return shared

    async def disconnect(bus: Bus) -> None:
        assert bus is shared

    settings = Settings.read({}, port=0, partitions=PARTITIONS, **stores)
    async with replicas_of(app(), settings, connect, disconnect) as made:
        yield made
    await shared.stop()


@asynccontextmanager
async def on_rabbitmq(server: RabbitMQ, stores: dict[str, str]) -> AsyncIterator[Replicas]:
    """Each with a connection of its own."""
    broker = await asyncio.to_thread(server.new_vhost)
    settings = Settings.read({}, port=0, partitions=PARTITIONS, broker=broker, **stores)

    async def connect() -> Bus:
        bus = bus_of(settings)
        await bus.start()
        return bus

    async def disconnect(bus: Bus) -> None:
        await bus.stop()

    async with replicas_of(app(), settings, connect, disconnect) as made:
        yield made
    await asyncio.to_thread(server.remove_vhost, broker)


@pytest.fixture(params=["memory", "rabbitmq"])
async def replicas(request: pytest.FixtureRequest, stores: dict[str, str]) -> AsyncIterator[Replicas]:
    """One of each service."""
    if request.param == "memory":
        async with in_memory(stores) as made:
            yield made
    else:
        async with on_rabbitmq(request.getfixturevalue("rabbitmq"), stores) as made:
            yield made


def check_order(replicas: Replicas) -> None:
    """Nothing was committed out of order."""
    for storage in replicas.storages:
        assert (storage.counters.gaps, storage.counters.conflicts) == (0, 0)


async def test_replicas_share_whoever_comes_and_goes(replicas: Replicas) -> None:
    await replicas.until_shared()
    assert replicas.owned(StorageService) == [(0, 1, 2, 3)]

    await replicas.add(*BOTH)
    await replicas.until_shared()
    assert [len(owned) for owned in replicas.owned(StorageService)] == [2, 2]
    assert [len(owned) for owned in replicas.owned(SchedulerService)] == [2, 2]
    await replicas.run()

    eldest = [replicas.of(kind)[0] for kind in BOTH]
    await replicas.stop(*eldest)
    await replicas.until_shared()
    assert replicas.owned(StorageService) == [(0, 1, 2, 3)]
    await replicas.run()

    await replicas.add(*BOTH)
    await replicas.until_shared()
    assert [len(owned) for owned in replicas.owned(StorageService)] == [2, 2]
    await replicas.run()
    check_order(replicas)


async def test_work_goes_on_while_replicas_come_and_go(replicas: Replicas) -> None:
    working = asyncio.ensure_future(replicas.run(least=40))
    for _ in range(2):
        await replicas.add(*BOTH)
        await replicas.until_shared()
        await replicas.stop(*[replicas.of(kind)[0] for kind in BOTH])
        await replicas.until_shared()
    await working
    check_order(replicas)


async def test_what_a_replica_had_that_nobody_hears_of_any_more_is_taken_over(
    rabbitmq: RabbitMQ, stores: dict[str, str]
) -> None:
    async with on_rabbitmq(rabbitmq, stores) as replicas:
        await replicas.add(*BOTH)
        await replicas.until_shared()
        working = asyncio.ensure_future(replicas.run(least=20))
        await replicas.kill(*[replicas.of(kind)[0] for kind in BOTH])
        await replicas.until_shared()
        await working
        check_order(replicas)
