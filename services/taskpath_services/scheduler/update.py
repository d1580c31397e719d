"""Update: changes of an instance from outside that are no execution: its name, its data, what a task left.

New data means a new plan: an executor applies the updater and calls the generator again. Tasks whose path
stays keep everything; what stands after an inserted task is stale by its numbers. Calls that arrive
meanwhile wait.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter

from msgspec.structs import replace

from taskpath_proto.calls import Call
from taskpath_proto.commands import SetContextUpdaters, UpdateInstance
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import TaskRecord
from taskpath_proto.values import Inline, Value
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import (
    Kind,
    Node,
    Tree,
    has_function,
    kind_of,
    leave_updaters,
    leaves_of,
)
from taskpath_services.scheduler.restore import restore_tasks
from taskpath_services.scheduler.snapshot import change_between, records_of
from taskpath_services.scheduler.statuses import is_done, is_finished


class Update:
    """New data that waits for its plan.

    Attributes:
        call: who asked for it.
        command: what was asked for.
        number: of the expansion.
        waiting: the calls that arrived meanwhile.
    """

    __slots__ = ("call", "command", "number", "waiting")

    def __init__(self, call: Call, command: UpdateInstance, number: int) -> None:
        self.call = call
        self.command = command
        self.number = number
        self.waiting: list[Call] = []


def refuse_while_running(instance: Instance) -> None:
    """Refuses what may not be changed while the instance runs.

    Raises:
        TaskpathError: CONFLICT.
    """
    if instance.runs:
        raise TaskpathError(
            ErrorCode.CONFLICT, "The instance is running; wait for its end, or cancel it, and try again."
        )


def rename(instance: Instance, name: str | None) -> None:
    """Gives an instance another name."""
    if instance.identity.name != name:
        instance.identity.name = instance.noted.name = name
        instance.changed = True


def replant(instance: Instance, plan: Plan, data: Value) -> None:
    """Gives an instance new data and a new plan."""
    identity = instance.identity
    before = {record.path: record for record in records_of(instance.tree)}
    staying, gone = _compared(instance.tree.root, plan)
    identity.data, identity.plan = data, plan
    identity.plan_version += 1
    instance.tree = Tree(plan.tasks)
    restore_tasks(instance, [_fitting(before[path], spec) for path, spec in staying.items()])
    for node in instance.tree.nodes.values():
        if node.kind is Kind.FOREACH:
            _recount(node)
    _join_anew(instance)
    instance.removed.extend(gone)
    instance.touched.clear()
    for record in records_of(instance.tree):
        node = instance.tree.nodes[record.path]
        old = before[record.path] if record.path in staying else TaskRecord(path=record.path)
        if record != old:
            instance.touched[node] = change_between(old, record)
    noted = instance.noted
    noted.data, noted.plan, noted.plan_version = data, plan, identity.plan_version
    instance.changed = True


def _compared(root: Node, plan: Plan) -> tuple[dict[str, TaskSpec], list[str]]:
    """Which tasks of a tree stay in a new plan, each with its new description; and the topmost that do not.

    A task stays if its path does, and what kind of task it is.
    """
    staying = {root.path: replace(root.spec, subtasks=plan.tasks)}
    gone: list[str] = []
    pending = [root]
    while pending:
        node = pending.pop()
        spec = staying[node.path]
        named = {sub.name: sub for sub in spec.subtasks or ()}
        for child in node.group.children if node.group is not None else ():
            if child is None:
                continue
            item = node.kind is Kind.FOREACH
            new = spec if item else named.get(child.spec.name)
            if new is not None and child.kind is kind_of(new, item=item):
                staying[child.path] = new
                pending.append(child)
            else:
                gone.append(child.path)
    return staying, gone


def _fitting(record: TaskRecord, spec: TaskSpec) -> TaskRecord:
    """A record as the new description of its task allows: what has no function has no result of it."""
    foreach = spec.foreach is not None and not record.path.endswith("]")
    if spec.subtasks is None or spec.run or foreach:
        return record
    if has_function(spec, foreach=False, item=record.path.endswith("]")):
        return replace(record, body=None, updaters=None)
    return replace(record, own=None, own_left=0, body=None, updaters=None, error=None)


def _join_anew(instance: Instance) -> None:
    """Groups that are done only now, as what was missing in them is gone, hand on something new."""
    for node in reversed(list(instance.tree.nodes.values())):
        if node.group is None or not is_done(node.status):
            continue
        changed = any(child is not None and child.left > node.left for child in node.group.children)
        if changed or node.group.own_left > node.left:
            node.left = instance.next()
            node.group.unjoined = False


def _recount(foreach: Node) -> None:
    """Counts anew which executions of a foreach bound what is finished below it."""
    bounds = foreach.inside.bounds
    known = sorted({0, *bounds})
    counts = Counter(
        known[bisect_right(known, leaf.bound) - 1] for leaf in leaves_of(foreach) if is_finished(leaf.status)
    )
    foreach.inside.bounds = {bound: counts[bound] for bound in known if counts[bound]}


def set_updaters(instance: Instance, command: SetContextUpdaters) -> None:
    """Replaces what a task's ``update_context`` left. What follows becomes stale, the task itself does not.

    Raises:
        TaskpathError: CANNOT_FIND_TASK, INVALID_REQUEST or CONFLICT.
    """
    node = instance.tree.nodes.get(command.path)
    if node is None:
        raise TaskpathError(
            ErrorCode.CANNOT_FIND_TASK,
            f"There is no task {command.path} in this instance, or it has not been reached yet.",
            path=command.path,
        )
    if not node.spec.run or node.kind in (Kind.ROOT, Kind.FOREACH):
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST,
            f"{command.path} has no function of its own; expected is a task that has one.",
            path=command.path,
        )
    refuse_while_running(instance)
    empty = isinstance(command.updaters, Inline) and command.updaters.json.strip() == "[]"
    updaters = None if empty else command.updaters
    leave_updaters(node, updaters)
    change = instance.change(node)
    change.updaters = updaters
    left = instance.next()
    if node.group is None:
        node.left = change.left = left
    else:
        node.inside.own_left = change.own_left = left
        if is_done(node.status):
            node.left = change.left = instance.next()
    above: Node | None = node.parent
    while above is not None:
        if is_done(above.status):
            above.left = instance.change(above).left = instance.next()
        above = above.parent
