"""The statuses of tasks as small numbers: what a tree of a million tasks counts with."""

from __future__ import annotations

from typing import Final

from taskpath_proto.records import TaskStatus

INACTIVE: Final = 0
QUEUED: Final = 1
RUNNING: Final = 2
OK: Final = 3
FAILED: Final = 4
SKIPPED: Final = 5
CANCELLED: Final = 6

NAMES: Final = (
    TaskStatus.INACTIVE,
    TaskStatus.QUEUED,
    TaskStatus.RUNNING,
    TaskStatus.OK,
    TaskStatus.FAILED,
    TaskStatus.SKIPPED,
    TaskStatus.CANCELLED,
)

CODES: Final = {name: code for code, name in enumerate(NAMES)}


def is_done(status: int) -> bool:
    """Whether what comes after may start."""
    return status in (OK, SKIPPED)


def is_finished(status: int) -> bool:
    """Whether the task has ended, well or badly."""
    return status >= OK


def is_active(status: int) -> bool:
    """Whether the task is queued or running."""
    return status in (QUEUED, RUNNING)
