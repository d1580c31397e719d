"""Selection: which tasks an execute or a cancel is about.

A pattern is resolved against the tree when the call is accepted; the outcome is a :class:`Pick`, a small
tree that says at each node whether everything from there on is meant, and in which sense.
"""

from __future__ import annotations

from enum import Enum

from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.paths import Pattern
from taskpath_proto.records import Mode
from taskpath_services.scheduler.node import Key, Kind, Node, Tree
from taskpath_services.scheduler.statuses import FAILED, INACTIVE, is_done


class Take(Enum):
    """Which tasks of a part of the tree are to be run."""

    ALL = "all"
    """every one"""
    STALE = "stale"
    """those that are not done, or stale"""
    FAILED = "failed"
    """those that failed, or never ran"""
    HELD = "held"
    """those that never ran"""


def takes(take: Take, status: int, bound: int, threshold: int) -> bool:
    """Whether a task is to be run when it is reached.

    Args:
        take: how its part of the tree is picked.
        status: the task's.
        bound: the task's.
        threshold: the greatest ``left`` before it.
    """
    if take is Take.ALL:
        return True
    if take is Take.STALE:
        return not (is_done(status) and bound > threshold)
    if take is Take.FAILED:
        return status in (FAILED, INACTIVE)
    return status == INACTIVE


class Pick:
    """What is picked at and below a node.

    Attributes:
        take: how everything here and below is picked, where nothing nearer says otherwise; None if it is not.
        own: how the node's own function is picked.
        children: by name or index, what is picked there.
        every: what is picked at every other child.
    """

    __slots__ = ("children", "every", "own", "take")

    def __init__(self, take: Take | None = None) -> None:
        self.take = take
        self.own = take
        self.children: dict[Key, Pick] = {}
        self.every: Pick | None = None

    def below(self, key: Key) -> Pick | None:
        """What is picked at a child."""
        found = self.children.get(key)
        if found is not None:
            return found
        if self.every is not None:
            return self.every
        return WHOLE[self.take] if self.take is not None else None

    def merge(self, other: Pick) -> Pick:
        """What either of two picks of the same sense takes."""
        if self.take is not None:
            return self
        if other.take is not None:
            return other
        merged = Pick()
        merged.own = self.own or other.own
        for key in [*self.children, *other.children]:
            mine, theirs = self.children.get(key), other.children.get(key)
            merged.children[key] = mine.merge(theirs) if mine and theirs else (mine or theirs or merged)
        merged.every = (
            self.every.merge(other.every) if self.every and other.every else self.every or other.every
        )
        return merged


WHOLE = {take: Pick(take) for take in Take}


def resolve(tree: Tree, text: str, mode: Mode) -> Pick:
    """The tasks that a path or pattern stands for.

    Raises:
        TaskpathError: INVALID_PATH, or CANNOT_FIND_TASK if there is none.
    """
    pattern = Pattern(text)
    take = {Mode.ALL: Take.ALL, Mode.STALE: Take.STALE, Mode.FAILED: Take.FAILED}[mode]
    pick = _resolve(tree.root, pattern.steps, take)
    if pick is None:
        raise TaskpathError(
            ErrorCode.CANNOT_FIND_TASK,
            f"There is no task {text} in this instance."
            if pattern.is_path
            else f"No task of this instance matches {text}.",
            path=text,
        )
    return pick


def _resolve(node: Node, steps: tuple[str, ...], take: Take) -> Pick | None:
    if not steps:
        return WHOLE[take]
    if node.group is None:
        return None
    step, rest = steps[0], steps[1:]
    if step == "**":
        return _at_any_depth(node, rest, take)
    if step.startswith("["):
        return _items(node, step, rest, take)
    pick = Pick()
    for name, child in node.inside.by_name.items():
        if step in ("*", name):
            found = _resolve(child, rest, take)
            if found is not None:
                pick.children[name] = found
    return pick if pick.children else None


def _items(node: Node, step: str, rest: tuple[str, ...], take: Take) -> Pick | None:
    items = node.inside.children if node.kind is Kind.FOREACH else []
    pick = Pick()
    if step != "[*]":
        index = int(step[1:-1])
        if index >= len(items):
            return None
        one = items[index]
        found = _resolve(one, rest, take) if one is not None else _untouched(node, rest, take)
        if found is None:
            return None
        pick.children[index] = found
        return pick
    if not items:
        return None
    if not rest:
        pick.every = WHOLE[take]
        return pick
    for index, item in enumerate(items):
        found = _resolve(item, rest, take) if item is not None else _untouched(node, rest, take)
        if found is not None:
            pick.children[index] = found
    return pick if pick.children else None


def _untouched(foreach: Node, rest: tuple[str, ...], take: Take) -> Pick | None:
    """What is picked in an item that has not been reached: by its description alone."""
    if not rest:
        return WHOLE[take]
    item = Tree(foreach.spec.subtasks or ()).root
    return _resolve(item, rest, take)


def _at_any_depth(node: Node, rest: tuple[str, ...], take: Take) -> Pick | None:
    pick = Pick()
    if not rest:
        if not node.inside.children:
            return None
        pick.every = WHOLE[take]
        return pick
    for child in node.inside.children:
        if child is None:
            continue
        here, deeper = _resolve(child, rest, take), _resolve(child, ("**", *rest), take)
        found = here.merge(deeper) if here and deeper else here or deeper
        if found is not None:
            pick.children[child.key] = found
    return pick if pick.children else None


def overlap(one: Pick, other: Pick, node: Node) -> Node | None:
    """A task that both picks take, or None; ``node`` is where both stand."""
    if node.group is None:
        return node if one.take is not None and other.take is not None else None
    if one.take is not None and other.take is not None and not one.children and not other.children:
        return node
    if one.own is not None and other.own is not None and node.inside.own is not None:
        return node
    keys = _keys(one, node) if one.take is None and one.every is None else _keys(other, node)
    for key in keys:
        mine, theirs = one.below(key), other.below(key)
        if mine is None or theirs is None:
            continue
        child = child_of(node, key)
        if child is None:
            if mine.take is not None or theirs.take is not None:
                return node
            continue
        found = overlap(mine, theirs, child)
        if found is not None:
            return found
    return None


def child_of(node: Node, key: Key) -> Node | None:
    """The child of a group with a key, if it has been reached (an item may be gone, too)."""
    if isinstance(key, str):
        return node.inside.by_name.get(key)
    return node.inside.children[key] if key < len(node.inside.children) else None


def _keys(pick: Pick, node: Node) -> list[Key]:
    if pick.take is None and pick.every is None:
        return list(pick.children)
    return [child.key if child is not None else index for index, child in enumerate(node.inside.children)]
