"""Readiness: whether everything that stands before the tasks of a call is done and fresh."""

from __future__ import annotations

from collections.abc import Iterator

from taskpath.staleness import after
from taskpath_services.scheduler.node import Kind, Node, Tree
from taskpath_services.scheduler.selection import Pick, existing, is_sequence, last_picked
from taskpath_services.scheduler.statuses import is_done


def first_unready(tree: Tree, pick: Pick, *, lists: bool = False) -> Node | None:
    """The first task outside a pick that stands before a picked one and is not done, or stale.

    Args:
        tree: the instance's.
        pick: what a call names.
        lists: whether a foreach on the way counts whose list is older than what stands before it; it will
            read its list again when it is reached.
    """
    return _first_unready(tree, tree.root, pick, 0, lists, whole=False)


def _first_unready(
    tree: Tree, node: Node, pick: Pick, threshold: int, lists: bool, *, whole: bool
) -> Node | None:
    """The same in a group of which some is picked.

    Args:
        tree: the instance's.
        node: the group.
        pick: what is picked in it.
        threshold: the greatest ``left`` before it.
        lists: whether the age of lists counts.
        whole: whether something after the group is picked, too, so that everything in it counts.
    """
    if pick.take is not None:
        return None
    inside = node.inside
    if inside.own is not None:
        old = node.bound <= threshold and (lists or node.kind is Kind.GROUP)
        if old or not is_done(inside.own):
            return node
        threshold = after(threshold, True, inside.own_left)
    sequence = is_sequence(node)
    last = last_picked(node, pick) if sequence else -1
    for child, below in _judged(tree, node, pick, lists, whole):
        if sequence and not whole and child.position > last:
            break
        counts = whole or child.position < last
        found = (
            _first_unready(tree, child, below, threshold, lists, whole=counts)
            if below is not None
            else first_stale(child, threshold)
            if counts
            else None
        )
        if found is not None:
            return found
        if sequence:
            threshold = after(threshold, is_done(child.status), child.left)
    return None


def _judged(
    tree: Tree, node: Node, pick: Pick, lists: bool, whole: bool
) -> Iterator[tuple[Node, Pick | None]]:
    """The children of a group that may be in the way, with what is picked of them."""
    children = node.inside.children
    if node.kind is not Kind.FOREACH:
        for child in children:
            if child is not None:
                yield child, pick.below(child.key)
        return
    untouched: set[Pick | None] = set()
    named = pick.items.indices(len(children)) if pick.items is not None else ()
    for index in range(len(children)) if whole else named:
        item, below = children[index], pick.below(index)
        if item is None:
            if below in untouched or (below is not None and below.take is not None):
                continue
            untouched.add(below)
            item = tree.item(node, index)
        yield item, below if below is None or lists else existing(item, below)


def first_stale(node: Node, threshold: int) -> Node | None:
    """The first task at or below a node that is not done, or stale."""
    if not is_done(node.status):
        return node
    if node.group is None:
        return node if node.bound <= threshold else None
    inside = node.inside
    if inside.own is not None:
        if node.bound <= threshold:
            return node
        threshold = after(threshold, is_done(inside.own), inside.own_left)
    if node.kind is Kind.FOREACH and node.spec.subtasks is None:
        stale = any(count for bound, count in inside.bounds.items() if bound <= threshold)
        if not stale:
            return None
    for child in inside.children:
        if child is None:
            continue
        found = first_stale(child, threshold)
        if found is not None:
            return found
        if is_sequence(node):
            threshold = after(threshold, is_done(child.status), child.left)
    return None
