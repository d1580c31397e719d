"""The embedded system, end to end: no-op tasks through all four services in one process.

Every change is committed to SQLite before what follows from it is let out. The load comes from the same
process, over HTTP and the WebSocket, so that two cores carry everything. What is run is in workloads.py;
besides, *memory* is what the process grows by for each task of a foreach of 100,000.

    python -m benchmarks embedded [--uvloop] [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from benchmarks import workloads
from benchmarks.measure import percentile, resident, spread, table
from taskpath.client import Client
from taskpath.runtime.settings import Settings
from taskpath_services.cli.serving import collect_seldom
from taskpath_services.embedded import Embedded


@asynccontextmanager
async def system() -> AsyncIterator[Client]:
    """The embedded system with a client of it."""
    with tempfile.TemporaryDirectory(prefix="taskpath-bench-") as folder:
        settings = Settings.read({}, data=Path(folder), port=0)
        async with Embedded(workloads.app, settings) as embedded, Client(embedded.url) as client:
            await workloads.run(client, "fan", 200)
            yield client


async def fan_out(sizes: list[int], repeats: int) -> None:
    """Tasks/s by size, sizes interleaved."""
    rates: dict[int, list[float]] = {size: [] for size in sizes}
    async with system() as client:
        for _ in range(repeats):
            for size in sizes:
                rates[size].append(await workloads.fan_out(client, size))
    table("fan-out, tasks/s", ["items", "tasks/s"], [[f"{n:,}", spread(rates[n])] for n in sizes])


async def chains(repeats: int) -> None:
    """Tasks/s of many chains at once."""
    async with system() as client:
        rates = [await workloads.chains(client) for _ in range(repeats)]
    table("50 chains of 20 at once, tasks/s", ["tasks/s"], [[spread(rates)]])


async def one_chain(repeats: int) -> None:
    """Ms per step of one chain of 100."""
    async with system() as client:
        steps = [await workloads.step(client) for _ in range(repeats)]
    table("one chain of 100, ms per step", ["ms"], [[spread(steps, 2)]])


async def latency(number: int) -> None:
    """Ms from an execute to its ``ok`` packet, and to its answer."""
    async with system() as client:
        seen, answered = await workloads.latencies(client, number)
    rows = [
        [name, f"{percentile(times, 0.5):.2f}", f"{percentile(times, 0.99):.2f}", str(len(times))]
        for name, times in (("ok packet", seen), ("answer", answered))
    ]
    table("execute → …, ms", ["", "p50", "p99", "n"], rows)


async def again(sizes: list[int], repeats: int) -> None:
    """Ms to run a part again, by the size of the tree."""
    times: dict[int, list[tuple[float, float]]] = {}
    async with system() as client:
        ids = {}
        for size in sizes:
            made = await client.create("fan", {"n": size}, execute=True)
            await client.wait(made.id, timeout=workloads.LIMIT_SECONDS)
            ids[size] = made.id
        for round_ in range(repeats + 1):
            for size, id in ids.items():
                taken = await workloads.again(client, id, size)
                if round_:  # the first time reads the instance anew
                    times.setdefault(size, []).append(taken)
    rows = [[f"{n:,}", *(spread(list(column), 2) for column in zip(*times[n], strict=True))] for n in sizes]
    table("run again, ms", ["items", "one item", "what is stale then"], rows)


async def memory(size: int) -> None:
    """Bytes of the whole process per task."""
    async with system() as client:
        gc.collect()
        before = resident(os.getpid())
        await workloads.run(client, "fan", size)
        gc.collect()
        grown = (resident(os.getpid()) - before) / size
    table(f"memory at {size:,} tasks, bytes per task, whole process", ["bytes"], [[f"{grown:,.0f}"]])


async def main(quick: bool) -> None:
    """Measures everything."""
    collect_seldom()  # as a command does that serves
    await fan_out([200, 2_000, 10_000] if quick else [200, 2_000, 10_000, 100_000], 1 if quick else 3)
    await chains(1 if quick else 5)
    await one_chain(1 if quick else 5)
    await latency(100 if quick else 1_000)
    await again([100, 1_000, 10_000] if quick else [100, 1_000, 10_000, 100_000], 3 if quick else 20)
    await memory(10_000 if quick else 100_000)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller and fewer runs")
    parser.add_argument("--uvloop", action="store_true", help="on uvloop, as `taskpath up` runs")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if arguments.uvloop else None) as runner:
        runner.run(main(arguments.quick))
