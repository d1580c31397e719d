"""``kill -9`` of each service under load, and its return."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.faults.judge import Excuse, judge
from tests.faults.system import System

pytestmark = pytest.mark.timeout(120)

BODIES = 400
"""So many begin before a fault and after it."""


async def test_without_a_fault_nothing_runs_twice(system: System) -> None:
    async with system.load() as load:
        await load.more(BODIES)
        await load.end()
    judge(load)


async def test_a_gateway_is_killed(system: System) -> None:
    victim = system.cluster.gateway[0]
    async with system.load() as load:
        await load.more(BODIES)
        victim.kill()
        await asyncio.to_thread(victim.start)
        await load.more(BODIES)
        await load.end()
    judge(load)


async def test_a_storage_is_killed_and_comes_back(system: System) -> None:
    async with system.load() as load:
        victim = system.cluster.storage[0]
        await load.more(BODIES)
        victim.kill()
        await load.more(BODIES)
        await asyncio.to_thread(victim.start)
        await load.more(BODIES)
        await load.end()
    judge(load)


async def test_a_scheduler_is_killed_and_comes_back(system: System) -> None:
    excuses = []
    async with system.load() as load:
        for victim in system.cluster.scheduler:
            await load.more(BODIES)
            since = time.monotonic()
            victim.kill()
            await load.more(BODIES)
            excuses.append(Excuse(since, time.monotonic()))
            await asyncio.to_thread(victim.start)
        await system.shared()
        await load.end()
    judge(load, *excuses)


async def test_an_executor_is_killed(system: System) -> None:
    victim = system.cluster.executor[0]
    async with system.load() as load:
        await load.more(BODIES)
        pids, since = frozenset({victim.pid}), time.monotonic()
        victim.kill()
        excuse = Excuse(since, time.monotonic(), pids)
        await load.more(BODIES)
        await asyncio.to_thread(victim.start)
        await load.end()
    judge(load, excuse)
