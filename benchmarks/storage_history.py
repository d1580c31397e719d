"""What it costs storage to learn how long tasks take: with and without, in turns, through the whole service.

CPU is that of this process, with the threads of SQLite. Below that: what is done for each task alone, how
long it takes to bring what was gathered into the index, and to read what is expected of a workflow.

    python -m benchmarks.storage_history [mysql]
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import load, median, spread, table
from benchmarks.storage_commit import ID, INSTANCES, Source
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.clock import SystemClock
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_proto.events import InstanceChanged
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import InstanceChange
from taskpath_services.storage.history.learning import Learning
from taskpath_services.storage.history.times import Times
from taskpath_services.storage.index.contract import InstanceIndex, Kind
from taskpath_services.storage.index.mysql.address import Address
from taskpath_services.storage.index.mysql.index import MysqlIndex
from taskpath_services.storage.index.sqlite import SqliteIndex
from taskpath_services.storage.records.contract import Outcome
from taskpath_services.storage.service import StorageService
from tests.support.servers import Keeper, MariaDB

SIZES = (1, 20, 500)
TURNS = 9
SECONDS_A_TURN = 0.6
REPEATS = 40


def _see_nothing(batch: object, outcomes: object) -> None:
    """Learns nothing."""


class Place:
    """Storage, with or without history."""

    def __init__(self, folder: Path, size: int, *, learns: bool) -> None:
        self.source = Source(size)
        self.size = size
        self.bus = MemoryBus()
        self.storage = StorageService(self.bus, SystemClock(), Settings(data=folder))
        if not learns:
            self.storage._commits._learning.see = _see_nothing  # type: ignore[method-assign]  # no setting does that

    async def start(self) -> None:
        """Starts it, with a few instances."""
        await self.bus.start()
        await self.storage.start()
        created = InstanceChange(workflow="w", plan=Plan(tasks=(TaskSpec(name="fan", foreach="list"),)))
        for number in range(INSTANCES):
            await self._publish(InstanceChanged(f"{ID}{number}", 0, 1, 1, 0, instance=created))

    async def stop(self) -> None:
        """Stops it."""
        await self.storage.stop()
        await self.bus.stop()

    async def _publish(self, event: InstanceChanged) -> None:
        await self.bus.publish(event, topology.storage_mailbox(0))

    async def turn(self, groups: int) -> tuple[float, float]:
        """Tasks/s, and CPU in us for each."""
        events = [self.source.next() for _ in range(groups)]
        cpu, began = time.process_time(), time.perf_counter()
        for start in range(0, groups, 4):
            await asyncio.gather(*map(self._publish, events[start : start + 4]))
        tasks = groups * self.size
        return tasks / (time.perf_counter() - began), (time.process_time() - cpu) / tasks * 1e6


async def through(folder: Path) -> list[list[str]]:
    """The whole service, with and without."""
    rows = []
    for size in SIZES:
        places = [Place(folder / f"{size}{learns}", size, learns=learns) for learns in (False, True)]
        for place in places:
            await place.start()
        rate, _ = await places[0].turn(40)
        await places[1].turn(40)
        groups = max(8, round(rate * SECONDS_A_TURN / size))
        found: list[list[tuple[float, float]]] = [[], []]
        for turn in range(TURNS):
            for which in (0, 1) if turn % 2 else (1, 0):
                found[which].append(await places[which].turn(groups))
        for place in places:
            await place.stop()
        figures = [[value for value, _ in some] for some in found]
        cpu = [[value for _, value in some] for some in found]
        rows.append(
            [
                f"{size}",
                *map(spread, figures),
                *(spread(some, 1) for some in cpu),
                f"{median(cpu[1]) - median(cpu[0]):+.1f}",
            ]
        )
    return rows


def alone(folder: Path) -> list[list[str]]:
    """What is done for each task, without anything else: us."""
    rows = []
    for size in SIZES:
        learning = Learning(SqliteIndex(folder / "none.sqlite"), SystemClock())
        learning._remember(f"{ID}0", ("default", "w"))
        source = Source(size)
        took = []
        for _ in range(TURNS):
            events = [source.next() for _ in range(2_000 // size or 1)]
            for event in events:
                event.id = f"{ID}0"
            began = time.perf_counter()
            for event in events:
                learning.see([event], [Outcome.APPLIED])
            took.append((time.perf_counter() - began) / (len(events) * size) * 1e6)
        rows.append([f"{size}", spread(took, 2)])
    return rows


async def kept(index: InstanceIndex, name: str) -> list[list[str]]:
    """How long it takes to bring durations of so many paths in, and to read them: ms."""
    rows = []
    for count in (1, 50, 1_000):
        seen: dict[Kind, Times] = {}
        for number in range(count):
            times = seen[Kind("default", f"w{count}", f"#.import.step{number}[*]")] = Times()
            for duration in (90, 110, 250):
                times.add(duration)
        learn = await _took(partial(index.learn, seen, 1))
        read = await _took(partial(index.times, "default", f"w{count}"))
        rows.append([name, f"{count:,}", spread(learn, 2), spread(read, 2)])
    return rows


async def _took(work: Callable[[], Awaitable[object]]) -> list[float]:
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        await work()
        took.append((time.perf_counter() - began) * 1000)
    return took


async def main() -> None:
    """Measures and prints."""
    with tempfile.TemporaryDirectory(dir=".") as name, Keeper() as keeper:
        folder = Path(name)
        heads = ("tasks an event", "without: tasks/s", "with", "without: CPU us/task", "with", "more")
        table(f"Through storage in SQLite, {TURNS} turns each ({load()})", heads, await through(folder))
        table("Looking at what was committed, us/task", ("tasks an event", "us"), alone(folder))
        index: InstanceIndex = SqliteIndex(folder / "kept.sqlite")
        await index.open()
        rows = await kept(index, "SQLite")
        await index.close()
        if "mysql" in sys.argv[1:]:
            mariadb = MariaDB(keeper)
            mariadb.start()
            index = MysqlIndex(Address.of(mariadb.new_database()))
            await index.migrate()
            await index.open()
            rows += await kept(index, "MariaDB")
            await index.close()
        table("Durations of so many paths, ms", ("index", "paths", "brought in", "read"), rows)


if __name__ == "__main__":
    asyncio.run(main())
