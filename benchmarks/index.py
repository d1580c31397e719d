"""How fast the index in MariaDB or MySQL follows, and how fast it is read.

Rows/s of ``apply`` in groups, beside asyncmy's bare ``executemany`` into a table with the same keys, in turn,
and how long a page takes at 100,000 instances, the first and one far down. With TASKPATH_INDEX it measures
that database, which has to be empty; without, a private server of the tests.

    python -m benchmarks.index
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Sequence

from asyncmy import Connection

from benchmarks.measure import median, percentile, spread, table
from taskpath_proto.queries import ListInstances
from taskpath_proto.records import InstanceChange, InstanceProgress, InstanceStatus
from taskpath_services.storage.index.contract import IndexChange
from taskpath_services.storage.index.merging import Merge
from taskpath_services.storage.index.mysql import statements
from taskpath_services.storage.index.mysql.address import Address
from taskpath_services.storage.index.mysql.index import MysqlIndex
from taskpath_services.storage.index.mysql.server import Server, execute
from tests.support.servers import Keeper, MariaDB

GROUPS = (100, 1_000, 2_000)
TURNS = 5
ROWS_A_TURN = 4_000
ROWS = 100_000
READS = 60
NOW = 1_700_000_000_000
BARE = statements.INSERT.replace("taskpath_instances", "bare_instances")

chance = random.Random(1)


def created(number: int) -> IndexChange:
    """An instance that begins; one in twenty is of another realm."""
    change = InstanceChange(
        realm="other" if number % 20 == 0 else "default",
        workflow=f"workflow-{number % 7}",
        name=f"Album {number}",
        status=InstanceStatus.WORKING,
        progress=InstanceProgress(100, 40, 0, 3, 0.4),
        created_at=NOW + number,
        updated_at=NOW + number,
    )
    return IndexChange(f"{chance.getrandbits(128):032x}", 1, change, new=True)


def moved(before: IndexChange) -> IndexChange:
    """How far an instance is, a moment later."""
    change = InstanceChange(progress=InstanceProgress(100, 41, 0, 3, 0.41), updated_at=NOW + before.revision)
    return IndexChange(before.id, before.revision + 1, change)


def ended(before: IndexChange, number: int) -> IndexChange:
    """The end of an instance: one in a hundred fails."""
    step = moved(before)
    step.change.status = InstanceStatus.FAILED if number % 100 == 1 else InstanceStatus.DONE
    return step


async def rate(rows: int, work: Awaitable[None]) -> float:
    """Rows/s of some work."""
    started = time.perf_counter()
    await work
    return rows / (time.perf_counter() - started)


async def apply(index: MysqlIndex, steps: Sequence[IndexChange], size: int) -> None:
    """Applies steps in groups."""
    for start in range(0, len(steps), size):
        await index.apply(steps[start : start + size])


async def insert(server: Server, rows: Sequence[statements.Row], size: int) -> None:
    """Puts rows in by the driver alone."""

    async def job(connection: Connection) -> None:
        async with connection.cursor() as cursor:
            for start in range(0, len(rows), size):
                await cursor.executemany(BARE, rows[start : start + size])

    await server.run(job)


async def following(index: MysqlIndex, server: Server) -> tuple[list[list[str]], int]:
    """The rates of apply and of the bare driver, for each size of a group; and how many rows there are."""
    rows: list[list[str]] = []
    number = 0
    for size in GROUPS:
        rates: dict[str, list[float]] = {"bare": [], "new": [], "status": [], "progress": []}
        for _ in range(TURNS):
            steps = [created(number + place) for place in range(2 * ROWS_A_TURN)]
            number += 2 * ROWS_A_TURN
            ours, theirs = steps[:ROWS_A_TURN], steps[ROWS_A_TURN:]
            bare = [statements.row_of(Merge(step.id, 1, True, step.change), None) for step in theirs]

            rates["bare"].append(await rate(ROWS_A_TURN, insert(server, bare, size)))
            rates["new"].append(await rate(ROWS_A_TURN, apply(index, ours, size)))
            later = [moved(step) for step in ours]
            rates["progress"].append(await rate(ROWS_A_TURN, apply(index, later, size)))
            last = [ended(step, number + place) for place, step in enumerate(later)]
            rates["status"].append(await rate(ROWS_A_TURN, apply(index, last, size)))
        rows.append([f"{size:,}", *(spread(rates[name]) for name in rates)])
        share = median(rates["new"]) / median(rates["bare"])
        rows[-1].append(f"{share:.0%}")
    return rows, number // 2


async def pages(index: MysqlIndex) -> list[list[str]]:
    """How long pages of 50 take, in ms."""
    lists = {
        "all": ListInstances(),
        "a realm": ListInstances(realm="default"),
        "a realm, failed": ListInstances(realm="default", status=InstanceStatus.FAILED),
        "a realm, a workflow, done": ListInstances(
            realm="default", workflow="workflow-3", status=InstanceStatus.DONE
        ),
        "a name that one in ten begins with": ListInstances(realm="default", name="Album 9"),
        "a rare name": ListInstances(realm="default", name="Album 99999"),
    }
    rows = []
    for name, query in lists.items():
        took = []
        for _ in range(READS):
            started = time.perf_counter()
            page = await index.page(query)
            took.append((time.perf_counter() - started) * 1000)
        deep = []
        for _ in range(READS):
            # As a reader gets there: the cursor of a page far down.
            middle = ListInstances(
                query.realm, query.status, query.workflow, query.name, created_before=NOW + ROWS // 3, limit=1
            )
            cursor = (await index.page(middle)).next_cursor
            if cursor is None:
                break
            far = ListInstances(query.realm, query.status, query.workflow, query.name, cursor=cursor)
            started = time.perf_counter()
            await index.page(far)
            deep.append((time.perf_counter() - started) * 1000)
        shown = [f"{percentile(took, 0.5):.2f}", f"{percentile(took, 0.99):.2f}"]
        shown += [f"{percentile(deep, 0.5):.2f}", f"{percentile(deep, 0.99):.2f}"] if deep else ["–", "–"]
        rows.append([name, str(len(page.items)), *shown])
    return rows


async def measure(url: str) -> None:
    """Measures and prints."""
    index = MysqlIndex(Address.of(url))
    await index.migrate()
    await index.open()
    server = Server(Address.of(url), most=1)
    await server.open()

    async def copy(connection: Connection) -> None:
        await execute(connection, "create table bare_instances like taskpath_instances")

    await server.run(copy)
    # Both tables are as full as the other at every moment.
    rows, number = await following(index, server)
    table(
        f"Rows/s, {ROWS_A_TURN:,} a turn, {TURNS} turns",
        ("group", "bare executemany", "apply: new", "apply: status", "apply: progress", "new / bare"),
        rows,
    )
    while number < ROWS:
        some = [created(number + place) for place in range(min(2_000, ROWS - number))]
        await index.apply([*some, *(ended(step, number + place) for place, step in enumerate(some))])
        number += len(some)
    table(
        f"A page of 50 of {ROWS:,} instances, ms",
        ("list", "rows", "first p50", "p99", "far p50", "p99"),
        await pages(index),
    )
    await server.run(lambda connection: execute(connection, "drop table bare_instances"))
    await server.close()
    await index.close()


def main() -> None:
    """Measures on the server that is given, or on a private one."""
    if url := os.environ.get("TASKPATH_INDEX"):
        asyncio.run(measure(url))
        return
    with Keeper() as keeper:
        mariadb = MariaDB(keeper)
        mariadb.start()
        asyncio.run(measure(mariadb.new_database()))


if __name__ == "__main__":
    main()
