"""Storage learns how long tasks take, beside what it commits."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from taskpath_proto import topology
from taskpath_proto.events import InstanceDeleted
from taskpath_proto.queries import ExpectedTime, ExpectedTimes, ReadExpected
from taskpath_proto.records import InstanceChange, Rollup, TaskChange, TaskStatus
from taskpath_services.storage.history.learning import AGAIN, LAG
from taskpath_services.storage.index.sqlite import MIGRATIONS, SqliteIndex
from tests.support.storage import System, changed, created


def ended(path: str, duration: int) -> TaskChange:
    return TaskChange(path=path, status=TaskStatus.OK, duration=duration)


async def expected(system: System, realm: str = "r", workflow: str = "w") -> dict[str, ExpectedTime]:
    query = ReadExpected(realm, workflow)
    return (await system.caller.ask(topology.QUERIES, query, ExpectedTimes)).paths


async def learnt(system: System) -> dict[str, ExpectedTime]:
    """What is expected once everything that was gathered is in the index."""
    await system.clock.asleep(LAG)
    system.clock.move(LAG)
    # The index does one thing after the other: this write comes after what was learnt.
    await system.publish(created(id="later"))
    return await expected(system)


async def test_it_learns_a_moment_later_and_from_what_ended_well_only(system: System) -> None:
    await system.publish(created())
    await system.publish(changed(2, ended("#.one[4]", 100), TaskChange(path="#.two", duration=3)))
    assert await expected(system) == {}
    await system.publish(changed(3, ended("#.one[5]", 200)))
    assert await learnt(system) == {"#.one[*]": ExpectedTime(150, 50)}
    assert await expected(system, realm="default") == {}
    assert await expected(system, workflow="other") == {}


async def test_what_is_delivered_again_does_not_count_again(system: System, tmp_path: Path) -> None:
    await system.publish(created())
    for _ in range(3):
        await system.publish(changed(2, ended("#.one", 100)))
    await system.publish(changed(2, ended("#.one", 100), epoch=2))
    await system.stop()
    assert (await kept(tmp_path))["#.one"] == 1


async def test_a_snapshot_and_what_comes_behind_a_gap_do_not_count(system: System, tmp_path: Path) -> None:
    await system.publish(created())
    await system.publish(changed(5, ended("#.one", 100)))
    whole = changed(6, ended("#.one", 100), ended("#.two", 100), instance=created().instance)
    whole.whole = True
    await system.publish(whole)
    await system.publish(changed(7, ended("#.three", 100)))
    await system.stop()
    assert await kept(tmp_path) == {"#.three": 1}


async def test_it_stays_when_the_instance_goes(system: System) -> None:
    await system.publish(created())
    await system.publish(changed(2, ended("#.one", 100)))
    await system.publish(InstanceDeleted("a", 0, 1, 3, "r"))
    assert await learnt(system) == {"#.one": ExpectedTime(100)}


async def test_a_group_is_learnt_with_what_is_below_it(system: System) -> None:
    await system.publish(created())
    for revision, now, status in ((2, 1_000, TaskStatus.RUNNING), (3, 5_000, TaskStatus.OK)):
        group = TaskChange(path="#.g", status=status, rollup=Rollup(1, ok=revision - 2))
        await system.publish(changed(revision, group, instance=InstanceChange(updated_at=now)))
    assert await learnt(system) == {"#.g": ExpectedTime(4_000)}


async def test_a_replica_that_comes_later_finds_out_whose_tasks_they_are(
    system: System, tmp_path: Path
) -> None:
    await system.publish(created())
    await system.publish(changed(2, ended("#.one", 100)))
    await system.stop()
    again = System(tmp_path)
    await again.start()
    try:
        await again.publish(changed(3, ended("#.one", 100)))
        # Of an instance that is not in the index nobody can say whose tasks they are.
        await again.publish(changed(2, ended("#.one", 100), id="unknown"))
        assert (await learnt(again))["#.one"] == ExpectedTime(100, 0)
    finally:
        await again.stop()
    assert await kept(tmp_path) == {"#.one": 2}


async def test_an_index_that_is_away_holds_up_nothing_and_learns_later(
    system: System, tmp_path: Path
) -> None:
    await system.publish(created())
    with closing(sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)) as other:
        other.execute("begin immediate")
        await system.publish(changed(2, ended("#.one", 100)))
        await system.clock.asleep(LAG)
        system.clock.move(LAG)
        await system.clock.asleep(AGAIN)
        await system.publish(changed(3, ended("#.one", 100)))
        other.execute("rollback")
    system.clock.move(AGAIN)
    await system.publish(created(id="later"))
    assert await expected(system) == {"#.one": ExpectedTime(100, 0)}


async def test_a_file_of_the_version_before_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    index = SqliteIndex(path)
    await index.open()
    await index.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("drop table durations")
        file.execute("insert into instances (id, revision) values ('a', 1)")
        file.execute(f"pragma user_version = {len(MIGRATIONS) - 1}")
    await index.open()
    assert await index.times("r", "w") == {}
    assert [row.id for row in await index.indexed("", 10)] == ["a"]
    await index.close()


async def kept(folder: Path) -> dict[str, float]:
    """How many durations the index has, by path."""
    index = SqliteIndex(folder / "index.sqlite")
    await index.open()
    try:
        return {path: times.weight for path, times in (await index.times("r", "w")).items()}
    finally:
        await index.close()
