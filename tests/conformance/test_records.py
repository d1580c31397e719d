"""What every record store does: commits, order, views, the index's walk."""

from __future__ import annotations

import random

from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.events import LogLine, LogsWritten
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import (
    InstanceChange,
    InstanceProgress,
    InstanceStatus,
    Progress,
    RunRecord,
    TaskChange,
    TaskRecord,
    TaskStatus,
)
from taskpath_proto.values import Inline
from taskpath_services.storage.records.contract import (
    RecordStore,
    Write,
)
from taskpath_services.storage.selection import Selection, items_of
from tests.support.changes import changed
from tests.support.record_changes import (
    APPLIED,
    CONFLICT,
    GAP,
    NOW,
    REPEATED,
    commit,
    created,
    deleted,
    fitting,
    tasks,
    view,
)


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


async def test_the_number_of_partitions_is_that_of_the_first_start(store: RecordStore) -> None:
    assert await store.begin(3, NOW) == 3
    assert await store.begin(8, NOW) == 3


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
