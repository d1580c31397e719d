"""What every record store does. A new implementation joins with a parameter of the fixture ``store``."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.events import InstanceChanged, InstanceDeleted, LogLine, LogsWritten
from taskpath_proto.plan import Handler, Plan, TaskSpec
from taskpath_proto.queries import PutBlob, Tombstone
from taskpath_proto.records import (
    HandlerRecord,
    InstanceChange,
    InstanceProgress,
    InstanceStatus,
    Progress,
    RunRecord,
    TaskChange,
    TaskRecord,
    TaskStatus,
)
from taskpath_proto.values import INLINE_BYTES, KEEP_BYTES, Blob, Inline, Stored
from taskpath_services.storage.records.contract import (
    DEAD_MS,
    OWN,
    TOMBSTONE_MS,
    Outcome,
    RecordStore,
    Write,
)
from taskpath_services.storage.records.dynamodb.store import DynamoRecords
from taskpath_services.storage.selection import Selection, items_of
from tests.support.record_stores import STORES, new_store

NOW = 1_700_000_000_000
LARGE = '"' + "x" * KEEP_BYTES + '"'
APPLIED, REPEATED, REFUSED = Outcome.APPLIED, Outcome.REPEATED, Outcome.REFUSED
GAP, CONFLICT = Outcome.GAP, Outcome.CONFLICT


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RecordStore]:
    records = new_store(request.param, request, tmp_path)
    await records.open()
    yield records
    await records.close()


def changed(
    revision: int,
    *tasks: TaskChange,
    base: int | None = None,
    epoch: int = 1,
    id: str = "a",
    partition: int = 0,
    removed: tuple[str, ...] = (),
    instance: InstanceChange | None = None,
) -> InstanceChanged:
    return InstanceChanged(
        id=id,
        partition=partition,
        epoch=epoch,
        revision=revision,
        base_revision=revision - 1 if base is None else base,
        tasks=list(tasks),
        removed=list(removed),
        instance=instance,
    )


def deleted(
    revision: int, *, epoch: int = 1, id: str = "a", status: InstanceStatus | None = None
) -> InstanceDeleted:
    return InstanceDeleted(id=id, partition=0, epoch=epoch, revision=revision, realm="r", status=status)


def created(
    id: str = "a", *, plan: Plan | None = None, epoch: int = 1, partition: int = 0
) -> InstanceChanged:
    change = InstanceChange(
        realm="r",
        workflow="w",
        data=Inline('{"n": 1}'),
        base_context=Inline("{}"),
        plan=plan or Plan(tasks=(TaskSpec(name="one"),), queue="q"),
        created_at=NOW,
    )
    return changed(1, id=id, epoch=epoch, partition=partition, instance=change)


async def commit(store: RecordStore, *writes: Write, now: int = NOW) -> list[Outcome]:
    return await store.commit(writes, now)


def fitting(store: RecordStore, count: int) -> int:
    """How many of something fit into a test: the server in the place of DynamoDB takes 2 ms for each."""
    return count // 12 if isinstance(store, DynamoRecords) else count


async def tasks(store: RecordStore, id: str = "a") -> dict[str, TaskRecord]:
    return {task.path: task for task in (await store.load(id)).tasks}


async def view(store: RecordStore, **selection: object) -> set[str]:
    found = await store.view("a", Selection(**selection))  # type: ignore[arg-type]  # named by the tests
    return {task.path for task in found.tasks}


# -- commit


async def test_what_was_committed_is_loaded(store: RecordStore) -> None:
    change = TaskChange(
        path="#.one",
        status=TaskStatus.OK,
        attempt=1,
        command=(1, 7),
        body=Inline("[1]"),
        error=ErrorInfo(ErrorCode.EXECUTION_FAILED, "no", details={"a": None}),
        progress=Progress(0.5, "half"),
    )
    run = RunRecord(number=3, argument=Inline("4"))
    second = changed(
        2, change, instance=InstanceChange(runs=(run,), progress=InstanceProgress(1, 0, 0, 1, 0.5))
    )
    assert await commit(store, created(), second) == [APPLIED, APPLIED]
    loaded = await store.load("a")
    assert loaded.instance is not None
    assert (loaded.instance.id, loaded.instance.epoch, loaded.instance.revision) == ("a", 1, 2)
    assert loaded.instance.plan == Plan(tasks=(TaskSpec(name="one"),), queue="q")
    assert loaded.instance.data == Inline('{"n": 1}')
    assert loaded.instance.runs == (run,)
    assert loaded.instance.progress == InstanceProgress(1, 0, 0, 1, 0.5)
    assert loaded.instance.status is InstanceStatus.INACTIVE
    assert loaded.tasks == [
        TaskRecord(
            path="#.one",
            revision=2,
            status=TaskStatus.OK,
            attempt=1,
            command=(1, 7),
            body=Inline("[1]"),
            error=ErrorInfo(ErrorCode.EXECUTION_FAILED, "no", details={"a": None}),
            progress=Progress(0.5, "half"),
        )
    ]
    assert await store.instance("a") == loaded.instance


async def test_an_absent_field_stays_and_none_takes_away(store: RecordStore) -> None:
    first = TaskChange(
        path="#.one", error=ErrorInfo(ErrorCode.CONFLICT, "no", path="#"), executor="e", reason="r"
    )
    second = TaskChange(path="#.one", error=ErrorInfo(ErrorCode.CONFLICT, "again"), executor=None)
    await commit(store, created(), changed(2, first))
    await commit(store, changed(3, second))
    record = (await tasks(store))["#.one"]
    assert record == TaskRecord(
        path="#.one", revision=3, error=ErrorInfo(ErrorCode.CONFLICT, "again"), reason="r"
    )
    await commit(store, changed(4, TaskChange(path="#.one", error=None)))
    assert (await tasks(store))["#.one"].error is None


async def test_a_plan_replaces_the_plan_whole(store: RecordStore) -> None:
    await commit(store, created())
    plan = Plan(tasks=(TaskSpec(name="two"),))
    await commit(store, changed(2, instance=InstanceChange(plan=plan)))
    record = await store.instance("a")
    assert record is not None
    assert record.plan == plan
    assert record.data == Inline('{"n": 1}')


async def test_one_path_twice_in_one_event_and_in_one_group(store: RecordStore) -> None:
    one = TaskChange(path="#.one", status=TaskStatus.RUNNING, executor="e")
    two = TaskChange(path="#.one", status=TaskStatus.OK)
    three = TaskChange(path="#.one", duration=5)
    await commit(store, created(), changed(2, one, two), changed(3, three))
    assert (await tasks(store))["#.one"] == TaskRecord(
        path="#.one", revision=3, status=TaskStatus.OK, executor="e", duration=5
    )


async def test_a_group_twice_is_a_group_once(store: RecordStore) -> None:
    group: list[Write] = [
        created(),
        changed(2, TaskChange(path="#.one", attempt=1)),
        changed(3, TaskChange(path="#.one", attempt=2)),
        LogsWritten("a", 0, "#.one", [LogLine(NOW, "info", "hello", 1, 1)]),
    ]
    assert await commit(store, *group) == [APPLIED] * 4
    before = await store.load("a")
    assert (await commit(store, *group))[:3] == [REPEATED] * 3
    assert await store.load("a") == before
    assert len((await store.logs("a", "#.one", 0, 10)).lines) == 1


async def test_another_content_for_a_revision_is_a_conflict(store: RecordStore) -> None:
    event = changed(2, TaskChange(path="#.one", attempt=1))
    assert await commit(store, created(), event, event) == [APPLIED, APPLIED, REPEATED]
    other = changed(2, TaskChange(path="#.one", attempt=2))
    assert await commit(store, other, changed(2, epoch=2)) == [CONFLICT, REPEATED]
    assert (await tasks(store))["#.one"].attempt == 1


async def test_a_gap_is_applied_and_said(store: RecordStore) -> None:
    assert await commit(store, created(), changed(3, TaskChange(path="#.one", attempt=1))) == [APPLIED, GAP]
    assert (await tasks(store))["#.one"].attempt == 1
    assert await commit(store, changed(7, id="never created")) == [GAP]


async def test_other_instances_of_a_group_are_not_held_up(store: RecordStore) -> None:
    outcomes = await commit(store, created("a"), created("b"), changed(1, id="a", base=0), changed(2, id="b"))
    assert outcomes == [APPLIED, APPLIED, CONFLICT, APPLIED]
    assert (await store.standing("b")).revision == 2


async def test_half_a_surrogate_pair_does_no_harm(store: RecordStore) -> None:
    await commit(store, created(), changed(2, TaskChange(path="#.one", reason="a\udcffb")))
    assert (await tasks(store))["#.one"].reason == "a?b"
    await commit(store, LogsWritten("a", 0, "#.one", [LogLine(NOW, "info", "\ud800", 1, 1)]))
    assert [line.text for line in (await store.logs("a", "#.one", 0, 10)).lines] == ["?"]


# -- epochs


async def test_a_claim_raises_the_epoch(store: RecordStore) -> None:
    assert (await store.claim(0, "x", NOW)).epoch == NOW
    assert (await store.claim(0, "y", NOW)).epoch == NOW + 1
    assert (await store.claim(0, "y", NOW - 5_000)).epoch == NOW + 2
    assert (await store.claim(1, "y", 5)).epoch == 5


async def test_events_of_an_older_epoch_are_refused(store: RecordStore) -> None:
    old = (await store.claim(0, "x", NOW)).epoch
    await commit(store, created(epoch=old))
    new = (await store.claim(0, "y", NOW)).epoch
    late = changed(2, TaskChange(path="#.one", attempt=1), epoch=old)
    assert await commit(store, late, deleted(3, epoch=old)) == [REFUSED, REFUSED]
    assert (await store.standing("a")).revision == 1
    assert await commit(store, changed(2, epoch=new)) == [APPLIED]
    # Another partition has epochs of its own.
    assert await commit(store, created("b", epoch=old, partition=1)) == [APPLIED]


async def test_the_epoch_of_an_event_counts_if_the_store_has_lost_it(store: RecordStore) -> None:
    assert await commit(store, created(epoch=9)) == [APPLIED]
    assert await commit(store, changed(2, epoch=8)) == [REFUSED]
    assert (await store.claim(0, "x", 1)).epoch == 10


async def test_a_claim_names_whoever_has_handlers_to_run_or_is_being_deleted(store: RecordStore) -> None:
    handlers = InstanceChange(handlers=(HandlerRecord(number=3, handler=Handler.COMPLETE),), runs=())
    await commit(store, created("a"), created("b"), created("c"))
    await commit(store, changed(2, id="a", instance=handlers))
    await commit(store, changed(2, id="c", instance=InstanceChange(deleting=True, handlers=())))
    assert set((await store.claim(0, "x", NOW)).active) == {"a", "c"}
    await commit(store, changed(3, id="a", instance=InstanceChange(handlers=()), epoch=NOW))
    assert set((await store.claim(0, "x", NOW)).active) == {"c"}
    await commit(store, deleted(3, id="c", epoch=NOW + 1))
    assert (await store.claim(0, "x", NOW)).active == ()


async def test_a_claim_names_the_instances_with_unfinished_runs(store: RecordStore) -> None:
    runs = InstanceChange(runs=(RunRecord(number=1),))
    await commit(store, created("a"), created("b"), created("c"), created("d", partition=1))
    await commit(store, *(changed(2, id=id, instance=runs) for id in ("a", "b", "d") if id != "d"))
    await commit(store, changed(2, id="d", partition=1, instance=runs))
    await commit(store, changed(3, id="b", instance=InstanceChange(runs=())))
    await commit(store, changed(3, id="a", instance=InstanceChange(counter=4)))
    assert (await store.claim(0, "x", NOW)).active == ("a",)
    assert (await store.claim(1, "x", NOW)).active == ("d",)


# -- removal and deletion


async def test_what_is_removed_takes_its_subtree_along(store: RecordStore) -> None:
    kept = ("#.fan", "#.fan[1]", "#.fan[10]", "#.fan2", "#.fan[1].a")
    gone = ("#.fan[2]", "#.fan[2].a", "#.fan[2].b[0]")
    await commit(store, created(), changed(2, *(TaskChange(path=path, attempt=1) for path in kept + gone)))
    line = LogLine(NOW, "info", "x", 1, 1)
    await commit(store, *(LogsWritten("a", 0, path, [line]) for path in ("#.fan[1]", "#.fan[2]")))
    again = TaskChange(path="#.fan[2]", duration=1)
    await commit(store, changed(3, removed=("#.fan[2]",)), changed(4, again))
    assert set(await tasks(store)) == {*kept, "#.fan[2]"}
    assert (await tasks(store))["#.fan[2]"] == TaskRecord(path="#.fan[2]", revision=4, duration=1)
    assert (await store.logs("a", "#.fan[2]", 0, 10)).lines == []
    assert (await store.logs("a", "#.fan[1]", 0, 10)).lines == [line]


async def test_removals_of_an_event_come_before_its_changes(store: RecordStore) -> None:
    await commit(store, created(), changed(2, TaskChange(path="#.fan[0]", attempt=3)))
    await commit(store, changed(3, TaskChange(path="#.fan[0]", duration=1), removed=("#.fan[0]",)))
    assert (await tasks(store))["#.fan[0]"] == TaskRecord(path="#.fan[0]", revision=3, duration=1)


async def test_a_deletion_takes_everything(store: RecordStore) -> None:
    await commit(
        store,
        created(),
        changed(2, TaskChange(path="#.one", body=Inline(LARGE))),
        LogsWritten("a", 0, "#.one", [LogLine(NOW, "info", "x", 1, 1)]),
        PutBlob("a", "#.one", "items", 1, "[]"),
        created("b"),
    )
    assert await commit(store, deleted(3)) == [APPLIED]
    assert (await store.load("a")).instance is None
    assert (await store.load("a")).tasks == []
    assert await store.texts("a", [("#.one", "body", OWN), ("#.one", "items", 1)]) == {}
    assert not (await store.logs("a", "#.one", 0, 10)).known
    standing = await store.standing("a")
    assert (standing.revision, standing.deleted) == (None, True)
    assert (await store.standing("b")).revision == 1
    assert [row.id for row in await store.indexed("", 10)] == ["b"]


async def test_nothing_late_brings_a_deleted_instance_back(store: RecordStore) -> None:
    await commit(store, created(), changed(2), deleted(3))
    late = LogsWritten("a", 0, "#.one", [LogLine(NOW, "info", "x", 1, 1)])
    assert await commit(store, changed(2), deleted(3), changed(4), late) == [
        REPEATED,
        REPEATED,
        REFUSED,
        REFUSED,
    ]
    assert (await store.standing("a")).deleted
    # The whole of it again, as a redelivery has it.
    await commit(store, created(), changed(2), deleted(3))
    assert (await store.standing("a")).deleted


async def test_an_id_can_be_used_again(store: RecordStore) -> None:
    await commit(store, created(), changed(2, TaskChange(path="#.one", attempt=1)), deleted(3))
    assert await commit(store, created()) == [APPLIED]
    assert (await store.standing("a")).revision == 1
    assert await tasks(store) == {}


async def test_the_dead_are_forgotten_in_the_end(store: RecordStore) -> None:
    await commit(store, created("a"), created("b"), deleted(2, id="a"))
    await commit(store, PutBlob("a", "#.one", "items", 1, "[]"))
    await commit(store, deleted(2, id="b"), now=NOW + DEAD_MS + 1)
    assert not (await store.standing("a")).deleted
    assert (await store.standing("b")).deleted
    assert await store.texts("a", [("#.one", "items", 1)]) == {}


async def test_the_dead_are_forgotten_at_the_start(store: RecordStore) -> None:
    ids = [str(number) for number in range(fitting(store, 250))]
    await commit(store, *map(created, ids), *(deleted(2, id=id) for id in ids))
    await store.begin(4, NOW + DEAD_MS - 1)
    assert (await store.standing("0")).deleted
    await store.begin(4, NOW + DEAD_MS)
    assert not any([(await store.standing(id)).deleted for id in ids])


async def test_the_tombstone_of_an_ephemeral_instance_tells_how_it_ended(store: RecordStore) -> None:
    await commit(store, created("a"), created("b"))
    await commit(store, deleted(2, id="a", status=InstanceStatus.FAILED), deleted(2, id="b"))
    assert await store.tombstone("a", NOW) == Tombstone("a", "r", InstanceStatus.FAILED)
    assert await store.tombstone("a", NOW + TOMBSTONE_MS - 1) is not None
    assert await store.tombstone("a", NOW + TOMBSTONE_MS) is None
    assert await store.tombstone("b", NOW) is None
    assert await store.tombstone("nope", NOW) is None
    # A repeat says nothing new, and a new instance of this id is not the old one.
    await commit(store, deleted(2, id="a", status=InstanceStatus.DONE), now=NOW + 5)
    assert await store.tombstone("a", NOW) == Tombstone("a", "r", InstanceStatus.FAILED)
    await commit(store, created("a"))
    assert await store.tombstone("a", NOW) is None


async def test_an_instance_that_is_being_deleted_is_seen_by_its_owner_only(store: RecordStore) -> None:
    await commit(store, created(), changed(2, TaskChange(path="#.one", attempt=1)), created("b"))
    assert await commit(store, changed(3, instance=InstanceChange(deleting=True))) == [APPLIED]
    assert (await store.view("a", Selection())).instance is None
    assert (await store.task("a", "#.one")).instance is None
    assert await store.instance("a") is None
    assert not (await store.logs("a", "#.one", 0, 10)).known
    standing = await store.standing("a")
    assert (standing.revision, standing.deleted) == (3, True)
    assert [row.id for row in await store.indexed("", 10)] == ["b"]
    loaded = await store.load("a")
    assert loaded.instance is not None
    assert loaded.instance.deleting
    assert [task.path for task in loaded.tasks] == ["#.one"]
    # What its handlers change does not bring it back.
    assert await commit(store, changed(4, instance=InstanceChange(handlers=()))) == [APPLIED]
    assert await store.instance("a") is None
    assert await commit(store, deleted(5)) == [APPLIED]
    assert (await store.load("a")).instance is None


async def test_what_was_removed_last_is_told_by_its_revision(store: RecordStore) -> None:
    async def removed_at() -> int:
        return (await store.view("a", Selection())).removed_at

    await commit(store, created(), changed(2, TaskChange(path="#.fan[0]", attempt=1)))
    assert await removed_at() == 0
    await commit(store, changed(3, removed=("#.fan[0]",)), changed(4))
    assert await removed_at() == 3
    await commit(store, changed(5, removed=("#.fan[1]",)))
    assert await removed_at() == 5


async def test_the_number_of_partitions_is_that_of_the_first_start(store: RecordStore) -> None:
    assert await store.begin(3, NOW) == 3
    assert await store.begin(8, NOW) == 3


# -- values


async def test_a_large_value_is_kept_beside_the_record(store: RecordStore) -> None:
    change = TaskChange(path="#.one", body=Inline(LARGE), items=Inline(LARGE), argument=Inline("1"))
    await commit(store, created(), changed(2, change))
    record = (await tasks(store))["#.one"]
    assert record.body == Stored("#.one", len(LARGE))
    assert record.items == Blob("#.one", "items", OWN, len(LARGE))
    assert record.argument == Inline("1")
    assert await store.value("a", "#.one", "body") == record.body
    assert await store.value("a", "#.one", "updaters") is None
    keys = [("#.one", "body", OWN), ("#.one", "items", OWN), ("#.one", "updaters", OWN)]
    assert await store.texts("a", keys) == {keys[0]: LARGE, keys[1]: LARGE}
    shown = await store.task("a", "#.one")
    assert shown.task is not None
    assert (shown.task.body, shown.task.items) == (Inline(LARGE), Inline(LARGE))


async def test_the_size_that_counts_is_that_in_bytes(store: RecordStore) -> None:
    text = '"' + "é" * (KEEP_BYTES // 2) + '"'
    await commit(store, created(), changed(2, TaskChange(path="#.one", body=Inline(text))))
    assert (await tasks(store))["#.one"].body == Stored("#.one", KEEP_BYTES + 2)
    fits = "x" * (KEEP_BYTES - 2)
    await commit(store, changed(3, TaskChange(path="#.one", body=Inline(f'"{fits}"'))))
    assert (await tasks(store))["#.one"].body == Inline(f'"{fits}"')


async def test_a_value_too_large_for_a_message_stays_a_reference(store: RecordStore) -> None:
    text = '"' + "x" * INLINE_BYTES + '"'
    await commit(store, created(), changed(2, TaskChange(path="#.one", body=Inline(text))))
    shown = await store.task("a", "#.one")
    assert shown.task is not None
    assert shown.task.body == Stored("#.one", len(text))


async def test_a_small_value_after_a_large_one(store: RecordStore) -> None:
    await commit(store, created(), changed(2, TaskChange(path="#.one", body=Inline(LARGE))))
    await commit(store, changed(3, TaskChange(path="#.one", duration=1)))
    assert len(await store.texts("a", [("#.one", "body", OWN)])) == 1
    await commit(store, changed(4, TaskChange(path="#.one", body=Inline("1"))))
    assert await store.texts("a", [("#.one", "body", OWN)]) == {}
    assert (await tasks(store))["#.one"].body == Inline("1")


async def test_large_values_within_one_group_are_replaced(store: RecordStore) -> None:
    other = LARGE.replace("x", "y")
    await commit(
        store,
        created(),
        changed(
            2, TaskChange(path="#.one", body=Inline(LARGE)), TaskChange(path="#.two", body=Inline(LARGE))
        ),
        changed(3, TaskChange(path="#.one", body=Inline(other)), TaskChange(path="#.two", body=None)),
    )
    one, two = ("#.one", "body", OWN), ("#.two", "body", OWN)
    assert await store.texts("a", [one, two]) == {one: other}


async def put(store: RecordStore, version: int) -> tuple[str, str, int]:
    await commit(store, PutBlob("a", "#.one", "body", version, f'"{version}"'))
    return ("#.one", "body", version)


async def test_blobs_older_than_the_current_one_are_removed(store: RecordStore) -> None:
    first, second, third = [await put(store, version) for version in (1, 2, 3)]
    await commit(store, created(), changed(2, TaskChange(path="#.one", body=Blob("#.one", "body", 2, 3))))
    # The third belongs to an attempt whose report has not come yet.
    assert await store.texts("a", [first, second, third]) == {second: '"2"', third: '"3"'}
    await commit(store, changed(3, TaskChange(path="#.one", body=Inline("1"))))
    assert await store.texts("a", [second, third]) == {third: '"3"'}
    await commit(store, changed(4, TaskChange(path="#.one", body=Blob("#.one", "body", 3, 3))))
    await commit(store, changed(5, TaskChange(path="#.one", body=Inline(LARGE))))
    own = ("#.one", "body", OWN)
    assert await store.texts("a", [third, own]) == {own: LARGE}
    fourth = await put(store, 4)
    await commit(store, changed(6, TaskChange(path="#.one", body=Blob("#.one", "body", 4, 3))))
    assert await store.texts("a", [fourth, own]) == {fourth: '"4"'}


async def test_a_record_may_repeat_the_reference_to_its_own_value(store: RecordStore) -> None:
    await commit(store, created(), changed(2, TaskChange(path="#.one", items=Inline(LARGE))))
    record = (await tasks(store))["#.one"]
    await commit(store, changed(3, TaskChange(path="#.one", items=record.items)))
    assert len(await store.texts("a", [("#.one", "items", OWN)])) == 1


async def test_what_tasks_have_left(store: RecordStore) -> None:
    paths = [f"#.fan[{index}]" for index in range(12)] + ["#.fan[3].sub", "#.fan", "#.fan2", "#.fan2[0]"]
    await commit(
        store, created(), changed(2, *(TaskChange(path=path, body=Inline(f'"{path}"')) for path in paths))
    )
    await commit(
        store,
        changed(
            3,
            TaskChange(path="#.fan[1]", updaters=Inline("[]")),
            TaskChange(path="#.fan[2]", updaters=None, executor='"updaters":['),
            TaskChange(path="#.fan[4]", updaters=Inline(LARGE)),
            TaskChange(
                path="#.fan", own=TaskStatus.OK, left=7, items=Inline("[0]"), count=12, status=TaskStatus.OK
            ),
        ),
    )
    spans = [items_of("#.fan")]
    found = {one.path: one.body for one in await store.results("a", spans)}
    assert found == {path: Inline(f'"{path}"') for path in paths if path.startswith("#.fan[")}
    updated = {one.path: one.updaters for one in await store.results("a", spans, updated=True)}
    assert updated == {"#.fan[1]": Inline("[]"), "#.fan[4]": Blob("#.fan[4]", "updaters", OWN, len(LARGE))}
    (foreach,) = await store.results("a", [("#.fan", "#.fan\x01")])
    assert (foreach.status, foreach.own, foreach.left) == (TaskStatus.OK, TaskStatus.OK, 7)
    assert (foreach.items, foreach.count) == (Inline("[0]"), 12)
    assert await store.results("a", []) == []


# -- views

FAN = Plan(
    tasks=(TaskSpec(name="list"), TaskSpec(name="fan", foreach="list", subtasks=(TaskSpec(name="sub"),)))
)


async def fan(store: RecordStore, count: int) -> None:
    changes = [
        TaskChange(path="#.list", body=Inline("1"), argument=Inline("1"), updaters=Inline("[]")),
        TaskChange(path="#.fan", count=count, items=Inline("[]")),
    ]
    for index in range(count):
        changes += [
            TaskChange(path=f"#.fan[{index}]", attempt=1),
            TaskChange(path=f"#.fan[{index}].sub", attempt=1),
        ]
    await commit(store, created(plan=FAN), changed(2, *changes))


async def test_a_view_has_no_values(store: RecordStore) -> None:
    await fan(store, 1)
    found = await store.view("a", Selection())
    assert found.instance is not None
    assert found.instance.data == Inline('{"n": 1}')
    for task in found.tasks:
        assert (task.body, task.argument, task.updaters, task.items) == (None, None, None, None)
    assert {task.path: task.count for task in found.tasks}["#.fan"] == 1


async def test_a_view_leaves_out_the_items_of_a_long_foreach(store: RecordStore) -> None:
    await fan(store, 5)
    assert await view(store, items=4) == {"#.list", "#.fan"}
    assert len(await view(store, items=5)) == 12
    assert await view(store, items=4, patterns=("#.fan",)) == {"#.fan"}
    assert await view(store, items=4, patterns=("#.fan[3]",)) == {"#.fan[3]", "#.fan[3].sub"}
    assert await view(store, items=4, patterns=("#.fan[*].sub",)) == {
        f"#.fan[{index}].sub" for index in range(5)
    }
    assert await view(store, items=4, patterns=("#.*", "#.fan[4].sub")) == {"#.list", "#.fan", "#.fan[4].sub"}
    assert await view(store, items=5, patterns=("#.list",)) == {"#.list"}
    assert await view(store, items=5, patterns=("#.fan[0].**",)) == {"#.fan[0].sub"}


async def test_a_view_since_a_revision(store: RecordStore) -> None:
    await fan(store, 3)
    await commit(
        store,
        changed(3, TaskChange(path="#.fan[1]", attempt=2)),
        changed(4, TaskChange(path="#.list", attempt=2)),
    )
    assert await view(store, since=2) == {"#.fan[1]", "#.list"}
    assert await view(store, since=3) == {"#.list"}
    assert await view(store, since=4) == set()


async def test_a_view_of_more_than_a_page(store: RecordStore) -> None:
    count = fitting(store, 2_100)
    await fan(store, count)
    assert len(await view(store, items=3_000)) == 2 * count + 2
    assert len((await store.load("a")).tasks) == 2 * count + 2
    spans = [items_of("#.fan"), ("#", "$")]
    assert len(await store.results("a", spans[:1])) == 2 * count
    assert len(await store.results("a", spans)) == 4 * count + 2
    assert 100 < len(await store.results("a", spans, most=100)) <= 2 * count


async def test_records_of_more_than_a_megabyte(store: RecordStore) -> None:
    source = random.Random(5)
    said = {f"#.fan[{index}]": source.randbytes(40_000).hex() for index in range(18)}
    await commit(store, created(plan=FAN))
    for path, text in said.items():
        revision = (await store.standing("a")).revision or 0
        await commit(store, changed(revision + 1, TaskChange(path=path, reason=text)))
    assert {path: task.reason for path, task in (await tasks(store)).items()} == said
    assert await view(store) == said.keys()


async def test_what_is_not_there(store: RecordStore) -> None:
    assert (await store.view("nope", Selection())).instance is None
    assert (await store.task("nope", "#.one")).instance is None
    assert (await store.load("nope")).instance is None
    assert await store.instance("nope") is None
    standing = await store.standing("nope")
    assert (standing.revision, standing.deleted) == (None, False)
    await commit(store, created())
    untouched = await store.task("a", "#.one")
    assert untouched.task == TaskRecord(path="#.one")


# -- logs


def lines(first: int, last: int, attempt: int = 1) -> LogsWritten:
    written = [LogLine(NOW, "info", f"line {n}", attempt, n) for n in range(first, last + 1)]
    return LogsWritten("a", 0, "#.one", written)


async def test_logs_are_read_in_order_and_go_on(store: RecordStore) -> None:
    await commit(store, created(), lines(1, 3))
    first = await store.logs("a", "#.one", 0, 2)
    assert [line.n for line in first.lines] == [1, 2]
    rest = await store.logs("a", "#.one", first.next, 10)
    assert [line.n for line in rest.lines] == [3]
    end = await store.logs("a", "#.one", rest.next, 10)
    assert (end.lines, end.next) == ([], rest.next)
    await commit(store, lines(1, 1, attempt=2))
    assert [line.attempt for line in (await store.logs("a", "#.one", end.next, 10)).lines] == [2]
    assert (await store.logs("a", "#.other", 0, 10)).lines == []


async def test_repeated_lines_are_dropped(store: RecordStore) -> None:
    await commit(store, created(), lines(1, 3), lines(2, 4))
    await commit(store, lines(1, 5), lines(1, 1, attempt=2))
    found = await store.logs("a", "#.one", 0, 100)
    assert [(line.attempt, line.n) for line in found.lines] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (1, 5),
        (2, 1),
    ]
    assert found.next == 6


async def test_old_lines_go_and_the_cursor_keeps_counting(store: RecordStore) -> None:
    await commit(store, created())
    for start in range(1, 12_001, 3_000):
        await commit(store, lines(start, start + 2_999))
    found = await store.logs("a", "#.one", 0, 20_000)
    seen = found.lines
    while found.lines:
        found = await store.logs("a", "#.one", found.next, 20_000)
        seen = seen + found.lines
    assert [line.n for line in seen] == list(range(2_001, 12_001))
    assert found.next == 12_000


async def test_a_page_of_long_lines_fits_into_a_message(store: RecordStore) -> None:
    long = [LogLine(NOW, "info", "é" * 20_000, 1, n) for n in range(1, 101)]
    await commit(store, created(), LogsWritten("a", 0, "#.one", long))
    found = await store.logs("a", "#.one", 0, 100)
    assert 1 < len(found.lines) < 100
    assert all(line.text == "é" * 8_192 for line in found.lines)
    assert (await store.logs("a", "#.one", found.next, 100)).lines[0].n == found.lines[-1].n + 1


async def test_lines_may_come_before_their_instance(store: RecordStore) -> None:
    assert await commit(store, lines(1, 2)) == [APPLIED]
    assert not (await store.logs("a", "#.one", 0, 10)).known
    await commit(store, created())
    assert len((await store.logs("a", "#.one", 0, 10)).lines) == 2


# -- for the index


async def test_indexed_walks_all_instances(store: RecordStore) -> None:
    await commit(store, *(created(id) for id in ("c", "a", "b")))
    await commit(store, changed(2, TaskChange(path="#.one", attempt=1)))
    await commit(store, changed(2, id="b", instance=InstanceChange(status=InstanceStatus.DONE)))
    rows = [(row.id, row.revision) for row in await store.indexed("", 2)]
    assert rows == [("a", 1), ("b", 2)]
    assert [row.id for row in await store.indexed("b", 2)] == ["c"]


async def test_nothing_has_fallen_back(store: RecordStore) -> None:
    await commit(store, created(), created(id="dead"))
    await commit(store, changed(2), deleted(2, id="dead"))
    assert list(await store.fallen_back()) == []
