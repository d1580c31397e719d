"""Two of each service as processes, over RabbitMQ, Redis and MariaDB."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from taskpath.client import Client
from taskpath_proto.packets import SetTasksStatuses
from tests.support.cluster import Cluster, ServiceProcess, settings_over
from tests.support.servers import Keeper, MariaDB, RabbitMQ, Redis

ALBUM = Path("examples/album/app.py")
PHOTOS = 60

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def cluster(keeper: Keeper, rabbitmq: RabbitMQ, redis: Redis, mariadb: MariaDB) -> Iterator[Cluster]:
    """The album's cluster."""
    cluster = Cluster(keeper, ALBUM, {**settings_over(rabbitmq, redis, mariadb), "TASKPATH_GRACE": "10"})
    cluster.start()
    yield cluster
    cluster.kill()


async def test_the_album_is_made_and_every_gateway_tells_the_same(cluster: Cluster) -> None:
    async with Client(cluster.gateway[0].url) as one, Client(cluster.gateway[1].url) as other:
        created = await one.create("album", {"album": "Sea", "count": PHOTOS}, execute=True)
        done = await other.wait(created.id, timeout=60)
        assert done.status == "done"
        zipped = await one.result(created.id, "#.zip")
        assert zipped["photos"] == PHOTOS
        assert await other.result(created.id, "#.zip") == zipped
        assert (await one.get(created.id)).revision == done.revision
        assert [item.id for item in (await other.list()).items] == [created.id]


async def test_instances_are_spread_over_schedulers_and_executors(cluster: Cluster) -> None:
    async with Client(cluster.url) as client:
        made = [await client.create("album", {"album": str(n), "count": 5}, execute=True) for n in range(12)]
        ended = await asyncio.gather(*(client.wait(one.id, timeout=60) for one in made))
    assert {one.status for one in ended} == {"done"}
    for scheduler in cluster.scheduler:
        scheduler.wait_until(partial(owns_half, scheduler))
    executors = {
        json.loads(cluster.gateway[0].ask(f"/api/v1/instances/{one.id}/tasks/%23.resize%5B{item}%5D"))[
            "attempts"
        ][0]["executor"]
        for one in made
        for item in range(5)
    }
    assert len(executors) == 2


def owns_half(scheduler: ServiceProcess) -> bool:
    return "taskpath_scheduler_partitions 2.0" in scheduler.ask("/metrics")


def test_health_and_metrics_of_each(cluster: Cluster) -> None:
    for process in cluster:
        assert process.is_alive()
        assert process.is_ready()
        figures = process.ask("/metrics")
        assert f"taskpath_{process.role}_" in figures, process.role
        assert "process_resident_memory_bytes" in figures


async def test_a_drain_gives_back_what_does_not_end_in_time(cluster: Cluster) -> None:
    leaving = cluster.add("executor", {"TASKPATH_GRACE": "0"})
    async with Client(cluster.url) as client:
        created = await client.create("album", {"album": "Drain", "count": 200}, execute=True)
        async for change in client.watch(created.id):
            if isinstance(change, SetTasksStatuses) and "#.resize" in change.statuses:
                break
        leaving.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(leaving.wait_end, 20) == 0, leaving.last_lines()
        assert (await client.wait(created.id, timeout=60)).status == "done"


def test_all_stop_in_order(cluster: Cluster) -> None:
    for role in (cluster.gateway, cluster.executor, cluster.scheduler, cluster.storage):
        for process in role:
            if process.running:
                assert process.stop() == 0, process.last_lines()
