"""Restoring: an instance from its records, with its runs taken up where they were."""

from __future__ import annotations

from taskpath_proto.records import InstanceRecord, TaskRecord
from taskpath_proto.values import NULL, Inline, Stored
from taskpath_services.scheduler.execute import picked
from taskpath_services.scheduler.frames import Run
from taskpath_services.scheduler.instance import Identity, Instance
from taskpath_services.scheduler.node import Kind, Node
from taskpath_services.scheduler.statuses import CODES
from taskpath_services.scheduler.walk import begin, drain


def restore(
    record: InstanceRecord, tasks: list[TaskRecord], partition: int, epoch: int, now: int
) -> Instance:
    """The instance as its records say, under a new owner.

    What was out at executors is sent out again, as the same attempts: the bus of one process loses what was
    out with the process.

    Args:
        record: the instance's record.
        tasks: the records of its tasks.
        partition: of the instance.
        epoch: of the new owner.
        now: the time, ms since epoch.
    """
    identity = Identity(
        id=record.id,
        partition=partition,
        realm=record.realm,
        workflow=record.workflow,
        name=record.name,
        data=record.data or NULL,
        base_context=record.base_context or Inline("{}"),
        ephemeral=record.ephemeral,
        plan=record.plan,
        plan_version=record.plan_version,
        created_at=record.created_at,
        creation_key=record.creation_key,
    )
    instance = Instance(identity, epoch, now)
    instance.revision = record.revision
    instance.counter = record.counter
    instance.started_at = record.started_at
    instance.finished_at = record.finished_at
    _restore_tasks(instance, tasks)
    instance.status = record.status
    instance.progress = record.progress
    instance.touched.clear()
    for run in record.runs:
        begin(instance, Run(run, picked(instance.tree, run.path, run.mode, run.upstream)))
    drain(instance)
    return instance


def _restore_tasks(instance: Instance, tasks: list[TaskRecord]) -> None:
    by_depth = sorted(tasks, key=lambda task: task.path.count(".") + task.path.count("["))
    groups: list[tuple[Node, TaskRecord]] = []
    for task in by_depth:
        node = _node(instance, task.path)
        if node is None:
            continue
        node.bound, node.left, node.attempt, node.command = task.bound, task.left, task.attempt, task.command
        node.execution_time, node.duration, node.executor = task.execution_time, task.duration, task.executor
        version = task.command[1] if task.command is not None else 0
        body = task.body
        node.result = Stored(body.path, body.size, version) if isinstance(body, Stored) else body
        node.updaters = task.updaters
        if task.updaters is not None:
            above = node.parent
            while above is not None:
                above.inside.updated += 1
                above = above.parent
        if task.attempts or task.retry is not None or task.progress is not None or task.error is not None:
            notes = node.note()
            notes.attempts, notes.retry, notes.progress = task.attempts, task.retry, task.progress
            notes.error = task.error
        if node.group is None:
            instance.set_status(node, CODES[task.status])
        else:
            _restore_group(instance, node, task)
            groups.append((node, task))
    for node, task in reversed(groups):
        if node.kind is Kind.FOREACH:
            node.inside.bounds = dict(task.bounds)
        node.inside.joined = not node.inside.children and task.left > 0
        instance.refresh(node)


def _restore_group(instance: Instance, node: Node, task: TaskRecord) -> None:
    inside = node.inside
    inside.own_left = task.own_left
    inside.items = task.items
    if task.count is not None:
        instance.tree.resize(node, task.count)
    if task.own is not None:
        instance.set_own(node, CODES[task.own])


def _node(instance: Instance, path: str) -> Node | None:
    """The node of a record; an item's is made. None if the tree has no such task any more."""
    node = instance.tree.nodes.get(path)
    if node is None and path.endswith("]"):
        at = path.rindex("[")
        foreach = instance.tree.nodes.get(path[:at])
        index = int(path[at + 1 : -1])
        if foreach is not None and foreach.kind is Kind.FOREACH and index < len(foreach.inside.children):
            node = instance.tree.item(foreach, index)
    return node
