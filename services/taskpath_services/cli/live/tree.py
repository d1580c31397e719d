"""The state of one instance, made of the packets that a watch hands on. No terminal here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from taskpath.client import (
    Change,
    Instance,
    InstanceGone,
    Resync,
    RollupView,
    SetTasksStatuses,
    SetWorkflowStatus,
    TaskNode,
    TaskState,
    WorkflowDescription,
)
from taskpath_proto import paths
from taskpath_proto.records import InstanceProgress, InstanceStatus, TaskStatus

OVER: Final = frozenset({TaskStatus.OK, TaskStatus.FAILED, TaskStatus.SKIPPED, TaskStatus.CANCELLED})
IDLE: Final = TaskState(
    status=TaskStatus.INACTIVE, stale=False, execution_time=None, duration=None, attempt=0
)
"""What a status that was never sent means."""

_INDEX: Final = re.compile(r"\[\d+\]")


class Tree:
    """The tasks of an instance and their statuses.

    Attributes:
        status: of the instance; None until it is known.
        progress: of the instance.
        tasks: the described tasks by path, in the order of the tree.
        items: the statuses of the items of each foreach, as far as they are sent.
        deleted: whether the instance is gone.
    """

    def __init__(self, id: str) -> None:
        self.id = id
        self.status: InstanceStatus | None = None
        self.progress = InstanceProgress()
        self.tasks: dict[str, TaskNode] = {}
        self.items: dict[str, dict[str, TaskState]] = {}
        self.deleted = False
        self._states: dict[str, TaskState] = {}
        self._over_at: dict[str, int] = {}
        self._children: dict[str, list[str]] = {}

    @classmethod
    def of(cls, instance: Instance) -> Tree:
        """The state of an instance as it was read."""
        tree = cls(instance.id)
        tree.status = instance.status
        tree.progress = instance.progress
        tree._describe(instance.tasks)
        tree._set(instance.statuses)
        return tree

    def apply(self, packet: Change, now: int) -> None:
        """Takes in what a packet says, at ``now`` (ms since epoch)."""
        if isinstance(packet, SetTasksStatuses):
            self._note_ends(packet.statuses, now)
            self._set(packet.statuses)
            if packet.removed:
                self._remove(packet.removed)
        elif isinstance(packet, SetWorkflowStatus):
            self.status = packet.status
            self.progress = packet.progress
        elif isinstance(packet, WorkflowDescription):
            if not packet.continues:
                self.tasks.clear()
                self._children.clear()
            self._describe(packet.tasks)
        elif isinstance(packet, Resync):
            self._states.clear()
            self.items.clear()
        elif isinstance(packet, InstanceGone):
            self.deleted = True
            self.status = packet.status or self.status

    def state(self, path: str) -> TaskState:
        """The status of a described task or an item."""
        return self._states.get(path, IDLE)

    def children(self, path: str) -> list[str]:
        """The tasks right below one, in order; below ``#`` the root tasks.

        Those below the items of a foreach are described once for all of them.
        """
        below = self._children.get(path)
        if below is not None or "[" not in path:
            return below or []
        described = _described(path)
        below = self._children.get(described.removesuffix("[*]"), [])
        return [path + child[len(described) :] for child in below]

    def is_foreach(self, path: str) -> bool:
        """Whether a task is a foreach, also one below an item of another."""
        task = self.tasks.get(path) or self.tasks.get(_described(path))
        return task is not None and task.foreach is True

    def rollup(self, path: str) -> RollupView | None:
        """How many tasks below a group or foreach have which status; None for a plain task."""
        sent = self.state(path).rollup
        if sent is not None:
            return sent
        if self.is_foreach(path):
            task = self.tasks.get(path)
            return _count(self.items.get(path, {}).values(), (task.count if task else None) or 0)
        below = self.children(path)
        return _sum(self._part(child) for child in below) if below else None

    def moves(self, path: str) -> bool:
        """Whether something happens there: it runs, or it is a group of which a part is over."""
        status = self.state(path).status
        if status is not TaskStatus.QUEUED:
            return status is TaskStatus.RUNNING
        rollup = self.rollup(path)
        return rollup is not None and rollup.inactive + rollup.queued < rollup.total

    def time(self, path: str, now: int) -> int | None:
        """How long a task has been running, or took, in ms; a group with all that is below it."""
        state = self.state(path)
        start = self._start(path)
        if start is None or state.status is TaskStatus.SKIPPED:
            return None
        if self.moves(path):
            return max(0, now - start)
        if state.status not in OVER:
            return None
        if self.is_foreach(path) or self.children(path):
            end = self._end(path)
            return None if end is None else max(0, end - start)
        return state.duration

    def _start(self, path: str) -> int | None:
        """When a task started; a group without a function of its own starts with the first below it."""
        start = self.state(path).execution_time
        if start is not None or self.is_foreach(path):
            return start
        return min(filter(None, map(self._start, self.children(path))), default=None)

    def _end(self, path: str) -> int | None:
        """When the last of what is below a group ended: as told, else as seen; None if neither."""
        below = self.items.get(path, ()) if self.is_foreach(path) else self.children(path)
        ends = [self._end(child) or _end_of(self.state(child)) for child in below]
        return max(filter(None, ends), default=self._over_at.get(path))

    def failures(self) -> list[tuple[str, TaskState]]:
        """The tasks that failed themselves, with their statuses: not the groups above them."""
        return [
            (path, state)
            for path, state in self._states.items()
            if state.status is TaskStatus.FAILED and state.error is not None
        ]

    def _part(self, path: str) -> RollupView:
        return self.rollup(path) or _count([self.state(path)], 1)

    def retried(self, path: str) -> int:
        """How many items of a foreach were tried more than once."""
        return sum(1 for state in self.items.get(path, {}).values() if state.retry and state.retry.try_ > 1)

    def _describe(self, tasks: Iterable[TaskNode], parent: str = paths.ROOT) -> None:
        for task in tasks:
            if task.path not in self.tasks:
                self._children.setdefault(parent, []).append(task.path)
            self.tasks[task.path] = task
            self._describe(task.children, task.path)

    def _note_ends(self, statuses: dict[str, TaskState], now: int) -> None:
        for path, state in statuses.items():
            if path in self.tasks:
                before = self._states.get(path)
                if state.status not in OVER:
                    self._over_at.pop(path, None)
                elif before is not None and before.status not in OVER:
                    self._over_at[path] = now

    def _set(self, statuses: dict[str, TaskState]) -> None:
        self._states.update(statuses)
        for path, state in statuses.items():
            if path.endswith("]"):
                self.items.setdefault(path[: path.rindex("[")], {})[path] = state

    def _remove(self, removed: Iterable[str]) -> None:
        gone = frozenset(removed)
        for known in [known for known in self._states if _is_under(known, gone)]:
            del self._states[known]
            if known.endswith("]"):
                self.items.get(known[: known.rindex("[")], {}).pop(known, None)


def _described(path: str) -> str:
    """The path under which a task below an item is described."""
    return _INDEX.sub("[*]", path)


def _is_under(path: str | None, gone: frozenset[str]) -> bool:
    while path is not None and path not in gone:
        path = paths.parent(path)
    return path is not None


def _end_of(state: TaskState) -> int | None:
    if state.execution_time is None or state.duration is None:
        return None
    return state.execution_time + state.duration


def _count(states: Iterable[TaskState], least: int) -> RollupView:
    """Counts statuses; what is missing of ``least`` tasks has not been heard of, and is inactive."""
    counts = dict.fromkeys(TaskStatus, 0)
    stale = 0
    for state in states:
        counts[state.status] += 1
        stale += state.stale
    counts[TaskStatus.INACTIVE] += max(0, least - sum(counts.values()))
    return RollupView(
        total=sum(counts.values()), stale=stale, **{status.value: number for status, number in counts.items()}
    )


def _sum(parts: Iterable[RollupView]) -> RollupView:
    sums = dict.fromkeys(RollupView.__struct_fields__, 0)
    for part in parts:
        for field in sums:
            sums[field] += getattr(part, field)
    return RollupView(**sums)
