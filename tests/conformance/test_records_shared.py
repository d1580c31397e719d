"""What every record store does that others write to as well, and whose writers die in the middle of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.events import InstanceChanged, InstanceDeleted, LogLine, LogsWritten
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.queries import PutBlob
from taskpath_proto.records import (
    InstanceChange,
    InstanceRecord,
    RunRecord,
    TaskChange,
    TaskRecord,
    TaskStatus,
)
from taskpath_proto.values import Blob, Inline, Stored
from taskpath_services.storage.records.contract import OWN, RecordStore, Write
from taskpath_services.storage.selection import Selection
from tests.support.changes import changed
from tests.support.record_changes import APPLIED, CONFLICT, GAP, LARGE, NOW, REFUSED, REPEATED, tasks
from tests.support.record_stores import STORES, new_place, store_at

HUGE = '"' + "y" * 1_000_000 + '"'
PLAN = Plan(tasks=(TaskSpec(name="one"), TaskSpec(name="fan", foreach="one")))


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_place(request.param, request, tmp_path)


@pytest.fixture
async def store(place: str) -> AsyncIterator[RecordStore]:
    records = store_at(place)
    await records.open()
    yield records
    await records.close()


@pytest.fixture
async def other(place: str, store: RecordStore) -> AsyncIterator[RecordStore]:
    """Another replica on the same data."""
    records = store_at(place)
    await records.open()
    yield records
    await records.close()


def created(id: str = "a", *, epoch: int = 1) -> InstanceChanged:
    change = InstanceChange(
        realm="r",
        workflow="w",
        data=Inline("1"),
        base_context=Inline("{}"),
        plan=PLAN,
        created_at=NOW,
        name="n",
    )
    return changed(1, id=id, epoch=epoch, instance=change)


def attempted(path: str, attempt: int) -> TaskChange:
    return TaskChange(path=path, attempt=attempt)


# -- whole changes and gaps


async def test_a_gap_is_said_again_until_a_whole_change_ends_it(store: RecordStore) -> None:
    late = changed(5, attempted("#.one", 5))
    await store.commit([created()], NOW)
    assert await store.commit([late], NOW) == [GAP]
    # Whoever was told has died before it asked for the snapshot.
    assert await store.commit([late], NOW) == [GAP]
    assert await store.commit([changed(6), late], NOW) == [APPLIED, GAP]
    assert await store.commit([changed(6, attempted("#.one", 6), whole=True)], NOW) == [APPLIED]
    assert await store.commit([late, changed(6), changed(7)], NOW) == [REPEATED, REPEATED, APPLIED]


async def test_a_whole_change_is_all_there_is(store: RecordStore) -> None:
    line = LogLine(NOW, "info", "x", 1, 1)
    first = TaskChange(
        path="#.one", attempt=1, body=Inline(LARGE), items=Inline(LARGE), reason="r", updaters=Inline("[1]"),
        error=ErrorInfo(ErrorCode.CONFLICT, "no"),
    )  # fmt: skip
    await store.commit(
        [
            created(),
            changed(2, first, attempted("#.fan[0]", 1), TaskChange(path="#.fan[1]", body=Inline(LARGE)),
                    instance=InstanceChange(runs=(RunRecord(number=1),), started_at=5)),
            LogsWritten("a", 0, "#.one", [line]),
            LogsWritten("a", 0, "#.fan[1]", [line]),
            PutBlob("a", "#.one", "body", 7, "[7]"),
            PutBlob("a", "#", "data", 0, "[0]"),
        ],
        NOW,
    )  # fmt: skip
    whole = changed(
        9,
        TaskChange(path="#.one", status=TaskStatus.OK, body=Stored("#.one", len(LARGE))),
        attempted("#.fan[0]", 2),
        base=0,
        instance=InstanceChange(realm="r", workflow="w", counter=4),
        whole=True,
    )
    assert await store.commit([whole], NOW) == [APPLIED]
    loaded = await store.load("a")
    assert loaded.instance == InstanceRecord(
        id="a",
        epoch=1,
        revision=9,
        realm="r",
        workflow="w",
        counter=4,
        data=Inline("1"),
        base_context=Inline("{}"),
        plan=PLAN,
    )
    assert {task.path: task for task in loaded.tasks} == {
        "#.one": TaskRecord(path="#.one", revision=9, status=TaskStatus.OK, body=Stored("#.one", len(LARGE))),
        "#.fan[0]": TaskRecord(path="#.fan[0]", revision=9, attempt=2),
    }
    own, items = ("#.one", "body", OWN), ("#.one", "items", OWN)
    put, data, gone = ("#.one", "body", 7), ("#", "data", 0), ("#.fan[1]", "body", OWN)
    assert await store.texts("a", [own, items, put, data, gone]) == {own: LARGE, put: "[7]", data: "[0]"}
    assert (await store.logs("a", "#.one", 0, 10)).lines == [line]
    assert (await store.logs("a", "#.fan[1]", 0, 10)).lines == []
    assert (await store.view("a", Selection())).removed_at == 9
    assert (await store.results("a", [("#", "$")], updated=True)) == []
    # Nothing runs any more.
    assert (await store.claim(0, "x", 2)).active == ()


async def test_a_whole_change_may_correct_what_is_stored_under_its_revision(store: RecordStore) -> None:
    await store.commit([created(), changed(2, attempted("#.one", 1))], NOW)
    other = changed(2, attempted("#.one", 2))
    assert await store.commit([other], NOW) == [CONFLICT]
    whole = changed(2, attempted("#.one", 2), whole=True)
    assert await store.commit([whole, other, whole], NOW) == [APPLIED, REPEATED, APPLIED]
    assert (await tasks(store))["#.one"].attempt == 2
    assert await store.commit([changed(3), changed(2, whole=True)], NOW) == [APPLIED, REPEATED]
    assert (await tasks(store))["#.one"].attempt == 2


async def test_a_whole_change_of_an_older_epoch_is_refused(store: RecordStore) -> None:
    await store.commit([created(epoch=5)], NOW)
    assert await store.commit([changed(9, whole=True, epoch=4)], NOW) == [REFUSED]
    assert (await store.standing("a")).revision == 1


async def test_a_whole_change_begins_an_instance_that_was_lost(store: RecordStore) -> None:
    assert await store.commit([changed(7, attempted("#.one", 3), whole=True)], NOW) == [APPLIED]
    assert (await store.standing("a")).revision == 7
    assert await store.commit([changed(8)], NOW) == [APPLIED]


# -- two replicas


async def test_two_replicas_do_not_write_over_each_other(store: RecordStore, other: RecordStore) -> None:
    await store.commit([created()], NOW)
    await other.commit([changed(2, attempted("#.one", 2))], NOW)
    # This one still takes the instance for being at revision 1.
    assert await store.commit([changed(2, attempted("#.one", 2)), changed(3)], NOW) == [REPEATED, APPLIED]
    assert await other.commit([changed(3), changed(4, attempted("#.one", 4))], NOW) == [REPEATED, APPLIED]
    assert await store.commit([changed(4, attempted("#.one", 5))], NOW) == [CONFLICT]
    assert (await tasks(store))["#.one"] == TaskRecord(path="#.one", revision=4, attempt=4)


async def test_a_replica_learns_of_a_claim_at_another(store: RecordStore, other: RecordStore) -> None:
    old = (await store.claim(0, "x", NOW)).epoch
    await store.commit([created(epoch=old)], NOW)
    new = (await other.claim(0, "y", NOW)).epoch
    late = changed(2, attempted("#.one", 1), epoch=old)
    assert await store.commit([late, InstanceDeleted("a", 0, old, 3)], NOW) == [REFUSED, REFUSED]
    assert await other.commit([changed(2, epoch=new)], NOW) == [APPLIED]


async def test_a_replica_learns_of_a_deletion_at_another(store: RecordStore, other: RecordStore) -> None:
    await store.commit([created(), changed(2, attempted("#.one", 1))], NOW)
    await other.commit([InstanceDeleted("a", 0, 1, 3)], NOW)
    line = LogsWritten("a", 0, "#.one", [LogLine(NOW, "info", "x", 1, 1)])
    assert await store.commit([line, changed(4)], NOW) == [REFUSED, REFUSED]
    assert await other.commit([created()], NOW) == [APPLIED]
    assert await store.commit([changed(2, attempted("#.one", 2))], NOW) == [APPLIED]
    assert (await tasks(other)) == {"#.one": TaskRecord(path="#.one", revision=2, attempt=2)}


async def test_the_same_group_at_two_replicas_at_once(store: RecordStore, other: RecordStore) -> None:
    ids = [str(number) for number in range(12)]
    group: list[Write] = [
        *map(created, ids),
        *(changed(2, attempted("#.one", 1), id=id) for id in ids),
        *(LogsWritten(id, 0, "#.one", [LogLine(NOW, "info", "x", 1, n) for n in (1, 2)]) for id in ids),
    ]
    both = await asyncio.gather(store.commit(group, NOW), other.commit(group, NOW))
    for first, second in list(zip(*both, strict=True))[:24]:
        assert {first, second} <= {APPLIED, REPEATED}
    for id in ids:
        assert await tasks(store, id) == {"#.one": TaskRecord(path="#.one", revision=2, attempt=1)}
        assert len((await other.logs(id, "#.one", 0, 10)).lines) == 2


async def test_lines_of_one_log_from_two_replicas(store: RecordStore, other: RecordStore) -> None:
    await store.commit([created()], NOW)

    async def write(replica: RecordStore, attempt: int) -> None:
        for n in range(1, 6):
            await replica.commit(
                [LogsWritten("a", 0, "#.one", [LogLine(NOW, "info", str(n), attempt, n)])], NOW
            )

    await asyncio.gather(write(store, 1), write(other, 2))
    found = await store.logs("a", "#.one", 0, 100)
    assert [line.n for line in found.lines if line.attempt == 1] == [1, 2, 3, 4, 5]
    assert [line.n for line in found.lines if line.attempt == 2] == [1, 2, 3, 4, 5]
    assert found.next == 10


async def test_who_reads_sees_one_moment(store: RecordStore, other: RecordStore) -> None:
    paths = [f"#.fan[{index}]" for index in range(30)]
    await store.commit([created(), changed(2, *(attempted(path, 2) for path in paths))], NOW)

    async def write() -> None:
        for revision in range(3, 18):
            await store.commit([changed(revision, *(attempted(path, revision) for path in paths))], NOW)

    writing = asyncio.create_task(write())
    seen = set()
    while not writing.done():
        found = await other.view("a", Selection())
        assert found.instance is not None
        assert {task.attempt for task in found.tasks} == {found.instance.revision}
        assert len(found.tasks) == 30
        since = await other.view("a", Selection(since=found.instance.revision - 1))
        assert since.instance is not None
        assert {task.attempt for task in since.tasks} == {since.instance.revision}
        seen.add(found.instance.revision)
    await writing
    assert len(seen) > 1


# -- values


async def test_a_value_larger_than_any_item_of_a_database(store: RecordStore, other: RecordStore) -> None:
    assert await store.commit([created(), changed(2, TaskChange(path="#.one", body=Inline(HUGE)))], NOW) == [
        APPLIED,
        APPLIED,
    ]
    own, put = ("#.one", "body", OWN), ("#.one", "items", 3)
    await other.commit([PutBlob("a", "#.one", "items", 3, HUGE)], NOW)
    assert await other.texts("a", [own, put]) == {own: HUGE, put: HUGE}
    await store.commit(
        [
            changed(
                3, TaskChange(path="#.one", body=Inline("1"), items=Blob("#.one", "items", 3, len(HUGE)))
            ),
            changed(4, TaskChange(path="#.one", items=None)),
        ],
        NOW,
    )
    assert await other.texts("a", [own, put]) == {}
    assert await store.commit([InstanceDeleted("a", 0, 1, 5)], NOW) == [APPLIED]


async def test_a_plan_larger_than_any_item_of_a_database(store: RecordStore) -> None:
    plan = Plan(tasks=tuple(TaskSpec(name=f"{number}", description="é" * 200) for number in range(3_000)))
    await store.commit([created(), changed(2, instance=InstanceChange(plan=plan))], NOW)
    record = await store.instance("a")
    assert record is not None
    assert record.plan == plan
    await store.commit([changed(3, instance=InstanceChange(plan=Plan(tasks=())))], NOW)
    record = await store.instance("a")
    assert record is not None
    assert record.plan == Plan(tasks=())


async def test_data_that_is_put_before_its_instance_is_of_its_new_life(store: RecordStore) -> None:
    key = ("#", "data", 0)
    await store.commit([PutBlob("a", "#", "data", 0, "[1]"), created()], NOW)
    assert await store.texts("a", [key]) == {key: "[1]"}
    await store.commit([InstanceDeleted("a", 0, 1, 2)], NOW)
    assert await store.texts("a", [key]) == {}
    await store.commit([PutBlob("a", "#", "data", 0, "[2]")], NOW)
    await store.commit([created()], NOW)
    assert await store.texts("a", [key]) == {key: "[2]"}
