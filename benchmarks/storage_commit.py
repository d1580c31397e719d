"""How fast storage commits task records: in groups of 1, 20 and 500, into each store, beside what its server
takes of the same bytes; and how long one step takes, from the publication of a task's end until it is safe.

The limit of SQLite is the text of the same changes, inserted by ``executemany`` into one table in one
transaction a group, with no merging; that of Redis is one HSET a task, packed beforehand and sent in one
pipeline a group. The server in the place of DynamoDB is a Python program: its figures say nothing of
DynamoDB. Store and limit run in turns, and the median of the turns counts. CPU is that of this process.

    python -m benchmarks.storage_commit [sqlite] [redis] [dynamodb]
    python -m benchmarks.storage_commit --step    only the step, over the bus, with nothing else going on
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import msgspec
import redis.asyncio as redis_client

from benchmarks.measure import percentile
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.clock import SystemClock
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_proto.events import InstanceChanged
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import InstanceChange, InstanceProgress, TaskChange, TaskStatus
from taskpath_proto.values import Inline, Item, Stored
from taskpath_services.storage.records.contract import RecordStore
from taskpath_services.storage.records.fields import task_fields
from taskpath_services.storage.service import StorageService
from taskpath_services.storage.stores import records_of
from tests.support.servers.dynamodb import CREDENTIALS, DynamoDB
from tests.support.servers.keeper import Keeper
from tests.support.servers.redis import Redis

SIZES = (1, 20, 500)
TURNS = 5
SECONDS_A_TURN = 0.35
STORES = ("sqlite", "redis", "dynamodb")
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


async def store_turn(store: RecordStore, source: Source, groups: int) -> tuple[float, list[float]]:
    """Rows/s through the record store, and the seconds that each commit took."""
    events = [source.next() for _ in range(groups)]
    took: list[float] = []
    for event in events:
        started = time.perf_counter()
        await store.commit([event], 1_700_000_000_000)
        took.append(time.perf_counter() - started)
    return sum(len(event.tasks) for event in events) / sum(took), took


class SqliteLimit:
    """The same texts by executemany."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in (
            "journal_mode = wal",
            "synchronous = full",
            "cache_size = -32768",
            "wal_autocheckpoint = 4000",
        ):
            self._connection.execute(f"pragma {pragma}")
        self._connection.execute(START)

    async def turn(self, source: Source, groups: int) -> float:
        """Rows/s."""
        rows = []
        for _ in range(groups):
            event = source.next()
            rows.append(
                [
                    (event.id, task.path, event.revision, msgspec.json.encode(task).decode())
                    for task in event.tasks
                ]
            )
        started = time.perf_counter()
        for texts in rows:
            self._connection.execute("begin immediate")
            self._connection.executemany("insert or replace into tasks values (?, ?, ?, ?)", texts)
            self._connection.execute("commit")
        return sum(map(len, rows)) / (time.perf_counter() - started)

    async def close(self) -> None:
        """Closes the file."""
        self._connection.close()


class RedisLimit:
    """The same fields by pipelines that were packed beforehand."""

    def __init__(self, url: str) -> None:
        self._pool = redis_client.ConnectionPool.from_url(url)

    async def turn(self, source: Source, groups: int) -> float:
        """Rows/s."""
        connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py
        packed = []
        for _ in range(groups):
            event = source.next()
            commands = [
                ("HSET", f"limit_{event.id}_{task.path}", "revision", event.revision, *task_fields(task)[0])
                for task in event.tasks
            ]
            packed.append((connection.pack_commands(commands), len(commands)))
        started = time.perf_counter()
        for commands, count in packed:
            await connection.send_packed_command(commands)
            for _ in range(count):
                await connection.read_response()
        took = time.perf_counter() - started
        await self._pool.release(connection)
        return sum(count for _, count in packed) / took

    async def close(self) -> None:
        """Disconnects."""
        await self._pool.aclose()


Limit = SqliteLimit | RedisLimit | None


class Measured(msgspec.Struct):
    """The medians: rows/s of the store, seconds a commit takes, CPU seconds a row, rows/s of the limit."""

    rate: float
    took: float
    cpu: float
    limit: float | None


async def measure(place: str, limit: Limit, size: int) -> Measured:
    """Measures a store."""
    store = records_of(Settings(records=place))
    await store.open()
    created = InstanceChange(workflow="w", plan=Plan(tasks=(TaskSpec(name="fan", foreach="list"),)))
    await store.commit(
        [InstanceChanged(f"{ID}{number}", 0, 1, 1, 0, instance=created) for number in range(INSTANCES)], 0
    )
    ours, theirs = Source(size), Source(size)
    groups = 3
    while (await store_turn(store, ours, groups))[0] * SECONDS_A_TURN > groups * size * 1.5:
        groups *= 2
    if limit is not None:
        await limit.turn(theirs, groups)
    rates, took, cpu, limits = [], [], [], []
    for _ in range(TURNS):
        begun = time.process_time()
        rate, seconds = await store_turn(store, ours, groups)
        rates.append(rate)
        took += seconds
        cpu.append((time.process_time() - begun) / (groups * size))
        if limit is not None:
            limits.append(await limit.turn(theirs, groups))
    await store.close()
    if limit is not None:
        await limit.close()
    return Measured(median(rates), median(took), median(cpu), median(limits) if limits else None)


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
    wanted = [name for name in STORES if name in sys.argv[1:]] or STORES
    heads = ("rows/s", "p50 ms", "CPU us/row", "limit, rows/s", "share")
    print(f"{'store':<16} {'group':>6}" + "".join(f"{head:>14}" for head in heads))
    with tempfile.TemporaryDirectory(dir=".") as folder, Keeper() as keeper:
        if "sqlite" in wanted:
            for size in SIZES:
                file = Path(folder) / f"records{size}.sqlite"
                limit = SqliteLimit(Path(folder) / f"limit{size}.sqlite")
                show("sqlite", size, await measure(f"sqlite:///{file}", limit, size))
        for appendfsync in ("everysec", "always") if "redis" in wanted else ():
            server = Redis(keeper, appendfsync=appendfsync)
            server.start()
            for size in SIZES:
                place = server.new_database()
                show(f"redis {appendfsync}", size, await measure(place, RedisLimit(place), size))
        if "dynamodb" in wanted:
            os.environ.update(CREDENTIALS)
            tables = DynamoDB(keeper)
            tables.start()
            for size in SIZES[:2]:
                show("dynamodb (moto)", size, await measure(tables.new_table(), None, size))


def show(store: str, size: int, measured: Measured) -> None:
    """Prints a row."""
    columns = [f"{measured.rate:,.0f}", f"{measured.took * 1e3:.2f}", f"{measured.cpu * 1e6:.1f}"]
    if measured.limit is not None:
        columns += [f"{measured.limit:,.0f}", f"{measured.rate / measured.limit:.0%}"]
    print(f"{store:<16} {size:>6,}" + "".join(f"{column:>14}" for column in columns), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
