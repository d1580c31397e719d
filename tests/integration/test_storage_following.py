"""The index follows the records: at once where a list depends on it, a moment later where it does not."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from taskpath_proto import topology
from taskpath_proto.events import InstanceChanged, InstanceDeleted
from taskpath_proto.queries import InstancesPage, InstanceSummary, ListInstances
from taskpath_proto.records import InstanceChange, InstanceProgress, InstanceStatus
from taskpath_services.storage import following
from taskpath_services.storage.following import LAG, can_wait, index_steps
from taskpath_services.storage.index.contract import IndexChange
from taskpath_services.storage.records.contract import Outcome
from tests.support.storage import System, changed, created


def progress(done: int) -> InstanceChange:
    return InstanceChange(progress=InstanceProgress(10, done, 0, 1, done / 10), updated_at=done)


@contextmanager
def locked(folder: Path) -> Iterator[sqlite3.Connection]:
    """Nobody else can write to the index."""
    with closing(sqlite3.connect(folder / "index.sqlite", isolation_level=None)) as other:
        other.execute("begin immediate")
        yield other
        if other.in_transaction:
            other.execute("rollback")


async def row(system: System, id: str = "a") -> InstanceSummary:
    page = await system.caller.ask(topology.QUERIES, ListInstances(), InstancesPage)
    return next(item for item in page.items if item.id == id)


async def followed(system: System, *ids: str) -> None:
    """Returns when the index has what it missed; it is tried again as time passes."""
    while sorted(await system.listed()) != list(ids):
        system.clock.move(0.1)


async def test_progress_waits_for_the_records_only(system: System, tmp_path: Path) -> None:
    await system.publish(created())
    with locked(tmp_path):
        await system.publish(changed(2, instance=progress(1)))
        await system.publish(changed(3, instance=progress(2)))
        await system.clock.asleep(LAG)
    assert (await row(system)).progress.done == 0
    system.clock.move(LAG)
    # Nothing tells when it has followed, but what comes behind it does.
    await system.publish(created(id="b"))
    found = await row(system)
    assert (found.progress.done, found.updated_at) == (2, 2)


async def test_what_has_waited_goes_along_with_what_cannot(system: System) -> None:
    await system.publish(created())
    await system.publish(changed(2, instance=progress(3)))
    await system.publish(changed(3, instance=InstanceChange(status=InstanceStatus.DONE)))
    found = await row(system)
    assert (found.status, found.progress.done) == (InstanceStatus.DONE, 3)


async def test_what_waited_for_an_instance_goes_with_it(system: System) -> None:
    await system.publish(created())
    await system.publish(changed(2, instance=progress(3)))
    await system.publish(InstanceDeleted("a", 0, 1, 3))
    await system.publish(created())
    system.clock.move(LAG)
    await system.publish(created(id="b"))
    assert (await row(system)).progress.done == 0


async def test_what_waits_is_brought_in_on_stop(system: System, tmp_path: Path) -> None:
    await system.publish(created())
    await system.publish(changed(2, instance=progress(3)))
    await system.stop()
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as file:
        assert file.execute("select revision, progress ->> 'done' from instances").fetchall() == [(2, 3)]


async def test_what_could_not_be_brought_in_is_found_at_the_next_start(
    system: System, tmp_path: Path
) -> None:
    await system.publish(created())
    with locked(tmp_path):
        await system.publish(changed(2, instance=progress(3)))
        await system.stop()
    again = System(tmp_path)
    await again.start()
    try:
        found = await row(again)
        assert (found.progress.done, found.workflow) == (3, "w")
    finally:
        await again.stop()


async def test_an_index_that_is_away_holds_up_no_progress_and_gets_it_later(
    system: System, tmp_path: Path
) -> None:
    await system.publish(created())
    with locked(tmp_path) as other:
        await system.publish(changed(2, instance=progress(1)))
        await system.clock.asleep(LAG)
        system.clock.move(LAG)
        await system.clock.asleep(0.1)
        await system.publish(changed(3, instance=progress(2)))
        other.execute("rollback")
    system.clock.move(0.1)
    await system.clock.asleep(LAG)
    system.clock.move(LAG)
    await system.publish(created(id="b"))
    assert (await row(system)).progress.done == 2


async def test_an_index_that_is_away_holds_up_nothing_and_gets_it_later(
    system: System, tmp_path: Path
) -> None:
    await system.publish(created())
    with locked(tmp_path):
        await system.publish(created(id="b"))
        await system.publish(changed(2, instance=InstanceChange(status=InstanceStatus.DONE)))
        await system.publish(created(id="c"))
        await system.publish(InstanceDeleted("c", 0, 1, 2))
    await system.publish(created(id="d"))
    await followed(system, "a", "b", "d")
    assert (await row(system)).status is InstanceStatus.DONE


async def test_what_is_too_far_behind_waits_for_the_index(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "MOST_BEHIND", 2)
    await system.publish(created())
    with locked(tmp_path):
        await system.publish(created(id="b"))
        await system.publish(created(id="c"))
        waits = asyncio.ensure_future(system.publish(created(id="d")))
        await system.clock.asleep(0.1)
        assert not waits.done()
    await followed(system, "a", "b", "c", "d")
    await waits


@pytest.mark.parametrize("field", InstanceChange.__struct_fields__)
def test_which_changes_can_wait(field: str) -> None:
    listed = {"realm", "workflow", "name", "status", "created_at"}
    change = InstanceChange()
    setattr(change, field, None)
    assert can_wait(IndexChange("a", 2, change)) == (field not in listed)
    assert not can_wait(IndexChange("a", 1, change, new=True))


def test_a_snapshot_makes_a_row_where_there_is_none() -> None:
    change = InstanceChange(workflow="w")
    whole = InstanceChanged("a", 0, 1, 9, 3, instance=change, whole=True)
    assert index_steps([whole], [Outcome.APPLIED]) == [IndexChange("a", 9, change, new=True)]
