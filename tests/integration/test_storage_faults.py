"""The files of storage under real faults: no room, no file, closed."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskpath_proto.events import InstanceChanged
from taskpath_proto.queries import ListInstances
from taskpath_proto.records import InstanceChange, TaskChange
from taskpath_proto.values import Inline
from taskpath_services.storage.database import Database
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.index.contract import IndexChange
from taskpath_services.storage.index.sqlite import SqliteIndex
from taskpath_services.storage.records import schema
from taskpath_services.storage.records.contract import Outcome
from taskpath_services.storage.records.sqlite import SqliteRecords


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteRecords]:
    records = SqliteRecords(tmp_path / "records.sqlite")
    await records.open()
    yield records
    await records.close()


def changed(revision: int, *tasks: TaskChange) -> InstanceChanged:
    return InstanceChanged("a", 0, 1, revision, revision - 1, tasks=list(tasks))


@contextmanager
def no_room_above(size: int) -> Iterator[None]:
    """No file of this process can grow above a size: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_group_that_does_not_fit_is_not_there_and_fits_later(
    store: SqliteRecords, tmp_path: Path
) -> None:
    await store.commit([changed(1)], 0)
    many = [
        TaskChange(path=f"#.fan[{index}]", body=Inline('"' + "x" * 1_000 + '"')) for index in range(2_000)
    ]
    group = [changed(2, TaskChange(path="#.one", attempt=1)), changed(3, *many)]
    with (
        no_room_above(512 * 1024),
        pytest.raises(StoreUnavailable, match=r"records\.sqlite\) cannot be written"),
    ):
        await store.commit(group, 0)
    assert (await store.standing("a")).revision == 1
    assert (await store.load("a")).tasks == []
    # What the writer had noted of the failed group is forgotten with it.
    assert await store.commit(group, 0) == [Outcome.APPLIED, Outcome.APPLIED]
    assert len((await store.load("a")).tasks) == 2_001


async def test_a_closed_store_is_unavailable(store: SqliteRecords) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable, match="is closed"):
        await store.commit([changed(1)], 0)
    with pytest.raises(StoreUnavailable, match="is closed"):
        await store.standing("a")


async def test_a_file_that_has_gone_is_not_made_anew(tmp_path: Path) -> None:
    index = SqliteIndex(tmp_path / "index.sqlite")
    await index.open()
    try:
        await index.apply([IndexChange("a", 1, InstanceChange(workflow="w"))])
        for file in tmp_path.iterdir():
            file.unlink()
        with pytest.raises(StoreUnavailable, match="cannot be read"):
            await index.page(ListInstances())
        assert list(tmp_path.iterdir()) == []
    finally:
        await index.close()


async def test_another_writer_is_noticed(store: SqliteRecords, tmp_path: Path) -> None:
    await store.commit([changed(1)], 0)
    other = SqliteRecords(tmp_path / "records.sqlite")
    await other.open()
    try:
        await other.commit([changed(2)], 0)
        epoch = (await other.claim(0, "other", 10)).epoch
        assert await store.commit([changed(2)], 0) == [Outcome.REFUSED]
        late = InstanceChanged("a", 0, epoch, 2, 1)
        assert await store.commit([late], 0) == [Outcome.REPEATED]
    finally:
        await other.close()


async def test_a_file_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    first = Database(
        path, kind="records", mark=schema.MARK, migrations=schema.MIGRATIONS[:1], synchronous="FULL"
    )
    await first.open()
    await first.write(
        lambda connection: connection.executemany(
            "insert into instances values (?, 0, 1, 1, 0, 1, ?, null, '{}')",
            [("a", 1), ("b", 0), ("c", None)],
        )
    )
    await first.close()
    records = SqliteRecords(path)
    await records.open()
    try:
        assert (await records.claim(0, "x", 5)).active == ("a",)
        event = InstanceChanged("b", 0, 5, 2, 1, instance=InstanceChange(deleting=True))
        assert await records.commit([event], 0) == [Outcome.APPLIED]
        assert (await records.claim(0, "x", 5)).active == ("a", "b")
    finally:
        await records.close()
