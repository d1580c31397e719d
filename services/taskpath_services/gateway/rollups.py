"""How a task is shown: its state, and for a collapsed foreach the rollup. Pure."""

from __future__ import annotations

from typing import Final

from taskpath_proto.packets import RollupView, TaskState
from taskpath_proto.records import Rollup, TaskRecord, TaskStatus
from taskpath_services.gateway.expected import UNKNOWN, Usual
from taskpath_services.gateway.reads import COLLAPSED

UNTOUCHED: Final = TaskState(
    status=TaskStatus.INACTIVE, stale=False, execution_time=None, duration=None, attempt=0
)
"""The state of a task that has no record."""

_NO_RECORD: Final = TaskRecord()


def collapses(count: int | None) -> bool:
    """Whether a foreach of so many items is shown as a rollup."""
    return count is not None and count > COLLAPSED


def state_of(record: TaskRecord | None, stale: int, usual: Usual = UNKNOWN) -> TaskState:
    """How the task is shown.

    Args:
        record: what is known of it.
        stale: how many tasks at or under it are stale.
        usual: how long it usually takes.
    """
    if record is None:
        if usual.duration is None:
            return UNTOUCHED
        record = _NO_RECORD
    return TaskState(
        status=record.status,
        stale=stale > 0,
        execution_time=record.execution_time,
        duration=record.duration,
        attempt=record.attempt,
        expected_duration=usual.duration,
        expected_spread=usual.spread,
        progress=record.progress,
        retry=record.retry,
        error=record.error,
        rollup=rollup_of(record, stale) if collapses(record.count) else None,
        reason=record.reason,
    )


def rollup_of(record: TaskRecord, stale: int) -> RollupView:
    """How many of the tasks below a foreach have which status."""
    counted = record.rollup or Rollup()
    return RollupView(
        total=counted.total,
        inactive=counted.inactive,
        queued=counted.queued,
        running=counted.running,
        ok=counted.ok,
        failed=counted.failed,
        skipped=counted.skipped,
        cancelled=counted.cancelled,
        stale=stale,
    )
