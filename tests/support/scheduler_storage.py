"""A storage that only merges, and looks closely at what it is asked to merge."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET

from taskpath_proto import paths
from taskpath_proto.events import InstanceChanged, InstanceDeleted
from taskpath_proto.plan import TaskSpec
from taskpath_proto.queries import InstanceLoaded
from taskpath_proto.records import InstanceChange, InstanceRecord, TaskChange, TaskRecord, TaskStatus
from taskpath_proto.values import Blob, Inline, Item, Joined, Stored, Value
from tests.support.scheduler_behaviour import plain

_TASK_FIELDS: Final = tuple(name for name in TaskChange.__struct_fields__ if name != "path")
_INSTANCE_FIELDS: Final = InstanceChange.__struct_fields__
_PROGRESS: Final = {
    TaskStatus.INACTIVE: 0,
    TaskStatus.QUEUED: 1,
    TaskStatus.RUNNING: 2,
    TaskStatus.OK: 3,
    TaskStatus.FAILED: 3,
    TaskStatus.SKIPPED: 3,
    TaskStatus.CANCELLED: 3,
}


class Shelf:
    """What is stored of one instance.

    Attributes:
        record: of the instance.
        tasks: the records of its tasks, by path.
        finished: which attempts have ended ok, as (path, attempt).
    """

    def __init__(self, id: str) -> None:
        self.record = InstanceRecord(id=id)
        self.tasks: dict[str, TaskRecord] = {}
        self.finished: set[tuple[str, int]] = set()
        self._specs: dict[str, TaskSpec] = {}

    def spec(self, path: str) -> TaskSpec | None:
        """The description of a task; None if the tree has no such task."""
        if not self._specs:
            pending = [(paths.ROOT, spec) for spec in self.record.plan.tasks]
            while pending:
                above, spec = pending.pop()
                here = self._specs[paths.child(above, spec.name)] = spec
                pending.extend((paths.child(above, spec.name), sub) for sub in here.subtasks or ())
        return self._specs.get(plain(path))

    def read(self, value: Value | None) -> Any:
        """The JSON value that a value stands for."""
        match value:
            case None:
                return None
            case Inline():
                return msgspec.json.decode(value.json)
            case Item():
                return self.read(value.of)[value.index]
            case Stored():
                return self.read(self.tasks[value.path].body)
            case Joined(shape="dict"):
                return {name: self.read(part) for name, part in value.parts}
            case Joined():
                return [self._result(paths.item(value.path, index)) for index in range(value.count)]
            case Blob():
                raise AssertionError("Nothing here is that large.")

    def _result(self, path: str) -> Any:
        """What a task hands on, from the records alone."""
        record = self.tasks.get(path)
        if record is None or record.status is not TaskStatus.OK:
            return None
        spec = self.spec(path)
        assert spec is not None
        if spec.foreach is not None and not path.endswith("]"):
            return [self._result(paths.item(path, index)) for index in range(record.count or 0)]
        if spec.subtasks is None:
            return self.read(record.body)
        parts = {}
        for sub in spec.subtasks:
            child = paths.child(path, sub.name)
            if child in self.tasks and self.tasks[child].status is TaskStatus.OK:
                parts[sub.name] = self._result(child)
        return parts

    def apply(self, event: InstanceChanged) -> None:
        """Takes a change that follows the last one."""
        record = self.record
        assert event.epoch >= record.epoch, "an older owner still speaks"
        assert event.base_revision == record.revision, (event.base_revision, record.revision)
        assert event.revision == event.base_revision + 1
        named = [change.path for change in event.tasks]
        assert len(named) == len(set(named)), "a task is named twice"
        before = {path: (task.status, task.attempt) for path in named if (task := self.tasks.get(path))}
        before = {
            path: known
            for path, known in before.items()
            if not any(paths.is_under(path, gone) for gone in event.removed)
        }
        counter = record.counter
        self.merge(event)
        assert record.counter >= counter
        for path in named:
            self._check_step(self.tasks[path], *before.get(path, (TaskStatus.INACTIVE, 0)))

    def merge(self, event: InstanceChanged) -> None:
        """Merges a change into what is stored."""
        record = self.record
        record.epoch, record.revision = event.epoch, event.revision
        for path in event.removed:
            for known in [known for known in self.tasks if paths.is_under(known, path)]:
                del self.tasks[known]
        before = self.tasks
        if event.whole:
            self.tasks = {}
        for change in event.tasks:
            self._merge(change, before.get(change.path), event.revision)
        if event.instance is not None:
            for name in _INSTANCE_FIELDS:
                value = getattr(event.instance, name)
                if value is not UNSET:
                    setattr(record, name, value)
            if event.instance.plan is not UNSET:
                self._specs = {}

    def _merge(self, change: TaskChange, before: TaskRecord | None, revision: int) -> None:
        path = change.path
        body = before.body if before is not None else None
        task = self.tasks.get(path)
        if task is None:
            task = self.tasks[path] = TaskRecord(path=path)
        for name in _TASK_FIELDS:
            value = getattr(change, name)
            if value is not UNSET:
                setattr(task, name, value)
        if isinstance(change.body, Stored) and change.body.path == path:
            # It stands for what is stored here.
            task.body = body
        task.revision = revision

    def _check_step(self, task: TaskRecord, status: TaskStatus, attempt: int) -> None:
        path = task.path
        if task.own is not None or task.rollup is not None:
            return
        skipped = task.status is TaskStatus.SKIPPED
        assert task.attempt >= attempt - (1 if skipped else 0), (path, "an attempt's number went back")
        if task.attempt == attempt and attempt and not skipped:
            assert _PROGRESS[task.status] >= _PROGRESS[status], (
                path,
                status,
                task.status,
                "within one attempt",
            )
        if task.status is TaskStatus.OK:
            self.finished.add((path, task.attempt))

    def copy(self) -> Shelf:
        """The same, of its own."""
        other = Shelf(self.record.id)
        whole = InstanceLoaded(self.record, list(self.tasks.values()))
        loaded = msgspec.msgpack.decode(msgspec.msgpack.encode(whole), type=InstanceLoaded)
        assert loaded.instance is not None
        other.record, other.tasks = loaded.instance, {task.path: task for task in loaded.tasks}
        return other


class Storage:
    """All instances, and who may change them.

    Attributes:
        epoch: of the owner that has claimed the partition last.
        shelves: what is stored, by instance.
        graves: what was stored last of instances that are gone.
        refused: how many events of older owners were refused.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.shelves: dict[str, Shelf] = {}
        self.graves: dict[str, Shelf] = {}
        self.refused = 0

    def claim(self) -> tuple[int, list[str]]:
        """A new epoch, and the instances for which an owner has something to do."""
        self.epoch += 1
        records = [shelf.record for shelf in self.shelves.values()]
        return self.epoch, [one.id for one in records if one.runs or one.handlers or one.deleting]

    def apply(self, event: InstanceChanged | InstanceDeleted) -> bool:
        """Merges an event; whether it is not refused."""
        if event.epoch < self.epoch:
            self.refused += 1
            return False
        assert event.epoch == self.epoch
        if isinstance(event, InstanceDeleted):
            shelf = self.graves[event.id] = self.shelves.pop(event.id)
            record = shelf.record
            assert event.revision == record.revision + 1
            ended = record.ephemeral and record.status.ended
            assert event.status == (record.status if ended else None)
            return True
        if event.id not in self.shelves:
            self.shelves[event.id] = Shelf(event.id)
        self.shelves[event.id].apply(event)
        return True

    def load(self, id: str) -> InstanceLoaded:
        """Everything of an instance, as a copy."""
        shelf = self.shelves.get(id)
        if shelf is None:
            return InstanceLoaded()
        copy = shelf.copy()
        return InstanceLoaded(copy.record, list(copy.tasks.values()))
