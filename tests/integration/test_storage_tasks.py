"""A task as callers see it: what its record does not keep is told from the tree."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskpath import TaskpathError
from taskpath.inputs import Derivation
from taskpath.layers import build
from taskpath_proto.commands import Execute
from taskpath_proto.errors import ErrorCode
from taskpath_proto.events import InstanceChanged
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import InstanceChange, Mode, TaskChange, TaskStatus, Upstream
from taskpath_proto.values import INLINE_BYTES, NULL, Blob, Inline, Stored
from taskpath_services.storage import tasks as tasks_module
from taskpath_services.storage.materialise import Materialiser
from taskpath_services.storage.records.sqlite import SqliteRecords
from taskpath_services.storage.tasks import TaskReader
from tests.support.scheduler_limits import small_limits
from tests.support.scheduler_trees import Grower, known_paths, some_path
from tests.support.scheduler_world import World
from tests.support.storage import LARGE, System, changed

OK = TaskStatus.OK


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    made = System(tmp_path, max_value=200_000)
    await made.start()
    yield made
    await made.stop()


PLAN = Plan(
    tasks=(
        TaskSpec(name="list", context_var="photos"),
        TaskSpec(name="each", foreach="photos", context_var="sizes"),
        TaskSpec(name="group", run=False, subtasks=(TaskSpec(name="left"), TaskSpec(name="right"))),
        TaskSpec(name="more", foreach=True, subtasks=(TaskSpec(name="deep", context_var="deepest"),)),
        TaskSpec(name="last"),
    )
)


def inline(value: Any) -> Inline:
    return Inline(msgspec.json.encode(value).decode())


async def create(system: System, *tasks: TaskChange, base: Any = None) -> None:
    change = InstanceChange(
        realm="r", workflow="w", plan=PLAN, data=inline("data"), base_context=inline(base or {"base": 0})
    )
    await system.publish(changed(1, *tasks, instance=change))


def ok(path: str, **fields: Any) -> TaskChange:
    return TaskChange(path=path, status=OK, **fields)


def done() -> list[TaskChange]:
    return [
        ok("#.list", body=inline([10, 20]), argument=inline("given")),
        ok("#.each", own=OK, items=inline([10, 20]), count=2, left=5),
        ok("#.each[0]", body=inline("a")),
        ok("#.each[1]", body=inline("b"), updaters=inline([{"base": {"$set": 1}}])),
        ok("#.group", left=7),
        ok("#.group.left", body=inline({"l": 1})),
        ok("#.group.right", body=inline(2)),
        ok("#.more", own=OK, items=inline([1]), count=1, left=9),
        ok("#.more[0]", own=OK, body=inline(None)),
        ok("#.more[0].deep", body=inline("d")),
        ok("#.last", body=inline("end")),
    ]


@pytest.mark.parametrize(
    ("path", "argument", "body", "context"),
    [
        ("#.list", "given", [10, 20], {"base": 0}),
        ("#.each", None, ["a", "b"], {"base": 0, "photos": [10, 20]}),
        ("#.each[1]", 20, "b", {"base": 0, "photos": [10, 20]}),
        ("#.group", ["a", "b"], {"left": {"l": 1}, "right": 2}, {"base": 1, "sizes": ["a", "b"]}),
        ("#.group.right", ["a", "b"], 2, {"base": 1}),
        ("#.more", {"left": {"l": 1}, "right": 2}, [{"deep": "d"}], {"base": 1}),
        ("#.more[0].deep", None, "d", {"base": 1}),
        ("#.last", [{"deep": "d"}], "end", {"base": 1, "deepest": "d"}),
    ],
)
async def test_what_a_task_was_given_and_sees(
    system: System, path: str, argument: Any, body: Any, context: dict[str, Any]
) -> None:
    await create(system, *done())
    view = await system.task(path)
    assert view.task is not None
    assert view.task.argument == (inline(argument) if path != "#.each" else None)
    assert isinstance(view.task.body, Inline)
    assert json.loads(view.task.body.json) == body
    assert isinstance(view.context, Inline)
    assert context.items() <= json.loads(view.context.json).items()


async def test_the_root_sees_the_base_context(system: System) -> None:
    await create(system, *done(), TaskChange(path="#", status=OK))
    view = await system.task("#")
    assert view.context == inline({"base": 0})
    assert view.task is not None
    assert (view.task.status, view.task.argument, view.task.body) == (OK, None, None)


async def test_an_untouched_task_was_given_nothing_and_sees_something(system: System) -> None:
    await create(system)
    view = await system.task("#.last")
    assert view.task is not None
    assert (view.task.revision, view.task.argument, view.task.body) == (0, None, None)
    assert view.context == Inline('{"base":0}')


@pytest.mark.parametrize("path", ["#.nope", "#.each[2]", "#.list.x", "#.each.x"])
async def test_a_task_that_is_not_there(system: System, path: str) -> None:
    await create(system, *done())
    view = await system.task(path)
    assert view.instance is not None
    assert (view.task, view.context) == (None, None)


async def test_what_is_no_path_is_refused(system: System) -> None:
    await create(system)
    with pytest.raises(TaskpathError) as caught:
        await system.task("each")
    assert caught.value.code is ErrorCode.INVALID_PATH


async def test_large_values_are_references_that_know_their_size(system: System) -> None:
    half = "x" * (INLINE_BYTES // 2)
    await create(
        system,
        ok("#.list", body=inline([half, half])),
        ok("#.each", own=OK, items=inline([half, half]), count=2, left=5),
        ok("#.each[0]", body=inline(half)),
        ok("#.each[1]", body=inline(half)),
        ok("#.group", left=7),
    )
    joined = f'["{half}","{half}"]'
    each, group = await system.task("#.each"), await system.task("#.group")
    assert each.task is not None
    assert each.task.body == Stored("#.each", len(joined))
    assert await system.read(each.task.body) == joined
    assert group.task is not None
    assert group.task.argument == each.task.body
    assert isinstance(group.context, Blob)
    text = await system.read(group.context)
    assert json.loads(text) == {"base": 0, "photos": [half, half], "sizes": [half, half]}
    assert group.context == Blob("#.group", "context", 1, len(text))


async def test_a_context_that_needs_too_much_is_left_out(system: System) -> None:
    part = "x" * 90_000
    await create(
        system,
        ok("#.list", body=inline([part])),
        ok("#.each", own=OK, items=inline([part]), count=1, left=5),
        ok("#.each[0]", body=inline(part)),
        ok("#.group", left=6),
        base={"part": part},
    )
    view = await system.task("#.each")
    assert isinstance(view.context, Blob)
    view = await system.task("#.group")
    assert view.task is not None
    assert view.task.argument == Stored("#.each", 90_004)
    assert view.context is None
    with pytest.raises(TaskpathError) as caught:
        await system.read(Blob("#.group", "context", 1, 5))
    assert caught.value.code is ErrorCode.CANNOT_FIND_TASK


async def test_a_context_of_too_many_parts_is_left_out(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks_module, "MAX_ITEM_RESULTS", 3_000)
    items = [ok(f"#.more[{index}].deep", body=inline(index)) for index in range(2_500)]
    items += [ok(f"#.more[{index}]", left=1) for index in range(2_500)]
    await create(system, *items, ok("#.more", own=OK, items=NULL, count=2_500, left=5), ok("#.last"))
    view = await system.task("#.last")
    assert view.context is None
    assert view.task is not None
    assert isinstance(view.task.argument, Inline)
    assert json.loads(view.task.argument.json)[2_499] == {"deep": 2_499}


async def test_a_context_that_does_not_fit_is_left_out(system: System) -> None:
    await create(
        system,
        ok("#.list", body=inline(1), updaters=inline([{"base": {"$push": [1]}}])),
        ok("#.each", own=OK, items=inline([]), count=0, left=5),
    )
    view = await system.task("#.each")
    assert view.task is not None
    assert view.context is None


async def test_values_kept_beside_the_records_are_part_of_it(system: System) -> None:
    await create(
        system,
        ok("#.list", body=Inline(LARGE), updaters=inline([{"u": {"$set": json.loads(LARGE)}}])),
        ok("#.each", own=OK, items=inline([]), count=0, left=5),
        ok("#.group", left=6),
    )
    view = await system.task("#.each")
    assert isinstance(view.context, Inline)
    large = json.loads(LARGE)
    assert json.loads(view.context.json) == {"base": 0, "photos": large, "u": large}


# -- as much as is read is enough


numbered = itertools.count()


@pytest.fixture(scope="module")
def opened() -> Iterator[tuple[asyncio.Runner, SqliteRecords]]:
    """One store for all examples; each has an instance of its own."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        store = SqliteRecords(Path(folder) / "records.sqlite")
        runner.run(store.open())
        yield runner, store
        runner.run(store.close())


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(min_value=0, max_value=2**32))
def test_what_is_read_of_the_tree_is_enough(opened: tuple[asyncio.Runner, SqliteRecords], seed: int) -> None:
    runner, store = opened
    source = random.Random(seed)
    id = f"instance {next(numbered)}"
    events: list[InstanceChanged] = []
    with small_limits(source):
        world = World(source)
        world.on_event = lambda _, event: events.append(event)
        world.answer(world.create(id, Grower(source, 0.2).workflow(20)))
        for number in range(source.randint(1, 4)):
            path = "#" if number == 0 else some_path(source, known_paths(world.storage.shelves[id]))
            world.answer(
                world.call(Execute(id, path, source.choice(list(Mode)), source.choice(list(Upstream))))
            )
            world.rest()
    runner.run(compare(store, world, id, events))


async def compare(store: SqliteRecords, world: World, id: str, events: list[InstanceChanged]) -> None:
    await store.commit(events, 0)
    shelf = world.storage.shelves[id]
    reader = TaskReader(store, 1_000_000)
    whole = Derivation(shelf.record.plan, shelf.record.data or NULL, shelf.tasks)
    for path in known_paths(shelf):
        view = await reader.view(id, path)
        assert view.instance is not None
        assert view.task is not None, path
        inputs, record = whole.inputs_of(path), shelf.tasks.get(path)
        assert inputs is not None
        assert isinstance(view.context, Inline)
        base = shelf.record.base_context or NULL
        assert json.loads(view.context.json) == build(base, inputs.layers, shelf.read), path
        values = Materialiser(store, view.instance, 1_000_000)
        if view.task.argument is not None and (record is None or record.argument is None):
            assert json.loads(await values.json(view.task.argument)) == shelf.read(inputs.argument), path
        joined = whole.joined_at(path)
        if joined is not None:
            assert view.task.body is not None
            assert json.loads(await values.json(view.task.body)) == shelf.read(joined), path
            assert json.loads(await values.json(Stored(path, 0))) == shelf.read(joined), path
