"""The tree of one instance: a node for each task that was touched, with counters that make every change
cheap.

A group keeps how many of its children, and how many of the tasks anywhere below it, have which status; a
change of one task updates its ancestors' counters and nothing else, whatever the size of the tree. The items
of a foreach are nodes only once they have been reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

from taskpath_proto import paths
from taskpath_proto.errors import ErrorInfo
from taskpath_proto.plan import TaskSpec
from taskpath_proto.records import AttemptRecord, Progress, RetryState
from taskpath_proto.values import Value
from taskpath_services.scheduler.statuses import (
    CANCELLED,
    FAILED,
    INACTIVE,
    OK,
    QUEUED,
    RUNNING,
    SKIPPED,
    is_finished,
)

if TYPE_CHECKING:
    from taskpath_services.scheduler.frames import Frame

Key: TypeAlias = str | int


class Kind(IntEnum):
    """What a node is."""

    ROOT = 0
    TASK = 1
    GROUP = 2
    FOREACH = 3


class Group:
    """What only a node with tasks below it has.

    Attributes:
        children: in tree order; of a foreach, None where an item was not reached yet.
        by_name: the children of a group by name.
        counts: how many children have which status.
        rollup: how many tasks below (groups not counted) have which status.
        own: the status of its own function (of a foreach: of reading its list); None if it has none.
        own_left: the counter when its own function's result last changed.
        joined: whether it has been through to its end, if it has no children.
        joining: how the check of what its tasks left in the context stands; None if there is none.
        items: the list that a foreach read.
        bounds: how many finished tasks below a foreach were bound since which of its executions.
        unjoined: whether anything at or below it has run since it was joined last, by whichever execute.
        updated: how many tasks below left updaters.
        frames: those of the executes that are at work in it.
    """

    __slots__ = (
        "bounds",
        "by_name",
        "children",
        "counts",
        "frames",
        "items",
        "joined",
        "joining",
        "own",
        "own_left",
        "rollup",
        "unjoined",
        "updated",
    )

    def __init__(self, own: int | None) -> None:
        self.children: list[Node | None] = []
        self.by_name: dict[str, Node] = {}
        self.counts = [0, 0, 0, 0, 0, 0, 0]
        self.rollup = [0, 0, 0, 0, 0, 0, 0]
        self.own = own
        self.own_left = 0
        self.joined = False
        self.joining: int | None = None
        self.items: Value | None = None
        self.bounds: dict[int, int] = {}
        self.unjoined = False
        self.updated = 0
        self.frames: list[Frame] = []


class Notes:
    """What few tasks have: earlier attempts, where a retry stands, what the task said of itself, its last
    error, why it is not further, how often an executor was lost under it."""

    __slots__ = ("attempts", "error", "losses", "progress", "reason", "retry")

    def __init__(self) -> None:
        self.attempts: tuple[AttemptRecord, ...] = ()
        self.retry: RetryState | None = None
        self.progress: Progress | None = None
        self.error: ErrorInfo | None = None
        self.reason: str | None = None
        self.losses = 0


class Node:
    """A task of the tree. ``status`` of a group is that of its subtree; the other fields are its own
    function's."""

    __slots__ = (
        "attempt",
        "bound",
        "command",
        "duration",
        "execution_time",
        "executor",
        "group",
        "key",
        "kind",
        "left",
        "notes",
        "parent",
        "path",
        "position",
        "result",
        "segment",
        "spec",
        "status",
        "updaters",
        "work",
    )

    def __init__(
        self, kind: Kind, spec: TaskSpec, parent: Node | None, key: Key, position: int, path: str
    ) -> None:
        self.kind = kind
        self.spec = spec
        self.parent = parent
        self.key = key
        self.position = position
        self.path = path
        self.status = INACTIVE
        self.bound = 0
        self.left = 0
        self.attempt = 0
        self.command: tuple[int, int] | None = None
        self.execution_time: int | None = None
        self.duration: int | None = None
        self.executor: str | None = None
        self.result: Value | None = None
        self.updaters: Value | None = None
        self.work: object | None = None
        self.segment: tuple[int, int] | None = None
        self.notes: Notes | None = None
        self.group: Group | None = None
        if kind is not Kind.TASK:
            item = parent is not None and parent.kind is Kind.FOREACH
            foreach = kind is Kind.FOREACH
            has_own = kind is not Kind.ROOT and has_function(spec, foreach=foreach, item=item)
            self.group = Group(INACTIVE if has_own else None)

    @property
    def inside(self) -> Group:
        """The group's part of a node that is one."""
        assert self.group is not None
        return self.group

    def note(self) -> Notes:
        """The rare part, made when it is needed."""
        if self.notes is None:
            self.notes = Notes()
        return self.notes

    def __repr__(self) -> str:
        return f"Node({self.path})"


class Tree:
    """All nodes of an instance.

    Args:
        tasks: the root list of the plan.
    """

    def __init__(self, tasks: tuple[TaskSpec, ...]) -> None:
        spec = TaskSpec(name="root", run=False, subtasks=tasks, sequential=True)
        self.root = Node(Kind.ROOT, spec, None, "", 0, paths.ROOT)
        self.nodes: dict[str, Node] = {paths.ROOT: self.root}
        self._grow(self.root)

    def _grow(self, node: Node) -> None:
        """Makes the nodes of a group's subtasks, all the way down to foreaches."""
        inside = node.inside
        prefix = node.path + "."
        for position, spec in enumerate(node.spec.subtasks or ()):
            kind = kind_of(spec, item=False)
            child = Node(kind, spec, node, spec.name, position, prefix + spec.name)
            self.nodes[child.path] = child
            inside.children.append(child)
            inside.by_name[spec.name] = child
            inside.counts[INACTIVE] += 1
            if kind is Kind.TASK:
                count_below(node, INACTIVE, 1)
            elif kind is Kind.GROUP:
                self._grow(child)

    def item(self, foreach: Node, index: int) -> Node:
        """The node of an item, made when it is first reached."""
        inside = foreach.inside
        node = inside.children[index]
        if node is None:
            kind = kind_of(foreach.spec, item=True)
            node = Node(kind, foreach.spec, foreach, index, index, f"{foreach.path}[{index}]")
            inside.children[index] = node
            self.nodes[node.path] = node
            if kind is Kind.GROUP:
                self._grow(node)
                count_below(foreach, INACTIVE, -node.inside.rollup[INACTIVE])
        return node

    def resize(self, foreach: Node, count: int) -> list[str]:
        """Gives a foreach that many items; returns the paths of those that are gone."""
        inside = foreach.inside
        have = len(inside.children)
        size = tasks_in(foreach.spec)
        removed: list[str] = []
        for index in range(count, have):
            node = inside.children[index]
            inside.counts[INACTIVE if node is None else node.status] -= 1
            if node is None:
                count_below(foreach, INACTIVE, -size)
                continue
            removed.append(node.path)
            for leaf in self._forget(node):
                count_below(foreach, leaf.status, -1)
                if is_finished(leaf.status):
                    count_bound(leaf, -1, foreach)
        del inside.children[count:]
        if count > have:
            inside.children.extend([None] * (count - have))
            inside.counts[INACTIVE] += count - have
            count_below(foreach, INACTIVE, (count - have) * size)
        return removed

    def _forget(self, node: Node) -> list[Node]:
        self.nodes.pop(node.path, None)
        if node.updaters is not None:
            leave_updaters(node, None)
        if node.group is None:
            return [node]
        leaves: list[Node] = []
        for child in node.group.children:
            if child is not None:
                leaves.extend(self._forget(child))
        return leaves


def has_function(spec: TaskSpec, *, foreach: bool, item: bool) -> bool:
    """Whether a group has something of its own to be done: a function, a list to be read, a condition.

    A foreach evaluates the condition for its items.
    """
    return foreach or spec.run or (spec.condition and not item)


def tasks_in(spec: TaskSpec) -> int:
    """How many tasks an item of this spec counts for, as long as no foreach below it has been read."""
    if spec.subtasks is None:
        return 1
    return sum(0 if sub.foreach is not None else tasks_in(sub) for sub in spec.subtasks)


def kind_of(spec: TaskSpec, *, item: bool) -> Kind:
    """What a node of this description is; an item of a foreach has the foreach's."""
    if spec.foreach is not None and not item:
        return Kind.FOREACH
    return Kind.TASK if spec.subtasks is None else Kind.GROUP


def count_below(node: Node | None, status: int, change: int) -> None:
    """Adds to the rollups of a group and of all above it."""
    while node is not None:
        node.inside.rollup[status] += change
        node = node.parent


def count_bound(leaf: Node, change: int, above: Node | None) -> None:
    """Adds a finished task to the ``bounds`` of the foreaches at and over ``above``, by its own ``bound``.

    An execution of a foreach binds its items after itself, so a task belongs to the last one before its
    ``bound``.
    """
    while above is not None:
        if above.kind is Kind.FOREACH:
            bounds = above.inside.bounds
            since = max((number for number in bounds if number <= leaf.bound), default=0)
            bounds[since] = bounds.get(since, 0) + change
        above = above.parent


def leaves_of(group: Node) -> Iterator[Node]:
    """The plain tasks below a group that have been reached."""
    pending = [group]
    while pending:
        for child in pending.pop().inside.children:
            if child is None:
                continue
            if child.group is not None:
                pending.append(child)
            else:
                yield child


def leave_updaters(node: Node, updaters: Value | None) -> None:
    """Notes what updaters a task has left, and for the groups above it whether any has."""
    difference = (updaters is not None) - (node.updaters is not None)
    node.updaters = updaters
    above = node.parent
    while above is not None and difference:
        above.inside.updated += difference
        above = above.parent


def derived(node: Node) -> int:
    """The status of a group: the first that applies.

    In order: running, queued, failed, cancelled, inactive, skipped (all, and no own function), ok.
    """
    inside = node.inside
    counts, own = inside.counts, inside.own
    if own == SKIPPED:
        return SKIPPED
    for status in (RUNNING, QUEUED, FAILED, CANCELLED):
        if counts[status] or status in (own, inside.joining):
            return status
    if inside.frames:
        return QUEUED
    if counts[INACTIVE] or own == INACTIVE:
        return INACTIVE
    if node.kind is Kind.GROUP and not node.spec.run and counts[SKIPPED] and not counts[OK]:
        return SKIPPED
    if not inside.children and own is None and not inside.joined:
        return INACTIVE
    return OK
