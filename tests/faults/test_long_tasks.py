"""Tasks that take longer than the broker lets a delivery be unacknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from taskpath.client import Client
from tests.faults.conftest import APP
from tests.faults.journal import Journal
from tests.faults.system import SETTINGS
from tests.support.cluster import Cluster, settings_over
from tests.support.rabbit import channel_to
from tests.support.servers import Keeper, MariaDB, RabbitMQ, Redis

TIMEOUT = 1.0
"""Seconds. A stock broker has half an hour."""

HELD = 2
"""Deliveries that somebody else holds for too long, one after the other."""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def impatient(keeper: Keeper) -> Iterator[RabbitMQ]:
    """A broker that soon closes the channel of whoever holds a delivery."""
    broker = RabbitMQ(keeper, consumer_timeout=TIMEOUT)
    broker.start()
    yield broker
    broker.kill()


async def test_a_task_longer_than_the_brokers_patience_runs_once(
    keeper: Keeper, journal: Journal, impatient: RabbitMQ, redis: Redis, mariadb: MariaDB
) -> None:
    settings = {
        **settings_over(impatient, redis, mariadb),
        **SETTINGS,
        "TASKPATH_CONCURRENCY": "4",
        "TEST_JOURNAL": journal.address,
    }
    cluster = Cluster(keeper, APP, settings, {"storage": 1, "scheduler": 1, "gateway": 1, "executor": 2})
    await asyncio.to_thread(cluster.start)
    try:
        async with Client(cluster.url) as client:
            made = await client.create("gates", {"items": 20}, execute=True)
            await asyncio.to_thread(
                journal.until, lambda calls: sum(call.instance == made.id for call in calls) == 1 + 8
            )
            # Eight run, twelve wait; meanwhile somebody who holds a delivery loses it.
            await asyncio.to_thread(_hold_until_it_is_taken_away, impatient)
            journal.open(made.id)
            ended = await client.wait(made.id, timeout=30)
    finally:
        cluster.kill()
    assert ended.status == "done"
    assert len(journal.calls(made.id)) == 21
    assert {state.attempt for path, state in ended.statuses.items() if path != "#.gate"} == {1}
    impatient.stop()  # which writes its log to the end
    said = "".join(path.read_text(errors="replace") for path in impatient.logs())
    assert said.count("has timed out waiting for delivery acknowledgement") == HELD


def _hold_until_it_is_taken_away(broker: RabbitMQ) -> None:
    asyncio.run(_hold(broker))


async def _hold(broker: RabbitMQ) -> None:
    """Returns when the broker has lost patience with those who do not acknowledge."""
    for _ in range(HELD):
        taken_away = asyncio.Event()

        def closed(_: object, taken_away: asyncio.Event = taken_away) -> None:
            taken_away.set()

        async with channel_to(broker.url) as channel:
            queue = (await channel.queue_declare(exclusive=True)).queue
            assert queue is not None
            await channel.basic_publish(b"held", routing_key=queue)
            channel.closing.add_done_callback(closed)
            await channel.basic_consume(queue, _keep)
            await taken_away.wait()


async def _keep(_message: object) -> None:
    """Does not acknowledge."""
