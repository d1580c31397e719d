"""Update: changes of an instance from outside that are no execution: its name, its data, what a task left.

New data means a new plan: an executor applies the updater and calls the generator again. Tasks whose path
stays keep everything; what stands after an inserted task is stale by its numbers. Calls that arrive
meanwhile wait.
"""

from __future__ import annotations

from taskpath_proto.calls import Call
from taskpath_proto.commands import SetContextUpdaters, UpdateInstance
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.plan import Plan
from taskpath_proto.values import Inline, Value
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Node, Tree, leave_updaters
from taskpath_services.scheduler.restore import records_of, restore_tasks
from taskpath_services.scheduler.statuses import is_done


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
    old, records = instance.tree, records_of(instance.tree)
    identity.data, identity.plan = data, plan
    identity.plan_version += 1
    instance.tree = Tree(plan.tasks)
    kept = [record for record in records if _same_kind(old, instance.tree, record.path)]
    restore_tasks(instance, kept)
    instance.removed.extend(_gone(old, instance.tree))
    instance.touched.clear()
    for node in instance.tree.nodes.values():
        if node.group is not None:
            instance.change(node)
    noted = instance.noted
    noted.data, noted.plan, noted.plan_version = data, plan, identity.plan_version
    instance.changed = True


def _same_kind(old: Tree, new: Tree, path: str) -> bool:
    node = old.nodes[path]
    there = new.nodes.get(path)
    if there is None and isinstance(node.key, int) and node.parent is not None:
        above = new.nodes.get(node.parent.path)
        return above is not None and above.kind is node.parent.kind and _item_kind(above, node)
    return there is not None and there.kind is node.kind


def _item_kind(foreach: Node, item: Node) -> bool:
    return (foreach.spec.subtasks is None) == (item.group is None)


def _gone(old: Tree, new: Tree) -> list[str]:
    """The topmost paths that the new tree does not have."""
    gone: list[str] = []
    for path, node in old.nodes.items():
        if path in new.nodes or (node.parent is not None and node.parent.path not in new.nodes):
            continue
        if isinstance(node.key, int) and node.parent is not None:
            above = new.nodes[node.parent.path]
            if above.group is not None and node.key < len(above.group.children):
                continue
        gone.append(path)
    return gone


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
    if not node.spec.run or node.parent is None:
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
