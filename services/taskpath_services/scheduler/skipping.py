"""Skipping: what becomes of the tasks below a group whose condition is false."""

from __future__ import annotations

from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Kind, Node, leave_updaters
from taskpath_services.scheduler.statuses import SKIPPED


def skip_below(instance: Instance, node: Node) -> None:
    """A group was skipped: so is everything below it."""
    if node.kind is Kind.FOREACH:
        if node.inside.children:
            instance.resize(node, 0)
        node.inside.items = instance.change(node).items = None
        return
    for child in node.inside.children:
        if child is None:
            continue
        if child.group is None:
            instance.set_status(child, SKIPPED)
        elif child.inside.own is not None:
            instance.set_own(child, SKIPPED)
        if child.group is None or child.inside.own is not None:
            instance.bind(child, node.bound)
            _empty(instance, child)
        if child.group is not None:
            skip_below(instance, child)


def _empty(instance: Instance, node: Node) -> None:
    """What is skipped has no result, and leaves nothing."""
    change = instance.change(node)
    if node.result is not None:
        node.result = change.body = None
    if node.updaters is not None:
        leave_updaters(node, None)
        change.updaters = None
    if node.notes is not None:
        node.notes.error = change.error = None
