"""The embedded system, end to end: no-op tasks through all four services in one process.

Every change is committed to SQLite before what follows from it is let out. The load comes from the same
process, over HTTP and the WebSocket, so that two cores carry everything.

* fan-out: a foreach of n no-op items between two tasks; tasks/s from create to the ``done`` packet.
* chains: 50 instances of 20 tasks in sequence at once.
* one chain: ms from one task's end to the next one's, in an otherwise idle system.
* latency: ms from sending ``executeTask`` to the packet that says ``ok``.
* memory: bytes of the process per task of a foreach of 100,000.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.measure import median, percentile, spread, table
from taskpath import App, Task
from taskpath.client import Client, SetTasksStatuses
from taskpath.runtime.settings import Settings
from taskpath_services.embedded import Embedded

app = App()


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


@asynccontextmanager
async def system() -> AsyncIterator[Client]:
    """The embedded system with a client of it."""
    with tempfile.TemporaryDirectory(prefix="taskpath-bench-") as folder:
        settings = Settings.read({}, data=Path(folder), port=0)
        async with Embedded(app, settings) as embedded, Client(embedded.url) as client:
            yield client


async def run(client: Client, workflow: str, n: int) -> float:
    """Seconds from the create to the end of an instance."""
    begin = time.perf_counter()
    instance = await client.create(workflow, {"n": n}, execute=True)
    done = await client.wait(instance.id)
    seconds = time.perf_counter() - begin
    if done.status != "done":
        raise RuntimeError(f"{workflow} of {n} is {done.status}")
    return seconds


def resident() -> int:
    """The resident memory of this process, in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def fan_out(sizes: list[int], repeats: int) -> dict[int, float]:
    """Tasks/s by size, sizes interleaved."""
    rates: dict[int, list[float]] = {size: [] for size in sizes}
    async with system() as client:
        await run(client, "fan", 200)
        for _ in range(repeats):
            for size in sizes:
                rates[size].append((size + 2) / await run(client, "fan", size))
    table("fan-out, tasks/s", ["items", "tasks/s"], [[f"{n:,}", spread(rates[n])] for n in sizes])
    return {size: median(values) for size, values in rates.items()}


async def chains(repeats: int) -> float:
    """Tasks/s of 50 chains of 20 at once."""
    rates = []
    async with system() as client:
        await run(client, "chain", 20)
        for _ in range(repeats):
            begin = time.perf_counter()
            await asyncio.gather(*[run(client, "chain", 20) for _ in range(50)])
            rates.append(1000 / (time.perf_counter() - begin))
    table("50 chains of 20 at once, tasks/s", ["tasks/s"], [[spread(rates)]])
    return median(rates)


async def one_chain(repeats: int) -> float:
    """Ms per step of one chain of 100."""
    steps = []
    async with system() as client:
        await run(client, "chain", 20)
        for _ in range(repeats):
            steps.append(1000 * await run(client, "chain", 100) / 100)
    table("one chain of 100, ms per step", ["ms"], [[spread(steps, 2)]])
    return median(steps)


async def latency(number: int) -> tuple[float, float]:
    """P50 and p99 of the time from an execute to its ``ok`` packet, in ms."""
    times = []
    async with system() as client:
        instance = await client.create("chain", {"n": 1})
        watch = client.watch(instance.id, follow=True)
        changes = aiter(watch)
        await anext(changes)
        for attempt in range(1, number + 1):
            begin = time.perf_counter()
            await client.execute(instance.id)
            async for change in changes:
                status = change.statuses.get("#.t0") if isinstance(change, SetTasksStatuses) else None
                if status is not None and status.status == "ok" and status.attempt == attempt:
                    break
            times.append(1000 * (time.perf_counter() - begin))
    times = times[len(times) // 10 :]
    p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
    table("execute → ok packet, ms", ["p50", "p99", "n"], [[f"{p50:.2f}", f"{p99:.2f}", str(len(times))]])
    return p50, p99


async def memory(size: int) -> float:
    """Bytes of the whole process per task."""
    async with system() as client:
        await run(client, "fan", 200)
        gc.collect()
        before = resident()
        await run(client, "fan", size)
        gc.collect()
        grown = (resident() - before) / size
    table(f"memory at {size:,} tasks, bytes per task, whole process", ["bytes"], [[f"{grown:,.0f}"]])
    return grown


async def main(quick: bool) -> None:
    """Measures everything."""
    sizes = [200, 2_000, 10_000] if quick else [200, 2_000, 10_000, 100_000]
    rates = await fan_out(sizes, 1 if quick else 3)
    cost = rates[2_000] / rates[sizes[-1]]
    table("cost per task, relative to 2,000 items", ["items", "ratio"], [[f"{sizes[-1]:,}", f"{cost:.2f}"]])
    await chains(1 if quick else 5)
    await one_chain(1 if quick else 5)
    await latency(100 if quick else 1_000)
    await memory(10_000 if quick else 100_000)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller and fewer runs")
    parser.add_argument("--uvloop", action="store_true", help="on uvloop, as `taskpath up` runs")
    arguments = parser.parse_args()
    if arguments.uvloop:
        import uvloop

        uvloop.run(main(arguments.quick))
    else:
        asyncio.run(main(arguments.quick))
