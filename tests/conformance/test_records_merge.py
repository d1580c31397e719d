"""A stored record is all its changes merged, whatever they are and however they are grouped."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.events import InstanceChanged
from taskpath_proto.plan import Handler, Plan, RetrySpec, TaskSpec
from taskpath_proto.records import (
    AttemptRecord,
    AttemptStatus,
    CommandRecord,
    HandlerRecord,
    InstanceChange,
    InstanceProgress,
    InstanceRecord,
    InstanceStatus,
    Mode,
    Progress,
    RetryState,
    Rollup,
    RunRecord,
    TaskChange,
    TaskRecord,
    TaskStatus,
)
from taskpath_proto.values import KEEP_BYTES, Blob, Inline, Item, Joined, Stored, Value
from taskpath_services.storage.records.contract import OWN, Outcome, RecordStore
from taskpath_services.storage.records.dynamodb.store import DynamoRecords
from tests.support.record_stores import STORES, new_store

texts = st.text(alphabet='aé"\\@ \x00\u2028😀', max_size=4)
numbers = st.integers(min_value=0, max_value=2**53 - 1)
fractions = st.floats(min_value=0, max_value=1)
inlines = st.builds(
    Inline, st.sampled_from(['"@error"', "null", '{"a":null}', '"\\u0000 é"', "[1.5]", "9" * 1100])
)
values: st.SearchStrategy[Value] = st.one_of(
    inlines,
    st.just(Inline("9" * 1100)),
    st.builds(Stored, st.sampled_from(["#.other", "#.x"]), numbers),
    st.builds(Blob, st.just("#.other"), st.just("items"), numbers, numbers),
    st.builds(Item, st.builds(Stored, st.just("#.x"), numbers), numbers),
    st.builds(
        Joined,
        st.just("#.g"),
        st.just("dict"),
        numbers,
        st.lists(st.tuples(texts, inlines), max_size=2).map(tuple),
    ),
)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
errors = st.builds(
    ErrorInfo,
    st.sampled_from(ErrorCode),
    texts,
    path=st.none() | texts,
    type=st.none() | texts,
    traceback=st.none() | texts,
    details=st.none() | st.dictionaries(texts, json_values, max_size=3),
)
retries = st.builds(RetryState, try_=numbers, attempts=numbers, next_at=st.none() | numbers)
progresses = st.builds(Progress, fractions, st.none() | texts)
attempts = st.lists(
    st.builds(AttemptRecord, numbers, st.sampled_from(AttemptStatus), error=st.none() | errors), max_size=2
).map(tuple)
counts = st.lists(st.tuples(numbers, numbers), max_size=3).map(tuple)


def some_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A few of the fields: small changes, so that many meet in one record."""
    pairs = st.one_of([st.tuples(st.just(name), strategy) for name, strategy in fields.items()])
    return st.lists(pairs, min_size=2, max_size=5).map(dict)


none = st.none()
task_values: dict[str, st.SearchStrategy[Any]] = {
    "status": st.sampled_from(TaskStatus),
    "bound": numbers,
    "left": numbers,
    "own_left": numbers,
    "attempt": numbers,
    "losses": numbers,
    "command": st.tuples(numbers, numbers),
    "execution_time": none | numbers,
    "duration": none | numbers,
    "executor": none | texts,
    "body": none | values,
    "error": none | errors,
    "argument": none | values,
    "updaters": none | values,
    "retry": none | retries,
    "progress": none | progresses,
    "attempts": attempts,
    "own": none | st.sampled_from(TaskStatus),
    "items": none | values,
    "count": none | numbers,
    "rollup": st.builds(Rollup, numbers, numbers),
    "bounds": counts,
    "reason": none | texts,
    "joining": none | st.sampled_from(TaskStatus),
    "segment": none | st.tuples(numbers, numbers),
}
# What is merged with difficulty comes often.
task_fields = some_of(**task_values, error_=errors, retry_=retries, progress_=progresses)
changes = st.builds(
    lambda path, fields: TaskChange(path=path, **{name.rstrip("_"): value for name, value in fields.items()}),
    st.sampled_from(["#.x", "#.x", "#.fan[1]"]),
    task_fields,
)
specs = st.builds(
    TaskSpec,
    name=st.sampled_from(["a", "b"]),
    retry=st.none() | st.builds(RetrySpec, attempts=numbers),
    subtasks=st.none() | st.lists(st.builds(TaskSpec, name=st.just("c")), max_size=2).map(tuple),
    foreach=st.none() | st.just(True) | texts,
)
plans = st.builds(Plan, tasks=st.lists(specs, max_size=2).map(tuple), queue=st.sampled_from(["default", "q"]))
runs = st.lists(
    st.builds(RunRecord, numbers, mode=st.sampled_from(Mode), argument=st.none() | values), max_size=2
).map(tuple)
handlers = st.lists(
    st.builds(HandlerRecord, numbers, st.sampled_from(Handler), error=none | errors), max_size=2
).map(tuple)
commands = st.lists(st.builds(CommandRecord, texts, texts, numbers, numbers), max_size=2).map(tuple)
instance_values: dict[str, st.SearchStrategy[Any]] = {
    "realm": texts,
    "workflow": texts,
    "name": none | texts,
    "data": values,
    "base_context": values,
    "ephemeral": st.booleans(),
    "plan": plans,
    "plan_version": numbers,
    "counter": numbers,
    "runs": runs,
    "status": st.sampled_from(InstanceStatus),
    "progress": st.builds(InstanceProgress, numbers, fraction=fractions),
    "created_at": numbers,
    "updated_at": numbers,
    "started_at": none | numbers,
    "finished_at": none | numbers,
    "creation_key": none | texts,
    "handlers": handlers,
    "commands": commands,
    "deleting": st.booleans(),
    "calls": st.lists(numbers, max_size=3).map(tuple),
}
instance_changes = st.builds(lambda fields: InstanceChange(**fields), some_of(**instance_values))
events = st.tuples(st.lists(changes, min_size=1, max_size=4), none | instance_changes)
groups = st.lists(st.lists(events, min_size=1, max_size=4), min_size=2, max_size=5)


def merged(record: Any, change: Any) -> None:
    """The merge as a plain sentence: what is set replaces, what is not stays."""
    for field in msgspec.structs.fields(change):
        value = getattr(change, field.name)
        if value is not UNSET:
            setattr(record, field.name, value)


def expected(record: TaskRecord) -> TaskRecord:
    """The record as an owner loads it: its own large values by reference."""
    record = msgspec.structs.replace(record)
    for name in ("body", "argument", "updaters", "items"):
        value = getattr(record, name)
        if isinstance(value, Inline) and len(value.json.encode()) > KEEP_BYTES:
            size = len(value.json.encode())
            reference = Stored(record.path, size) if name == "body" else Blob(record.path, name, OWN, size)
            setattr(record, name, reference)
    return record


@pytest.fixture(scope="module", params=STORES)
def opened(request: pytest.FixtureRequest) -> Iterator[tuple[asyncio.Runner, RecordStore]]:
    """One store for all examples; each has an instance of its own."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        store = new_store(request.param, request, Path(folder))
        runner.run(store.open())
        yield runner, store
        runner.run(store.close())


numbered = itertools.count()


async def check(
    store: RecordStore, written: list[list[tuple[list[TaskChange], InstanceChange | None]]]
) -> None:
    id = f"instance {next(numbered)}"
    tasks: dict[str, TaskRecord] = {}
    instance = InstanceRecord(id=id, epoch=1)
    for group in written:
        batch = []
        for task_changes, instance_change in group:
            instance.revision += 1
            for change in task_changes:
                record = tasks.setdefault(change.path, TaskRecord(path=change.path))
                merged(record, change)
                record.revision = instance.revision
            if instance_change is not None:
                merged(instance, instance_change)
            base = instance.revision - 1
            batch.append(
                InstanceChanged(
                    id, 0, 1, instance.revision, base, tasks=task_changes, instance=instance_change
                )
            )
        assert await store.commit(batch, 0) == [Outcome.APPLIED] * len(batch)
    loaded = await store.load(id)
    assert loaded.instance == instance
    assert {task.path: task for task in loaded.tasks} == {
        path: expected(task) for path, task in tasks.items()
    }
    for path, task in tasks.items():
        if instance.deleting:
            assert (await store.task(id, path)).instance is None
            continue
        shown = (await store.task(id, path)).task
        assert shown is not None
        assert (shown.body, shown.items, shown.updaters) == (
            task.body if not _refers_to_itself(task) else shown.body,
            task.items,
            task.updaters,
        )


def _refers_to_itself(task: TaskRecord) -> bool:
    return isinstance(task.body, Stored) and task.body.path == task.path


def test_every_field_is_tried() -> None:
    assert task_values.keys() == set(TaskChange.__struct_fields__) - {"path"}
    assert instance_values.keys() == set(InstanceChange.__struct_fields__)
    # A record has what its changes have, and what the store adds.
    assert set(TaskRecord.__struct_fields__) - set(TaskChange.__struct_fields__) == {"revision"}
    added = set(InstanceRecord.__struct_fields__) - set(InstanceChange.__struct_fields__)
    assert added == {"id", "epoch", "revision"}


def test_a_record_is_all_its_changes_merged(opened: tuple[asyncio.Runner, RecordStore]) -> None:
    runner, store = opened

    # The server in the place of DynamoDB is slow.
    @settings(max_examples=25 if isinstance(store, DynamoRecords) else 100)
    @given(written=groups)
    def merged_in_the_store(written: list[list[tuple[list[TaskChange], InstanceChange | None]]]) -> None:
        runner.run(check(store, written))

    merged_in_the_store()
