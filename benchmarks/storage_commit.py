"""How fast storage commits: rows/s in groups of 20, 200 and 1,000, beside what the disk and SQLite allow; and
how long one step takes, from the event of a task's end being published until it is safe.

The limit is the text of the same changes, inserted by ``executemany`` into one table in one transaction a
group, with no merging. Both run in turns on the same disk, and the median of the turns counts.

    python -m benchmarks.storage_commit
    python -m benchmarks.storage_commit --step    only the step, over the bus, with nothing else going on
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.measure import percentile
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.clock import SystemClock
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_proto.events import InstanceChanged
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import InstanceChange, InstanceProgress, TaskChange, TaskStatus
from taskpath_proto.values import Inline, Item, Stored
from taskpath_services.storage.records.sqlite import SqliteRecords
from taskpath_services.storage.service import StorageService

SIZES = (20, 200, 1_000)
TURNS = 5
SECONDS_A_TURN = 0.35
STEPS = 600
INSTANCES = 10
TASKS = 10_000
ID = "4b1d9c02f7aa4c0ebd6f8d1c2a51e39"

START = """
    create table tasks (instance text, path text, revision integer, doc text, primary key (instance, path))
    without rowid
"""


def change(index: int, revision: int) -> TaskChange:
    """The final state of a task that did nothing."""
    return TaskChange(
        path=f"#.fan[{index}]",
        status=TaskStatus.OK,
        bound=revision,
        left=revision,
        attempt=1,
        command=(1_700_000_000_000, index),
        execution_time=1_700_000_000_000,
        duration=1,
        executor="executor-1",
        body=Inline(f'{{"id": {index}}}'),
        argument=Item(Stored("#.list", 40_000), index),
    )


class Source:
    """Groups of changes, each of one instance and one revision."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._count = 0
        self._revisions = [1] * INSTANCES

    def next(self) -> InstanceChanged:
        """The next group."""
        number = self._count % INSTANCES
        first = self._count // INSTANCES * self._size
        self._count += 1
        self._revisions[number] += 1
        revision = self._revisions[number]
        progress = InstanceProgress(TASKS, first % TASKS, 0, 1, 0.5)
        return InstanceChanged(
            id=f"{ID}{number}",
            partition=0,
            epoch=1,
            revision=revision,
            base_revision=revision - 1,
            tasks=[change((first + index) % TASKS, revision) for index in range(self._size)],
            instance=InstanceChange(
                progress=progress, counter=revision, updated_at=1_700_000_000_000 + revision
            ),
        )


async def store_turn(store: SqliteRecords, source: Source, groups: int) -> float:
    """Rows/s through the record store."""
    events = [source.next() for _ in range(groups)]
    started = time.perf_counter()
    for event in events:
        await store.commit([event], 1_700_000_000_000)
    return sum(len(event.tasks) for event in events) / (time.perf_counter() - started)


def limit_turn(connection: sqlite3.Connection, source: Source, groups: int) -> float:
    """Rows/s of the same texts by executemany."""
    rows = []
    for _ in range(groups):
        event = source.next()
        texts = [
            (event.id, task.path, event.revision, msgspec.json.encode(task).decode()) for task in event.tasks
        ]
        rows.append(texts)
    started = time.perf_counter()
    for texts in rows:
        connection.execute("begin immediate")
        connection.executemany("insert or replace into tasks values (?, ?, ?, ?)", texts)
        connection.execute("commit")
    return sum(map(len, rows)) / (time.perf_counter() - started)


async def measure(folder: Path, size: int) -> tuple[float, float]:
    """The medians of store and limit."""
    store = SqliteRecords(folder / f"records{size}.sqlite")
    await store.open()
    created = InstanceChange(workflow="w", plan=Plan(tasks=(TaskSpec(name="fan", foreach="list"),)))
    await store.commit(
        [InstanceChanged(f"{ID}{number}", 0, 1, 1, 0, instance=created) for number in range(INSTANCES)], 0
    )
    limit = sqlite3.connect(folder / f"limit{size}.sqlite", isolation_level=None)
    for pragma in (
        "journal_mode = wal",
        "synchronous = full",
        "cache_size = -32768",
        "wal_autocheckpoint = 4000",
    ):
        limit.execute(f"pragma {pragma}")
    limit.execute(START)
    ours, theirs = Source(size), Source(size)
    groups = 3
    while (await store_turn(store, ours, groups)) * SECONDS_A_TURN > groups * size * 1.5:
        groups *= 2
    limit_turn(limit, theirs, groups)
    turns = [(await store_turn(store, ours, groups), limit_turn(limit, theirs, groups)) for _ in range(TURNS)]
    limit.close()
    await store.close()
    return median(turn[0] for turn in turns), median(turn[1] for turn in turns)


async def step(folder: Path) -> None:
    """Publishes the ends of single tasks one after the other, and prints how long each took to be safe."""
    bus = MemoryBus()
    storage = StorageService(bus, SystemClock(), Settings(data=folder))
    await bus.start()
    await storage.start()
    source = Source(1)
    mailbox = topology.storage_mailbox(0)
    created = InstanceChange(workflow="w", plan=Plan(tasks=(TaskSpec(name="fan", foreach="list"),)))
    for number in range(INSTANCES):
        await bus.publish(InstanceChanged(f"{ID}{number}", 0, 1, 1, 0, instance=created), mailbox)
    took: list[float] = []
    for _ in range(STEPS):
        event = source.next()
        started = time.perf_counter()
        await bus.publish(event, mailbox)
        took.append((time.perf_counter() - started) * 1e6)
    await storage.stop()
    await bus.stop()
    took = took[STEPS // 6 :]
    print(f"one step, us: p50 {percentile(took, 0.5):.0f}, p99 {percentile(took, 0.99):.0f}")


async def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        await step(Path(folder))
    if "--step" in sys.argv[1:]:
        return
    print(f"{'group':>6} {'rows/s':>9} {'us/row':>7} {'limit, rows/s':>14} {'us/row':>7} {'share':>6}")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        for size in SIZES:
            rate, limit = await measure(Path(folder), size)
            print(
                f"{size:>6,} {rate:>9,.0f} {1e6 / rate:>7.1f} {limit:>14,.0f} {1e6 / limit:>7.1f}"
                f" {rate / limit:>6.0%}"
            )


if __name__ == "__main__":
    asyncio.run(main())
