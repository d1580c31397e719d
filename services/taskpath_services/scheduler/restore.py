"""Restoring: an instance from its records, with its runs taken up where they were."""

from __future__ import annotations

from taskpath_proto.records import InstanceRecord, TaskRecord, TaskStatus
from taskpath_proto.values import NULL, Inline, Stored
from taskpath_services.scheduler import handlers
from taskpath_services.scheduler.execute import taken_up
from taskpath_services.scheduler.fleet import Fleet
from taskpath_services.scheduler.frames import Run
from taskpath_services.scheduler.instance import Identity, Instance
from taskpath_services.scheduler.joining import may_conflict
from taskpath_services.scheduler.node import Kind, Node, leave_updaters
from taskpath_services.scheduler.selection import Pick
from taskpath_services.scheduler.statuses import CODES, NAMES, is_active
from taskpath_services.scheduler.walk import begin, drain


def restore(
    record: InstanceRecord, tasks: list[TaskRecord], partition: int, epoch: int, now: int, fleet: Fleet
) -> Instance:
    """The instance as its records say, under a new owner.

    What was out at executors stays out if they may have outlived the last owner; what was out with a process
    that ended is sent again, as the same attempts.

    Args:
        record: the instance's record.
        tasks: the records of its tasks.
        partition: of the instance.
        epoch: of the new owner.
        now: the time, ms since epoch.
        fleet: the executors, as the partition knows them.
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
    instance = Instance(identity, epoch, now, fleet)
    instance.revision = record.revision
    instance.counter = record.counter
    instance.started_at = record.started_at
    instance.finished_at = record.finished_at
    instance.deleting = record.deleting
    instance.handlers = {handler.number: handler for handler in record.handlers}
    instance.commands = {command.key: command for command in record.commands}
    instance.calls = dict.fromkeys(record.calls)
    groups = restore_tasks(instance, tasks)
    instance.status = record.status
    instance.progress = record.progress
    instance.touched.clear()
    for run in record.runs:
        taken = taken_up(instance.tree, run)
        taken.reached = set()
        _reach(instance.tree.root, taken.pick, taken, taken.reached)
        begin(instance, taken)
    drain(instance)
    for node, status in groups:
        if NAMES[node.status] is not status:
            instance.change(node).status = NAMES[node.status]
    handlers.resume(instance)
    return instance


def restore_tasks(instance: Instance, tasks: list[TaskRecord]) -> list[tuple[Node, TaskStatus]]:
    """Restores the nodes of all records; gives the groups with the statuses that are stored."""
    by_depth = sorted(tasks, key=lambda task: task.path.count(".") + task.path.count("["))
    groups: list[tuple[Node, TaskRecord]] = []
    for task in by_depth:
        node = _node(instance, task.path)
        if node is None:
            continue
        node.bound, node.left, node.attempt, node.command = task.bound, task.left, task.attempt, task.command
        node.execution_time, node.duration, node.executor = task.execution_time, task.duration, task.executor
        node.segment = task.segment
        version = task.command[1] if task.command is not None else 0
        body = task.body
        node.result = Stored(body.path, body.size, version) if isinstance(body, Stored) else body
        leave_updaters(node, task.updaters)
        if any((task.attempts, task.retry, task.progress, task.error, task.reason, task.losses)):
            notes = node.note()
            notes.reason, notes.losses = task.reason, task.losses
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
        inside = node.inside
        inside.joined = not inside.children and task.left > 0
        inside.unjoined = (
            (inside.joining is not None and is_active(inside.joining))
            or inside.own_left > node.left
            or any(child is not None and child.left > node.left for child in inside.children)
        )
        instance.refresh(node)
    return [(node, task.status) for node, task in groups]


def _reach(node: Node, pick: Pick, run: Run, reached: set[Node]) -> None:
    """Collects what a run has begun, and what joins it has made, at or below a group."""
    if pick.own is not None and node.bound > run.number:
        reached.add(node)
    if node.group is None:
        return
    if node.left > run.number and may_conflict(node):
        run.judged.add(node)
    for child in node.group.children:
        below = pick.below(child.key) if child is not None else None
        if child is None or below is None:
            continue
        _reach(child, below, run, reached)
        if child in reached:
            reached.add(node)
        if child in run.judged:
            run.judged.add(node)


def _restore_group(instance: Instance, node: Node, task: TaskRecord) -> None:
    inside = node.inside
    inside.own_left = task.own_left
    inside.items = task.items
    if task.joining is not None:
        inside.joining = CODES[task.joining]
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
