"""Errors as typed data with stable codes.

An error travels between services, and to clients, as :class:`ErrorInfo`; inside a process it is raised as
:class:`TaskpathError`. The message is one sentence that says what was wrong and what is expected.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class ErrorCode(StrEnum):
    """The stable codes. The first four are the seed's."""

    CANNOT_FIND_TASK = "CANNOT_FIND_TASK"
    CANNOT_START_TASK = "CANNOT_START_TASK"
    SCHEDULER_ERROR = "SCHEDULER_ERROR"
    EXECUTION_FAILED = "EXECUTION_FAILED"
    INVALID_REQUEST = "INVALID_REQUEST"
    INVALID_PATH = "INVALID_PATH"
    INVALID_DATA = "INVALID_DATA"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    UNKNOWN_INSTANCE = "UNKNOWN_INSTANCE"
    UNKNOWN_WORKFLOW = "UNKNOWN_WORKFLOW"
    ALREADY_RUNNING = "ALREADY_RUNNING"
    CONFLICT = "CONFLICT"
    TOO_LARGE = "TOO_LARGE"
    TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
    UNAVAILABLE = "UNAVAILABLE"
    NO_EXECUTOR = "NO_EXECUTOR"

    @property
    def temporary(self) -> bool:
        """Whether the same call may succeed a little later."""
        return self in (ErrorCode.UNAVAILABLE, ErrorCode.NO_EXECUTOR, ErrorCode.TOO_MANY_REQUESTS)


class ErrorInfo(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An error as it is stored and sent.

    Attributes:
        code: one of the stable codes.
        message: one sentence for a person.
        path: the task that it is about.
        type: EXECUTION_FAILED only: the class name of the exception.
        traceback: EXECUTION_FAILED only: the author's frames, as text.
        details: further facts, for programs.
    """

    code: ErrorCode
    message: str
    path: str | None = None
    type: str | None = None
    traceback: str | None = None
    details: dict[str, Any] | None = None


class TaskpathError(Exception):
    """An error with a stable code.

    Args:
        code: the stable code.
        message: one sentence: what was wrong and what is expected.
        path: the task that it is about, if any.
        details: further facts, for programs.
    """

    def __init__(
        self, code: ErrorCode, message: str, *, path: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.info = ErrorInfo(code=code, message=message, path=path, details=details)

    @property
    def code(self) -> ErrorCode:
        """The stable code."""
        return self.info.code

    @classmethod
    def of(cls, info: ErrorInfo) -> TaskpathError:
        """The exception for an error that came in a message."""
        error = cls(info.code, info.message)
        error.info = info
        return error
