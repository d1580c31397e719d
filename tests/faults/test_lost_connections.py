"""Connections to the broker that are cut or swallow everything, and an owner that stalls."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence

import pytest

from taskpath.client import Instance
from taskpath.runtime.buses.rabbitmq import RabbitBus
from taskpath_proto import topology
from taskpath_proto.events import InstanceChanged
from taskpath_proto.records import InstanceChange, InstanceStatus, TaskChange, TaskStatus
from tests.faults.judge import Excuse, judge
from tests.faults.system import PARTITIONS, System

pytestmark = pytest.mark.timeout(120)

BODIES = 300


@pytest.mark.parametrize("roles", [("gateway", "storage"), ("scheduler", "executor")], ids="-".join)
async def test_connections_are_cut(system: System, roles: Sequence[str]) -> None:
    excuses = []
    async with system.load() as load:
        for role in roles:
            await load.more(BODIES)
            since = time.monotonic()
            system.lines[role].cut()
            await load.more(BODIES)
            if role in ("scheduler", "executor"):
                # What they had in hand when they lost the broker may run again.
                excuses.append(Excuse(since, time.monotonic()))
        await load.end()
    judge(load, *excuses)


async def test_connections_swallow_everything(system: System) -> None:
    """As when a cable is pulled: nobody is told, and what was on its way never arrives."""
    silent = [system.lines[role] for role in ("storage", "scheduler", "executor")]
    async with system.load(may_lose=True) as load:
        await system.shared()
        await load.more(BODIES)
        since = time.monotonic()
        for line in silent:
            line.stall()
        await system.owns(system.of("scheduler")[1], PARTITIONS)
        await load.more(BODIES)
        for line in silent:
            line.cut()
        await load.more(BODIES)
        excuse = Excuse(since, time.monotonic())
        await load.end()
    judge(load, excuse)


async def test_an_owner_stalls_and_comes_back(system: System) -> None:
    stalled, other = system.of("scheduler")
    async with system.load(may_lose=True) as load:
        await system.shared()
        await load.more(BODIES)
        since = time.monotonic()
        stalled.send_signal(signal.SIGSTOP)
        try:
            await system.owns(other, PARTITIONS)
        finally:
            stalled.send_signal(signal.SIGCONT)
        await load.more(BODIES)
        await system.shared()
        await load.end()
    judge(load, Excuse(since, time.monotonic()))


async def test_what_a_former_owner_says_is_refused(system: System) -> None:
    """As one does that has not noticed yet: it has a connection, and the epoch of before."""
    async with system.load() as load:
        ended = await load.ended("chain")
        await load.end()
    seen = ended.seen
    assert seen is not None
    partition = topology.partition_of(ended.id, PARTITIONS)
    late = InstanceChanged(
        ended.id,
        partition,
        epoch=1,
        revision=seen.revision + 1,
        base_revision=seen.revision,
        tasks=[TaskChange(path="#.step19", status=TaskStatus.FAILED)],
        instance=InstanceChange(status=InstanceStatus.FAILED),
    )
    bus = RabbitBus(system.cluster.settings["TASKPATH_BROKER"], name="former", partitions=PARTITIONS)
    await bus.start()
    try:
        refused = system.counted("storage", REFUSED)
        with_watchers = topology.instance_key(ended.id)
        await bus.publish(late, topology.storage_mailbox(partition), with_watchers)
        await system.until(lambda: system.counted("storage", REFUSED) == refused + 1)
    finally:
        await bus.stop()
    async with system.load() as load:
        again = await load.client.get(ended.id)
        # Its revision may have gone on: that its handler has been called is written down after its end.
        assert (again.status, stands(again)) == (seen.status, stands(seen))
        await load.end()
    judge(load)


def stands(instance: Instance) -> dict[str, tuple[str, int | None, int | None]]:
    """How its tasks stand, by what is recorded of them."""
    return {path: (state.status, state.attempt, state.duration) for path, state in instance.statuses.items()}


REFUSED = 'taskpath_storage_events_total{outcome="refused"}'
