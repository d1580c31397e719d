"""Selection: which tasks an execute is about.

A pattern is resolved against the plan when the call is accepted, and again when an instance is restored; the
outcome is a :class:`Pick`, a small tree that says at each task whether everything from there on is meant, and
in which sense. The items of a foreach are told apart only when they are reached, so a pick is as small as the
plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple, TypeAlias

from taskpath.staleness import NEVER
from taskpath_proto import paths
from taskpath_proto.plan import TaskSpec
from taskpath_services.scheduler.node import Key, Kind, Node, Tree, has_function
from taskpath_services.scheduler.statuses import FAILED, INACTIVE, is_active, is_done

Steps: TypeAlias = tuple[str, ...]


class Take(Enum):
    """Which tasks of a part of the tree are to be run."""

    ALL = "all"
    """every one"""
    STALE = "stale"
    """those that are not done, or stale"""
    FAILED = "failed"
    """those that failed, and those that they held up"""
    HELD = "held"
    """those that never ran because of what is run now"""


def takes(take: Take, status: int, bound: int, threshold: int, held: bool) -> bool:
    """Whether a task is to be run when it is reached.

    Args:
        take: how its part of the tree is picked.
        status: the task's.
        bound: the task's.
        threshold: the greatest ``left`` before it.
        held: whether something before it was run by the same run.
    """
    if take is Take.ALL:
        return True
    if take is Take.STALE:
        return not (is_done(status) and bound > threshold)
    if take is Take.FAILED and status == FAILED:
        return True
    return held and status == INACTIVE and threshold < NEVER


class Pick:
    """What is picked at and below a task.

    Attributes:
        take: how everything here and below is picked; None if only some of it is.
        own: how the task's own function is picked.
        children: of a group, what is picked of its subtasks, by name.
        items: of a foreach, what is picked of its items.
    """

    __slots__ = ("children", "items", "own", "take")

    def __init__(self, take: Take | None = None) -> None:
        self.take = take
        self.own = take
        self.children: dict[str, Pick] = {}
        self.items: Items | None = None

    def below(self, key: Key) -> Pick | None:
        """What is picked at a child."""
        if self.take is not None:
            return WHOLE[self.take]
        if isinstance(key, int):
            return self.items.at(key) if self.items is not None else None
        return self.children.get(key)


WHOLE = {take: Pick(take) for take in Take}


class Around(NamedTuple):
    """What is picked besides what a pattern stands for.

    Attributes:
        upstream: what stands before it and is not fresh.
        held: what stands after it and was held up.
        before: whether something that the pattern stands for comes after all that is looked at.
        after: whether something that the pattern stands for comes before it.
    """

    upstream: bool = False
    held: bool = False
    before: bool = False
    after: bool = False

    @property
    def rest(self) -> Pick | None:
        """How what the pattern does not stand for is picked here."""
        if self.upstream and self.before:
            return WHOLE[Take.STALE]
        return WHOLE[Take.HELD] if self.held and self.after else None

    @property
    def own(self) -> Take | None:
        """How the function of a group is picked that the pattern stands for some tasks below of."""
        if self.upstream:
            return Take.STALE
        return Take.HELD if self.held and self.after else None


class Items:
    """What is picked of the items of a foreach.

    Args:
        spec: of the foreach.
        states: what is left of the pattern's steps, in every way to read them; the first is for the item.
        take: how what the pattern stands for is picked.
        around: what is picked besides.
    """

    __slots__ = ("_around", "_known", "all", "named", "spec", "states", "take")

    def __init__(
        self, spec: TaskSpec, states: frozenset[Steps], take: Take, around: Around | None = None
    ) -> None:
        self.spec = spec
        self.states = states
        self.take = take
        self.all = any(steps[0] in ("**", "[*]") for steps in states)
        self.named = {int(steps[0][1:-1]) for steps in states if steps[0] not in ("**", "[*]")}
        self._around = around
        self._known: dict[int, Pick | None] = {}

    def at(self, index: int) -> Pick | None:
        """What is picked at an item."""
        index = index if index in self.named else -1
        if index not in self._known:
            pick = None
            if index >= 0 or self.all:
                pick = _resolve(self.spec, _after(self.states, f"[{index}]", "[*]"), self.take, foreach=False)
            if self._around is not None:
                pick = widened(self.spec, pick, self._around) if pick is not None else self._around.rest
            self._known[index] = pick
        return self._known[index]

    def indices(self, count: int) -> Sequence[int]:
        """Which of so many items may be picked, in order."""
        if self.all or (self._around is not None and self._around.rest is not None):
            return range(count)
        return sorted(index for index in self.named if index < count)

    def widened(self, around: Around) -> Items:
        """The same with what is picked besides."""
        return Items(self.spec, self.states, self.take, around)


def resolve(tree: Tree, steps: Steps, take: Take) -> Pick | None:
    """The tasks that a pattern may stand for, however long the lists are; None if there are none."""
    return _resolve(tree.root.spec, frozenset((steps,)), take, foreach=False)


def _resolve(spec: TaskSpec, states: frozenset[Steps], take: Take, *, foreach: bool) -> Pick | None:
    if () in states:
        return WHOLE[take]
    pick = Pick()
    if foreach:
        states = frozenset(steps for steps in states if steps[0] == "**" or steps[0].startswith("["))
        pick.items = Items(spec, states, take)
        found = any(pick.items.at(index) is not None for index in (*pick.items.named, -1))
        return pick if found else None
    for sub in spec.subtasks or ():
        below = _after(states, sub.name, "*")
        inner = _resolve(sub, below, take, foreach=sub.foreach is not None) if below else None
        if inner is not None:
            pick.children[sub.name] = inner
    return pick if pick.children else None


def _after(states: frozenset[Steps], *fitting: str) -> frozenset[Steps]:
    """What is left of the steps at a child to which these steps lead."""
    left: set[Steps] = set()
    for steps in states:
        if steps[0] == "**":
            left.add(steps)
        if steps[0] == "**" or steps[0] in fitting:
            left.add(steps[1:])
    return frozenset(left)


def existing(node: Node, pick: Pick) -> Pick | None:
    """What there is of a pick in the tree as it is; None if nothing."""
    if pick.take is not None:
        return pick
    if pick.items is not None:
        return pick if has_item(node, pick.items) else None
    there = Pick()
    for name, below in pick.children.items():
        found = existing(node.inside.by_name[name], below)
        if found is not None:
            there.children[name] = found
    return there if there.children else None


def has_item(foreach: Node, items: Items) -> bool:
    """Whether a foreach has an item that is picked, or something below one that is."""
    children = foreach.inside.children
    for index in items.indices(len(children)):
        pick, item = items.at(index), children[index]
        if pick is not None and (_is_named(pick) if item is None else existing(item, pick) is not None):
            return True
    return False


def _is_named(pick: Pick) -> bool:
    """Whether a pick stands for a task that needs no list to be there."""
    return pick.take is not None or any(_is_named(below) for below in pick.children.values())


def widened(spec: TaskSpec, pick: Pick, around: Around) -> Pick:
    """A pick, and what is picked besides."""
    if pick.take is not None or not (around.upstream or around.held):
        return pick
    wide = Pick()
    wide.own = around.own
    if pick.items is not None:
        wide.items = pick.items.widened(around)
        return wide
    subtasks = spec.subtasks or ()
    places = [place for place, sub in enumerate(subtasks) if sub.name in pick.children]
    for place, sub in enumerate(subtasks):
        here = around
        if spec.sequential:
            before, after = around.before or place < places[-1], around.after or place > places[0]
            here = around._replace(before=before, after=after)
        below = pick.children.get(sub.name)
        found = widened(sub, below, here) if below is not None else here.rest
        if found is not None:
            wide.children[sub.name] = found
    return wide


def overlap(tree: Tree, one: Pick, other: Pick) -> str | None:
    """The path of a task that both picks take, or of a function that one runs above what the other does."""
    return _overlap(tree, one, other, tree.root.spec, paths.ROOT, foreach=False)


def _overlap(tree: Tree, one: Pick, other: Pick, spec: TaskSpec, path: str, *, foreach: bool) -> str | None:
    if one.take is not None and other.take is not None:
        return path
    item = path.endswith("]")
    if (one.own or other.own) and path != paths.ROOT and has_function(spec, foreach=foreach, item=item):
        return path
    if foreach:
        node = tree.nodes.get(path)
        if node is not None and is_active(node.inside.own or INACTIVE):
            return path
        for index in _common(one, other):
            found = _overlap_below(tree, one, other, index, spec, paths.item(path, index), foreach=False)
            if found is not None:
                return found
        return None
    for sub in spec.subtasks or ():
        below = paths.child(path, sub.name)
        found = _overlap_below(tree, one, other, sub.name, sub, below, foreach=sub.foreach is not None)
        if found is not None:
            return found
    return None


def _overlap_below(
    tree: Tree, one: Pick, other: Pick, key: Key, spec: TaskSpec, path: str, *, foreach: bool
) -> str | None:
    mine, theirs = one.below(key), other.below(key)
    if mine is None or theirs is None:
        return None
    return _overlap(tree, mine, theirs, spec, path, foreach=foreach)


def _common(one: Pick, other: Pick) -> list[int]:
    """Enough items to tell whether two picks of a foreach have any in common."""
    named = {index for pick in (one, other) if pick.items is not None for index in pick.items.named}
    unnamed = next(index for index in range(len(named) + 1) if index not in named)
    return sorted((*named, unnamed))


def last_picked(node: Node, pick: Pick) -> int:
    """The position of the last subtask that is picked; -1 if none is."""
    inside = node.inside
    if pick.take is not None:
        return len(inside.children) - 1
    return max((inside.by_name[name].position for name in pick.children), default=-1)


def is_sequence(node: Node) -> bool:
    """Whether what is below a group runs one after the other."""
    return node.spec.sequential and node.kind is not Kind.FOREACH
