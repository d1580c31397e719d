"""What is run where a whole system is measured, and how it is timed through the public client.

The executors of a cluster import this file as their app.

* fan-out: a foreach of n no-op items between two tasks; tasks/s from create to the end.
* chains: 50 instances of 20 tasks in sequence at once.
* step: ms from one task's end to the next one's, in an otherwise idle system.
* latency: ms from sending an execute to the packet that says ``ok``, and to the answer, which says that the
  execute is stored.
* again: ms to run one item of a fan-out again, and then what has become stale by that (``mode="stale"``).
* work: seconds for a fan-out of items that each take 20 ms of CPU, in threads or in processes.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from taskpath import App, Task
from taskpath.client import Client, SetTasksStatuses

app = App()

LIMIT_SECONDS: Final = 300.0
CHAINS, LENGTH = 50, 20
STEPS = 100
BUSY_SECONDS: Final = 0.02
BEATS: Final = 20
BEAT_SECONDS: Final = 0.1
CROWDED: Final = 20


async def count(data: Any) -> list[int]:
    """The list of a fan-out."""
    return list(range(data["n"]))


async def same(arg: Any) -> Any:
    """A no-op."""
    return arg


def busy(arg: Any) -> Any:
    """Takes :data:`BUSY_SECONDS` of CPU."""
    end = time.thread_time() + BUSY_SECONDS
    while time.thread_time() < end:
        pass
    return arg


@app.workflow("fan")
def fan(data: Any) -> list[Task]:
    """One task, n items, one task."""
    return [Task("list", count), Task("work", same, foreach=True), Task("end", lambda arg: len(arg))]


@app.workflow("work")
def work(data: Any) -> list[Task]:
    """A list, and n items that take their time."""
    return [Task("list", count), Task("work", busy, foreach=True, process=data.get("process", False))]


async def pause(arg: Any) -> Any:
    """Takes its time, and no CPU."""
    await asyncio.sleep(BEAT_SECONDS / 5)
    return arg


async def beat(arg: Any) -> float:
    """Gives the time at which it ends, in seconds since epoch."""
    await asyncio.sleep(BEAT_SECONDS)
    return time.time()


@app.workflow("pulse")
def pulse(data: Any) -> list[Task]:
    """Beats in sequence, beside n items that take their time."""
    beats = [Task(f"t{number}", beat) for number in range(BEATS)]
    items = [Task("work", pause, foreach=True, max_parallel=CROWDED)] if data["n"] else []
    return [
        Task("list", count),
        Task("all", subtasks=[*items, Task("beats", subtasks=beats, sequential=True)]),
    ]


@app.workflow("chain")
def chain(data: Any) -> list[Task]:
    """Tasks in sequence."""
    return [Task(f"t{number}", same) for number in range(data["n"])]


async def run(client: Client, workflow: str, n: int, **data: Any) -> float:
    """Seconds from the create to the end of an instance."""
    begin = time.perf_counter()
    instance = await client.create(workflow, {"n": n, **data}, execute=True)
    done = await client.wait(instance.id, timeout=LIMIT_SECONDS)
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


async def again(client: Client, id: str, items: int) -> tuple[float, float]:
    """Ms for running one item of a fan-out again, and for what is stale after that: the task behind it."""
    begin = time.perf_counter()
    await client.execute(id, f"#.work[{items // 2}]")
    await client.wait(id, timeout=LIMIT_SECONDS)
    between = time.perf_counter()
    await client.execute(id, mode="stale")
    await client.wait(id, timeout=LIMIT_SECONDS)
    return 1000 * (between - begin), 1000 * (time.perf_counter() - between)


async def latencies(client: Client, number: int) -> tuple[list[float], list[float]]:
    """Ms from each of so many executes to the packet that says ``ok``, and to the answer that it is stored;
    the first tenth is left out."""
    seen, answered = [], []
    instance = await client.create("chain", {"n": 1})
    changes = aiter(client.watch(instance.id, follow=True))
    await anext(changes)

    async def execute() -> float:
        await client.execute(instance.id)
        return time.perf_counter()

    for attempt in range(1, number + 1):
        begin = time.perf_counter()
        executing = asyncio.create_task(execute())
        async for change in changes:
            status = change.statuses.get("#.t0") if isinstance(change, SetTasksStatuses) else None
            if status is not None and status.status == "ok" and status.attempt == attempt:
                break
        seen.append(1000 * (time.perf_counter() - begin))
        answered.append(1000 * (await executing - begin))
    return seen[number // 10 :], answered[number // 10 :]
