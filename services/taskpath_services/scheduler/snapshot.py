"""Snapshots: all that an owner knows of an instance, for a storage that has missed a change.

One that fits into one event is whole: it replaces what is stored. A larger one is said in parts, each of
which is a change of every field of its tasks: whoever dies between two of them leaves nothing behind that is
not true. They name what was never reached, too: where that stands, a storage that has missed another tree may
have a task that is gone. They take nothing away, so items that went with a lost change stay stored beyond the
end of their list.
"""

from __future__ import annotations

from typing import Final

from taskpath_proto.events import InstanceChanged
from taskpath_proto.records import InstanceChange, Rollup, TaskChange, TaskRecord
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Kind, Node, Tree
from taskpath_services.scheduler.statuses import NAMES

MOST_TASKS: Final = 1_000
"""How many tasks one event carries."""

_UNKNOWN: Final = ("path", "argument")
"""What is not to be said: an owner does not keep arguments."""

_FIELDS: Final = tuple(name for name in TaskChange.__struct_fields__ if name not in _UNKNOWN)

_NEVER_NONE: Final = ("command", "rollup")
"""What has no word for *none any more*: once there, it stays."""


def snapshot(instance: Instance) -> list[InstanceChanged]:
    """The events of a snapshot, each with a revision of its own."""
    known = _known(instance)
    reached = [record for record in known if record != TaskRecord(path=record.path)]
    whole = len(reached) <= MOST_TASKS
    changes = [
        change_between(TaskRecord(path=one.path), one, every=True) for one in (reached if whole else known)
    ]
    events: list[InstanceChanged] = []
    for start in range(0, max(1, len(changes)), MOST_TASKS):
        base = instance.revision
        instance.revision += 1
        events.append(
            InstanceChanged(
                id=instance.id,
                partition=instance.identity.partition,
                epoch=instance.epoch,
                revision=instance.revision,
                base_revision=base,
                tasks=changes[start : start + MOST_TASKS],
                instance=_instance(instance) if start == 0 else None,
                whole=whole,
            )
        )
    return events


def records_of(tree: Tree) -> list[TaskRecord]:
    """What a store would have of the tasks of a tree: the reverse of restoring them."""
    return [_record(node) for node in tree.nodes.values()]


def change_between(old: TaskRecord, new: TaskRecord, *, every: bool = False) -> TaskChange:
    """What makes one record of a task the other; with ``every``, whatever the old one is."""
    change = TaskChange(path=new.path)
    for name in _FIELDS:
        value = getattr(new, name)
        if (every or value != getattr(old, name)) and not (value is None and name in _NEVER_NONE):
            setattr(change, name, value)
    return change


def _known(instance: Instance) -> list[TaskRecord]:
    """What there is to be said, with the larger values that happen to be at hand."""
    found = records_of(instance.tree)
    for record in found:
        record.body = instance.at_hand(record.body) if record.body is not None else None
    return found


def _record(node: Node) -> TaskRecord:
    notes = node.notes
    record = TaskRecord(
        path=node.path,
        status=NAMES[node.status],
        bound=node.bound,
        left=node.left,
        attempt=node.attempt,
        command=node.command,
        execution_time=node.execution_time,
        duration=node.duration,
        executor=node.executor,
        body=node.result,
        updaters=node.updaters,
        segment=node.segment,
    )
    if notes is not None:
        record.attempts, record.retry, record.progress = notes.attempts, notes.retry, notes.progress
        record.error, record.reason, record.losses = notes.error, notes.reason, notes.losses
    if node.group is not None:
        inside = node.group
        record.own = NAMES[inside.own] if inside.own is not None else None
        record.own_left = inside.own_left
        record.items = inside.items
        record.joining = NAMES[inside.joining] if inside.joining is not None else None
        record.count = len(inside.children) if node.kind is Kind.FOREACH and inside.own_left else None
        record.bounds = tuple(sorted((bound, count) for bound, count in inside.bounds.items() if count))
        record.rollup = Rollup(sum(inside.rollup), *inside.rollup)
    return record


def _instance(instance: Instance) -> InstanceChange:
    identity = instance.identity
    return InstanceChange(
        realm=identity.realm,
        workflow=identity.workflow,
        name=identity.name,
        data=identity.data,
        base_context=identity.base_context,
        ephemeral=identity.ephemeral,
        plan=identity.plan,
        plan_version=identity.plan_version,
        counter=instance.counter,
        runs=tuple(run.record for run in instance.runs.values()),
        status=instance.status,
        progress=instance.progress,
        created_at=identity.created_at,
        updated_at=instance.now,
        started_at=instance.started_at,
        finished_at=instance.finished_at,
        creation_key=identity.creation_key,
        handlers=tuple(instance.handlers.values()),
        commands=tuple(instance.commands.values()),
        calls=tuple(instance.calls),
        deleting=instance.deleting,
    )
