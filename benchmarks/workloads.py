"""What is run where a whole system is measured, and how it is timed through the public client.

The executors of a cluster import this file as their app.

* fan-out: a foreach of n no-op items between two tasks; tasks/s from create to the end.
* chains: 50 instances of 20 tasks in sequence at once.
* step: ms from one task's end to the next one's, in an otherwise idle system.
* latency: ms from sending ``executeTask`` to the packet that says ``ok``.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from taskpath import App, Task
from taskpath.client import Client, SetTasksStatuses

app = App()

CHAINS, LENGTH = 50, 20
STEPS = 100


async def count(data: Any) -> list[int]:
    """The list of a fan-out."""
    return list(range(data["n"]))


async def same(arg: Any) -> Any:
    """A no-op."""
    return arg


@app.workflow("fan")
def fan(data: Any) -> list[Task]:
    """One task, n items, one task."""
    return [Task("list", count), Task("work", same, foreach=True), Task("end", lambda arg: len(arg))]


@app.workflow("chain")
def chain(data: Any) -> list[Task]:
    """Tasks in sequence."""
    return [Task(f"t{number}", same) for number in range(data["n"])]


async def run(client: Client, workflow: str, n: int) -> float:
    """Seconds from the create to the end of an instance."""
    begin = time.perf_counter()
    instance = await client.create(workflow, {"n": n}, execute=True)
    done = await client.wait(instance.id)
    seconds = time.perf_counter() - begin
    if done.status != "done":
        raise RuntimeError(f"{workflow} of {n} is {done.status}")
    return seconds


async def fan_out(client: Client, size: int) -> float:
    """Tasks/s of a fan-out."""
    return (size + 2) / await run(client, "fan", size)


async def chains(client: Client) -> float:
    """Tasks/s of many chains at once."""
    begin = time.perf_counter()
    await asyncio.gather(*[run(client, "chain", LENGTH) for _ in range(CHAINS)])
    return CHAINS * LENGTH / (time.perf_counter() - begin)


async def step(client: Client) -> float:
    """Ms per step of one long chain."""
    return 1000 * await run(client, "chain", STEPS) / STEPS


async def latencies(client: Client, number: int) -> list[float]:
    """Ms from each of so many executes to the packet that says ``ok``; the first tenth is left out."""
    times = []
    instance = await client.create("chain", {"n": 1})
    changes = aiter(client.watch(instance.id, follow=True))
    await anext(changes)
    for attempt in range(1, number + 1):
        begin = time.perf_counter()
        await client.execute(instance.id)
        async for change in changes:
            status = change.statuses.get("#.t0") if isinstance(change, SetTasksStatuses) else None
            if status is not None and status.status == "ok" and status.attempt == attempt:
                break
        times.append(1000 * (time.perf_counter() - begin))
    return times[number // 10 :]
