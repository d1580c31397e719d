"""SIGTERM under load: each service ends in order within its grace period, and nothing runs twice."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.faults.judge import judge
from tests.faults.system import CONCURRENCY, GRACE, System

pytestmark = pytest.mark.timeout(120)

BODIES = 300
ITEMS = 3 * CONCURRENCY


@pytest.mark.parametrize("role", ["gateway", "storage", "scheduler", "executor"])
async def test_a_service_is_drained(system: System, role: str) -> None:
    leaving = system.of(role)[1]
    async with system.load() as load:
        await load.more(BODIES)
        leaving.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(leaving.wait_end, GRACE + 5) == 0, leaving.last_lines()
        if role != "gateway":
            await load.more(BODIES)
        await asyncio.to_thread(leaving.start)
        await load.more(BODIES)
        await load.end()
    judge(load)


async def test_what_runs_ends_and_what_waits_is_done_elsewhere(system: System) -> None:
    leaving, staying = system.of("executor")
    async with system.load() as load:
        await load.end()
        gates = await load.client.create("gates", {"items": ITEMS}, execute=True)
        journal = system.journal

        def begun(pid: int) -> int:
            return sum(call.pid == pid and call.path != "#.list" for call in journal.calls(gates.id))

        await asyncio.to_thread(
            journal.until, lambda _: begun(leaving.pid) == begun(staying.pid) == CONCURRENCY
        )
        pid = leaving.pid
        leaving.send_signal(signal.SIGTERM)
        await system.until(lambda: '"leaving"' in system.cluster.gateway[1].ask("/api/v1/executors"))
        journal.open(gates.id)
        assert await asyncio.to_thread(leaving.wait_end, GRACE + 5) == 0, leaving.last_lines()
        ended = await load.client.wait(gates.id, timeout=GRACE)
        await asyncio.to_thread(leaving.start)
    assert ended.status == "done"
    calls = [call for call in journal.calls(gates.id) if call.path.startswith("#.gate[")]
    assert len({call.path for call in calls}) == len(calls) == ITEMS
    assert sum(call.pid == pid for call in calls) == CONCURRENCY
    assert {state.attempt for path, state in ended.statuses.items() if path != "#.gate"} == {1}
