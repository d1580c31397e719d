"""Says what happens in plain lines, one for each thing worth a line: for files and pipes."""

from __future__ import annotations

from collections.abc import Iterator

from taskpath.client import Change, ExecutionError, Resync, SetTasksStatuses, SetWorkflowStatus, TaskState
from taskpath_proto.errors import ErrorInfo
from taskpath_proto.paths import ROOT
from taskpath_proto.records import InstanceStatus, TaskStatus
from taskpath_services.cli.live import words
from taskpath_services.cli.live.tree import OVER, Tree

STEP = 10
"""A foreach says how far it is every so many percent."""


class Lines:
    """Turns changes into lines; apply them to the tree first.

    Args:
        tree: the state after each change.
        items: whether items, and what is below them, are worth lines also when nothing is wrong with them.
    """

    def __init__(self, tree: Tree, *, items: bool = False) -> None:
        self._tree = tree
        self._items = items
        self._failed: dict[str, str] = {}
        self._said: dict[str, tuple[object, ...]] = {}
        self._steps: dict[str, int] = {}
        self._status: InstanceStatus | None = None

    def of(self, change: Change, now: int) -> Iterator[str]:
        """The lines that a change is worth at ``now`` (ms since epoch)."""
        if isinstance(change, SetTasksStatuses):
            for path, state in change.statuses.items():
                if path != ROOT:
                    yield from self._task(path, state, now)
        elif isinstance(change, SetWorkflowStatus):
            if change.status is not self._status:
                self._status = change.status
                yield f"# {change.status.value}"
        elif isinstance(change, Resync):
            yield f"# started over: {change.reason}"
        elif isinstance(change, ExecutionError) and change.task_path not in self._said:
            # Its status says the same, maybe later, and then not once more.
            line = self._failed[change.task_path] = _failure(change.task_path, change.error)
            yield line

    def _task(self, path: str, state: TaskState, now: int) -> Iterator[str]:
        retry = state.retry
        waits = retry is not None and retry.next_at is not None and state.status is TaskStatus.QUEUED
        wrong = state.status is TaskStatus.FAILED and state.error is not None
        if "[" in path and not (self._items or waits or wrong):
            return
        if state.status in OVER or waits or state.status is TaskStatus.RUNNING:
            said = (state.status, state.attempt, waits)
            if self._said.get(path) != said:
                self._said[path] = said
                line = self._line(path, state, now)
                if self._failed.pop(path, None) != line:
                    yield line
        if self._tree.is_foreach(path) and state.status in (TaskStatus.RUNNING, TaskStatus.QUEUED):
            yield from self._far(path)

    def _far(self, path: str) -> Iterator[str]:
        rollup = self._tree.rollup(path)
        if rollup is None or rollup.total == 0:
            return
        over = rollup.ok + rollup.failed + rollup.skipped + rollup.cancelled
        step = 100 * over // rollup.total // STEP
        if step > self._steps.get(path, 0):
            self._steps[path] = step
            failed = f", {words.count(rollup.failed)} failed" if rollup.failed else ""
            done = words.count(rollup.ok + rollup.skipped)
            yield f"{path} {done} of {words.count(rollup.total)}{failed}"

    def _line(self, path: str, state: TaskState, now: int) -> str:
        retry = state.retry
        if retry is not None and retry.next_at is not None and state.status is TaskStatus.QUEUED:
            reason = f": {words.error(state.error)}" if state.error is not None else ""
            return f"{path} is tried again, attempt {retry.try_} of {retry.attempts}{reason}"
        if state.status is TaskStatus.FAILED and state.error is not None:
            return _failure(path, state.error)
        took = self._tree.time(path, now) if state.status in OVER else None
        return f"{path} {state.status.value}" + ("" if took is None else f" {words.duration(took)}")


def _failure(path: str, error: ErrorInfo) -> str:
    return f"{path} failed: {words.error(error)}"
