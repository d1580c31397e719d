"""One instance as its owner holds it, and the one place where a status changes.

Whatever changes is noted in a :class:`~taskpath_proto.records.TaskChange` at once; a batch's notes become
one event (``changes``). Numbers for ``bound``, ``left``, commands and runs come from one counter.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

from taskpath_proto.plan import Plan
from taskpath_proto.records import (
    CommandRecord,
    HandlerRecord,
    InstanceChange,
    InstanceProgress,
    InstanceStatus,
    TaskChange,
)
from taskpath_proto.values import KEEP_BYTES, Inline, Stored, Value, size_of
from taskpath_services.scheduler.effects import Effects
from taskpath_services.scheduler.fleet import Fleet
from taskpath_services.scheduler.frames import Frame, Run
from taskpath_services.scheduler.node import Kind, Node, Tree, count_bound, derived
from taskpath_services.scheduler.statuses import NAMES, is_finished
from taskpath_services.scheduler.windows import Windows

RECENT_BYTES: Final = 256 * 1024
"""How many bytes of recent larger values an instance keeps at hand."""


class Identity:
    """What an instance is: never changes but by an update."""

    __slots__ = (
        "base_context",
        "created_at",
        "creation_key",
        "data",
        "ephemeral",
        "id",
        "name",
        "partition",
        "plan",
        "plan_version",
        "realm",
        "workflow",
    )

    def __init__(
        self,
        *,
        id: str,
        partition: int,
        realm: str,
        workflow: str,
        name: str | None,
        data: Value,
        base_context: Value,
        ephemeral: bool,
        plan: Plan,
        plan_version: int,
        created_at: int,
        creation_key: str | None,
    ) -> None:
        self.id = id
        self.partition = partition
        self.realm = realm
        self.workflow = workflow
        self.name = name
        self.data = data
        self.base_context = base_context
        self.ephemeral = ephemeral
        self.plan = plan
        self.plan_version = plan_version
        self.created_at = created_at
        self.creation_key = creation_key


class Instance:
    """The state of one instance.

    Args:
        identity: what it is.
        epoch: of the owner.
        now: the time, ms since epoch.
        fleet: the executors, as its partition knows them.
    """

    def __init__(self, identity: Identity, epoch: int, now: int, fleet: Fleet) -> None:
        self.identity = identity
        self.fleet = fleet
        self.epoch = epoch
        self.now = now
        self.revision = 0
        self.counter = 0
        self.tree = Tree(identity.plan.tasks)
        self.runs: dict[int, Run] = {}
        self.windows = Windows()
        self.effects = Effects()
        self.status = InstanceStatus.INACTIVE
        self.progress = InstanceProgress()
        self.started_at: int | None = None
        self.finished_at: int | None = None
        self.agenda: deque[Frame] = deque()
        self.disturbed = False
        self.runs_changed = False
        self.touched: dict[Node, TaskChange] = {}
        self.removed: list[str] = []
        self.noted = InstanceChange()
        self.changed = False
        self.deleted = False
        self.deleting = False
        self.handlers: dict[int, HandlerRecord] = {}
        self.handlers_changed = False
        self.calling: set[int] = set()
        self.commands: dict[str, CommandRecord] = {}
        self.commands_changed = False
        self.calls: dict[int, None] = {}
        self.calls_changed = False
        self.snapshot_wanted = False
        self._recent: OrderedDict[str, Inline] = OrderedDict()
        self._recent_bytes = 0

    @property
    def id(self) -> str:
        """The instance's id."""
        return self.identity.id

    def next(self) -> int:
        """The next number of the instance's counter."""
        self.counter += 1
        return self.counter

    def change(self, node: Node) -> TaskChange:
        """The note of what changed of a task since the last event."""
        noted = self.touched.get(node)
        if noted is None:
            noted = self.touched[node] = TaskChange(path=node.path)
        return noted

    def bind(self, node: Node, bound: int) -> None:
        """The inputs of a task have been bound."""
        counted = node.group is None and is_finished(node.status)
        if counted:
            count_bound(node, -1, node.parent)
        node.bound = bound
        self.change(node).bound = bound
        if counted:
            count_bound(node, 1, node.parent)

    def resize(self, foreach: Node, count: int) -> None:
        """Gives a foreach that many items; whatever is counted above it changes, too."""
        self.removed.extend(self.tree.resize(foreach, count))
        self.change(foreach).count = count
        above = foreach.parent
        while above is not None:
            self.change(above)
            above = above.parent

    def set_status(self, node: Node, status: int) -> None:
        """Changes the status of a plain task, and what follows from it for all groups above it."""
        old = node.status
        if old == status:
            return
        if is_finished(old) and not is_finished(status):
            count_bound(node, -1, node.parent)
        node.status = status
        self.change(node).status = NAMES[status]
        if is_finished(status) and not is_finished(old):
            count_bound(node, 1, node.parent)
        self._propagate(node.parent, old, status, old, status)

    def set_own(self, node: Node, status: int) -> None:
        """Changes the status of a group's own function."""
        inside = node.inside
        if inside.own != status:
            inside.own = status
            self.change(node).own = NAMES[status]
            self.refresh(node)

    def refresh(self, node: Node) -> None:
        """Derives the status of a group anew, and what follows from it for all groups above it."""
        old, new = node.status, derived(node)
        if old != new:
            node.status = new
            self.change(node).status = NAMES[new]
            self._propagate(node.parent, old, new)

    def _propagate(
        self,
        group: Node | None,
        old: int,
        new: int,
        leaf_old: int | None = None,
        leaf_new: int | None = None,
    ) -> None:
        differs = True
        while group is not None:
            inside = group.inside
            if leaf_old is not None and leaf_new is not None:
                inside.rollup[leaf_old] -= 1
                inside.rollup[leaf_new] += 1
                self.change(group)
            if differs:
                inside.counts[old] -= 1
                inside.counts[new] += 1
                status = derived(group)
                differs = status != group.status
                if differs:
                    old, new = group.status, status
                    group.status = status
                    self.change(group).status = NAMES[status]
            elif leaf_old is None:
                return
            group = group.parent

    def keep(self, node: Node, value: Value | None, version: int) -> None:
        """Keeps a task's result: itself if it is small, else a reference, with the value at hand for a
        while."""
        self._forget(node.path)
        if isinstance(value, Inline) and (size := size_of(value)) > KEEP_BYTES:
            node.result = Stored(node.path, size, version)
            self._recent[node.path] = value
            self._recent_bytes += len(value.json)
            while self._recent_bytes > RECENT_BYTES:
                self._recent_bytes -= len(self._recent.popitem(last=False)[1].json)
        else:
            node.result = value

    def _forget(self, path: str) -> None:
        old = self._recent.pop(path, None)
        if old is not None:
            self._recent_bytes -= len(old.json)

    def at_hand(self, value: Value) -> Value:
        """The value itself if it is at hand, else the reference to it."""
        if isinstance(value, Stored):
            recent = self._recent.get(value.path)
            if recent is not None:
                return recent
        return value

    def queue_of(self, node: Node) -> str:
        """The queue whose executors run a task."""
        return node.spec.queue or self.identity.plan.queue

    def is_foreach_item(self, node: Node) -> bool:
        """Whether a node is an item of a foreach."""
        return node.parent is not None and node.parent.kind is Kind.FOREACH
