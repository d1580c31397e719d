"""Says what happens in plain lines, one for each thing worth a line: for files and pipes."""

from __future__ import annotations

from collections.abc import Iterator

from taskpath.client import Change, ExecutionError, Resync, SetTasksStatuses, SetWorkflowStatus, TaskState
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
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
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
            yield f"{change.task_path} failed: {words.error(change.error)}"

    def _task(self, path: str, state: TaskState, now: int) -> Iterator[str]:
        retry = state.retry
        waits = retry is not None and retry.next_at is not None and state.status is TaskStatus.QUEUED
        failed = state.status is TaskStatus.FAILED
        if path.endswith("]") and not waits and not failed:
            return
        if state.status in OVER or waits or state.status is TaskStatus.RUNNING:
            said = (state.status, state.attempt, waits)
            if self._said.get(path) != said:
                self._said[path] = said
                yield self._line(path, state, now)
        task = self._tree.tasks.get(path)
        if task is not None and task.foreach and state.status in (TaskStatus.RUNNING, TaskStatus.QUEUED):
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
            yield f"{path} {words.count(over)} of {words.count(rollup.total)}{failed}"

    def _line(self, path: str, state: TaskState, now: int) -> str:
        retry = state.retry
        if retry is not None and retry.next_at is not None and state.status is TaskStatus.QUEUED:
            reason = f": {words.error(state.error)}" if state.error is not None else ""
            return f"{path} is tried again, attempt {retry.try_} of {retry.attempts}{reason}"
        if state.status is TaskStatus.FAILED and state.error is not None:
            return f"{path} failed: {words.error(state.error)}"
        took = self._tree.time(path, now) if state.status in OVER else None
        return f"{path} {state.status.value}" + ("" if took is None else f" {words.duration(took)}")
