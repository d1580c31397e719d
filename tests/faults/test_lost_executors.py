"""Executors that end in the middle of a task, and a task that ends them."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.faults.system import System, shown
from tests.support.cluster import ServiceProcess

pytestmark = pytest.mark.timeout(180)

LOSSES = 3
"""After so many executors that it has ended alone a task is given up."""

END = 120.0


async def test_a_task_whose_executor_is_killed_runs_on_another(system: System) -> None:
    journal = system.journal
    async with system.load() as load:
        made = await load.client.create("gated", {"items": 3}, execute=True)
        await asyncio.to_thread(journal.until, lambda calls: any(call.instance == made.id for call in calls))
        # What was reported as begun is leased to the executor: nobody redelivers it.
        await system.until(lambda: shown(system, made.id) == ["running", "inactive"])
        (first,) = journal.calls(made.id)
        victim = next(executor for executor in system.cluster.executor if executor.pid == first.pid)
        victim.kill()
        await asyncio.to_thread(
            journal.until,
            lambda calls: any(call.instance == made.id and call.pid != first.pid for call in calls),
        )
        journal.open(made.id)
        ended = await load.client.wait(made.id, timeout=END)
        details = await load.client.task(made.id, "#.gate")
        assert await load.client.result(made.id, "#.after") == [0, 1, 2]
    assert ended.status == "done"
    assert [(one.attempt, str(one.status)) for one in details.attempts] == [(1, "lost"), (2, "ok")]
    assert [call.attempt for call in journal.calls(made.id) if call.path == "#.gate"] == [1, 2]


async def test_a_task_that_ends_its_executors_is_given_up_and_its_neighbours_are_not(system: System) -> None:
    items = ["a", "b", "poison", *"cdefghij"]
    async with system.load() as load, executors_restarted(system) as ends:
        made = await load.client.create("poisoned", {"items": items}, execute=True)
        ended = await load.client.wait(made.id, timeout=END)
        await load.end()
    assert ended.status == "failed"
    bad = ended.statuses["#.item[2]"]
    assert bad.error is not None
    assert (bad.error.code, bad.error.type) == ("EXECUTION_FAILED", "ExecutorLost")
    assert f"{LOSSES} executors have ended while they ran nothing but it" in bad.error.message
    others = {path: str(s.status) for path, s in ended.statuses.items() if path.startswith("#.item[")}
    del others["#.item[2]"]
    assert set(others.values()) == {"ok"}
    ran = Counter(call.path for call in system.journal.calls(made.id))
    # It may not be alone the first time, nor while a generator or handler of the load runs beside it.
    assert LOSSES <= ran["#.item[2]"] == len(ends) <= 3 * LOSSES


@asynccontextmanager
async def executors_restarted(system: System) -> AsyncIterator[list[int]]:
    """Starts executors again that end, as an operator's machine does; notes their exit codes."""
    ends: list[int] = []

    async def restart(executor: ServiceProcess) -> None:
        while True:
            await ended(executor.pid)
            ends.append(await asyncio.to_thread(executor.wait_end, 1))
            await asyncio.to_thread(executor.start)

    restarting = [
        asyncio.create_task(restart(executor), name=f"restarts {executor.name}")
        for executor in system.cluster.executor
    ]
    try:
        yield ends
    finally:
        for each in restarting:
            each.cancel()
        await asyncio.wait(restarting)


async def ended(pid: int) -> None:
    """Returns when a process of ours has ended."""
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, end.set)
    try:
        await end.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
