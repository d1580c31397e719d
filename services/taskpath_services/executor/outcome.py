"""How an attempt ended, as plain data."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

import taskpath
import taskpath_services
from taskpath.task import Task
from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import Value

MAX_TRACEBACK: Final = 16 * 1024
"""How many characters of a traceback are kept: its end."""
MAX_MESSAGE: Final = 2_000

_OURS: Final = (str(Path(taskpath.__file__).parent), str(Path(taskpath_services.__file__).parent))


class Outcome(msgspec.Struct, frozen=True):
    """How an attempt ended.

    Attributes:
        status: ok, failed or skipped.
        json: of the result, or of a foreach's list.
        value: the result where it need not be sent as text.
        count: how many items a foreach has.
        updaters: the JSON list of updaters that the function left.
        error: why it failed.
        retryable: whether the author's ``Retry.on`` lets it be tried again.
    """

    status: TaskStatus
    json: str | None = None
    value: Value | None = None
    count: int | None = None
    updaters: str | None = None
    error: ErrorInfo | None = None
    retryable: bool = False


OK: Final = Outcome(TaskStatus.OK)
SKIPPED: Final = Outcome(TaskStatus.SKIPPED)


class WorkerDied(RuntimeError):
    """The worker process ended while it ran the task."""


class ValueTooLarge(ValueError):
    """A value is above the limit TASKPATH_MAX_VALUE."""


class NotAList(TypeError):
    """What a foreach is to read is no list."""


def failed(error: BaseException, task: Task, path: str, *, retry: bool = True) -> Outcome:
    """The outcome of an attempt that raised.

    Args:
        error: what was raised.
        task: its ``Retry.on`` decides whether it may be tried again.
        path: the task's path.
        retry: false if trying again is out of the question (a condition is evaluated once).
    """
    return Outcome(
        TaskStatus.FAILED,
        error=ErrorInfo(
            code=ErrorCode.EXECUTION_FAILED,
            message=message_of(error),
            path=path,
            type=type(error).__name__,
            traceback=traceback_of(error),
        ),
        retryable=retry and task.retry is not None and task.retry.allows(error),
    )


def message_of(error: BaseException) -> str:
    """What an exception says, with its class where it says nothing by itself (``KeyError``: a key)."""
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be made)"
    name = type(error).__name__
    if not text:
        text = name
    elif isinstance(error, (LookupError, StopIteration)) or not isinstance(error, Exception):
        text = f"{name}: {text}"
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "…"


def traceback_of(error: BaseException) -> str | None:
    """The author's frames, as text; None if there are none (what we raised ourselves says enough)."""
    frames = _author_frames(error.__traceback__)
    if frames is None:
        return None
    try:
        text = "".join(traceback.format_exception(type(error), error, frames))
    except Exception:
        text = "".join(traceback.format_tb(frames)) + type(error).__name__
    return text if len(text) <= MAX_TRACEBACK else "…" + text[1 - MAX_TRACEBACK :]


def _author_frames(frames: TracebackType | None) -> TracebackType | None:
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_OURS):
        frames = frames.tb_next
    return frames
