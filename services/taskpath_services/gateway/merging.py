"""A record as a gateway keeps it: without what is not shown, and changed in place. Pure."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from taskpath_proto.records import TaskChange, TaskRecord

_LOOKS: Final = (
    "attempt",
    "execution_time",
    "duration",
    "error",
    "retry",
    "progress",
    "count",
    "rollup",
    "reason",
)
_NUMBERS: Final = ("bound", "left", "own_left", "own", "bounds")


def merge(record: TaskRecord, change: TaskChange, revision: int) -> tuple[bool, bool]:
    """Takes a change in.

    Args:
        record: what is changed, in place.
        change: what is new.
        revision: of the instance, after the change.

    Returns:
        Whether the task looks different, and whether other tasks may have become stale or fresh.
    """
    record.revision = revision
    looks = numbers = False
    if change.status is not UNSET:
        record.status = change.status
        looks = numbers = True
    for name in _LOOKS:
        if (value := getattr(change, name)) is not UNSET:
            setattr(record, name, value)
            looks = True
    for name in _NUMBERS:
        if (value := getattr(change, name)) is not UNSET:
            setattr(record, name, value)
            numbers = True
    return looks, numbers


def slim(record: TaskRecord) -> TaskRecord:
    """A record of its own, without what is not shown."""
    return TaskRecord(
        path=record.path,
        revision=record.revision,
        status=record.status,
        bound=record.bound,
        left=record.left,
        own_left=record.own_left,
        attempt=record.attempt,
        execution_time=record.execution_time,
        duration=record.duration,
        error=record.error,
        retry=record.retry,
        progress=record.progress,
        own=record.own,
        count=record.count,
        rollup=record.rollup,
        bounds=record.bounds,
        reason=record.reason,
    )
