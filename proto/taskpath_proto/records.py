"""What is stored about an instance and its tasks.

A change names only the fields that changed (``UNSET`` means *as before*, ``None`` means *none any more*), so
that a store merges it into what it has, in whatever way it merges best, and repeating it is harmless.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from msgspec import UNSET, UnsetType

from taskpath_proto.errors import ErrorInfo
from taskpath_proto.plan import Handler, Plan
from taskpath_proto.values import Value


class TaskStatus(StrEnum):
    """The status of a task."""

    INACTIVE = "inactive"
    QUEUED = "queued"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class InstanceStatus(StrEnum):
    """The status of an instance."""

    INACTIVE = "inactive"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing runs and nothing is left to run."""
        return self in (InstanceStatus.DONE, InstanceStatus.FAILED, InstanceStatus.CANCELLED)


class Mode(StrEnum):
    """Which tasks under a path an execute runs."""

    ALL = "all"
    STALE = "stale"
    FAILED = "failed"


class Upstream(StrEnum):
    """What an execute does about tasks before its path that are not fresh."""

    REQUIRE = "require"
    RUN = "run"
    IGNORE = "ignore"


class AttemptStatus(StrEnum):
    """How one attempt stands or ended."""

    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


class RetryState(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Which try of how many this is, within one execute; ``next_at`` (ms since epoch) while it waits."""

    try_: int = msgspec.field(name="try")
    attempts: int
    next_at: int | None = None


class Progress(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a task last said of itself: a fraction from 0 to 1, and a message."""

    fraction: float
    message: str | None = None


class AttemptRecord(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One attempt that is over, or the one that runs."""

    attempt: int
    status: AttemptStatus
    execution_time: int | None = None
    duration: int | None = None
    executor: str | None = None
    error: ErrorInfo | None = None


class Rollup(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How many tasks below a group have which status. Groups are not counted, their tasks are."""

    total: int = 0
    inactive: int = 0
    queued: int = 0
    running: int = 0
    ok: int = 0
    failed: int = 0
    skipped: int = 0
    cancelled: int = 0


class TaskChange(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The fields of a task's record that changed.

    Attributes:
        path: the task.
        status: of the subtree, for a group.
        bound: the instance's counter when the inputs were bound.
        left: the instance's counter when what the task leaves last changed (a group: its joined result).
        own_left: a group only: the same of its own function's result; a foreach: of the list it read.
        attempt: the number of the current attempt, 0 if there was none.
        command: the epoch and the number of the command that started the current attempt.
        execution_time: start of the current attempt, ms since epoch.
        duration: of the current attempt, in ms.
        executor: who runs, or ran, the current attempt.
        body: the task's result; for a group the result of its own function.
        error: of the last attempt.
        argument: what the current attempt was given.
        updaters: what ``update_context`` left, a JSON list.
        retry: which try this is, and when the next one comes.
        progress: what the task last said of itself.
        attempts: the attempts before the current one, oldest first (the last twenty).
        own: a group only: the status of its own function.
        items: a foreach only: the list that it read.
        count: a foreach only: how many items it has.
        rollup: a group only: how many of the tasks below it have which status.
        bounds: a foreach only: how many finished tasks below it were bound by which of its executions, as
            (``bound`` of the execution, count): enough to count the stale ones without their records.
        reason: why the task is not further, in words (a queue that nobody serves).
        joining: a group only: how the check of what its tasks left in the context stands, if one was needed.
        losses: how often in a row the task ran alone on an executor that ended meanwhile.
        segment: of a task that was sent with others that its executor goes on to: its place among them,
            and how many they are. Only the first is sent after it was bound.
    """

    path: str
    status: TaskStatus | UnsetType = UNSET
    bound: int | UnsetType = UNSET
    left: int | UnsetType = UNSET
    own_left: int | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    command: tuple[int, int] | UnsetType = UNSET
    execution_time: int | None | UnsetType = UNSET
    duration: int | None | UnsetType = UNSET
    executor: str | None | UnsetType = UNSET
    body: Value | None | UnsetType = UNSET
    error: ErrorInfo | None | UnsetType = UNSET
    argument: Value | None | UnsetType = UNSET
    updaters: Value | None | UnsetType = UNSET
    retry: RetryState | None | UnsetType = UNSET
    progress: Progress | None | UnsetType = UNSET
    attempts: tuple[AttemptRecord, ...] | UnsetType = UNSET
    own: TaskStatus | None | UnsetType = UNSET
    items: Value | None | UnsetType = UNSET
    count: int | None | UnsetType = UNSET
    rollup: Rollup | UnsetType = UNSET
    bounds: tuple[tuple[int, int], ...] | UnsetType = UNSET
    reason: str | None | UnsetType = UNSET
    joining: TaskStatus | None | UnsetType = UNSET
    losses: int | UnsetType = UNSET
    segment: tuple[int, int] | None | UnsetType = UNSET


class TaskRecord(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The record of a task: all its changes, merged. ``revision`` is that of its last change."""

    path: str = ""
    revision: int = 0
    status: TaskStatus = TaskStatus.INACTIVE
    bound: int = 0
    left: int = 0
    own_left: int = 0
    attempt: int = 0
    command: tuple[int, int] | None = None
    execution_time: int | None = None
    duration: int | None = None
    executor: str | None = None
    body: Value | None = None
    error: ErrorInfo | None = None
    argument: Value | None = None
    updaters: Value | None = None
    retry: RetryState | None = None
    progress: Progress | None = None
    attempts: tuple[AttemptRecord, ...] = ()
    own: TaskStatus | None = None
    items: Value | None = None
    count: int | None = None
    rollup: Rollup | None = None
    bounds: tuple[tuple[int, int], ...] = ()
    reason: str | None = None
    joining: TaskStatus | None = None
    losses: int = 0
    segment: tuple[int, int] | None = None


class RunRecord(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An execute that was accepted and is not over.

    Attributes:
        number: the instance's counter when it was accepted; a task whose ``bound`` is greater ran in it.
        path: the path or pattern.
        mode: which tasks it runs.
        upstream: what it does about the tasks before them.
        argument: replaces the argument of the first step that runs.
        cancelled: the foreaches of which it starts no further items, because a cancel has met them.
    """

    number: int
    path: str = "#"
    mode: Mode = Mode.ALL
    upstream: Upstream = Upstream.REQUIRE
    argument: Value | None = None
    cancelled: tuple[str, ...] = ()


class HandlerRecord(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A call of an author's handler that is not over.

    Attributes:
        number: the instance's counter when it became due.
        handler: which one.
        status: the instance's, for ``complete``.
        error: the first failure, for ``error``.
        tries: how often it was tried so far.
    """

    number: int
    handler: Handler
    status: InstanceStatus | None = None
    error: ErrorInfo | None = None
    tries: int = 0


class CommandRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A command that came with an idempotency key and was accepted.

    Attributes:
        key: the caller's.
        digest: of what was asked for.
        revision: at which it shows.
        time: when it was accepted, ms since epoch.
    """

    key: str
    digest: str
    revision: int
    time: int


class InstanceProgress(msgspec.Struct, frozen=True, rename="camel"):
    """How far an instance is, in tasks; ``fraction`` from 0 to 1."""

    total: int = 0
    done: int = 0
    failed: int = 0
    running: int = 0
    fraction: float = 0.0


class InstanceChange(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The fields of an instance's record that changed. Times in ms since epoch."""

    realm: str | UnsetType = UNSET
    workflow: str | UnsetType = UNSET
    name: str | None | UnsetType = UNSET
    data: Value | UnsetType = UNSET
    base_context: Value | UnsetType = UNSET
    ephemeral: bool | UnsetType = UNSET
    plan: Plan | UnsetType = UNSET
    plan_version: int | UnsetType = UNSET
    counter: int | UnsetType = UNSET
    runs: tuple[RunRecord, ...] | UnsetType = UNSET
    status: InstanceStatus | UnsetType = UNSET
    progress: InstanceProgress | UnsetType = UNSET
    created_at: int | UnsetType = UNSET
    updated_at: int | UnsetType = UNSET
    started_at: int | None | UnsetType = UNSET
    finished_at: int | None | UnsetType = UNSET
    creation_key: str | None | UnsetType = UNSET
    handlers: tuple[HandlerRecord, ...] | UnsetType = UNSET
    commands: tuple[CommandRecord, ...] | UnsetType = UNSET
    deleting: bool | UnsetType = UNSET
    calls: tuple[int, ...] | UnsetType = UNSET


class InstanceRecord(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The record of an instance: all its changes, merged.

    Attributes:
        counter: where ``bound``, ``left``, command and run numbers come from.
        runs: the executes that are not over.
        creation_key: a digest of what an idempotent create asked for.
        handlers: the calls of handlers that are not over.
        commands: the last commands with idempotency keys, oldest first.
        deleting: nobody is to see it any more; it goes when its handlers are over.
        calls: the last calls that were carried out, by a number of each, so that a repeat is known.
    """

    id: str = ""
    epoch: int = 0
    revision: int = 0
    realm: str = "default"
    workflow: str = ""
    name: str | None = None
    data: Value | None = None
    base_context: Value | None = None
    ephemeral: bool = False
    plan: Plan = Plan(tasks=())
    plan_version: int = 1
    counter: int = 0
    runs: tuple[RunRecord, ...] = ()
    status: InstanceStatus = InstanceStatus.INACTIVE
    progress: InstanceProgress = InstanceProgress()
    created_at: int = 0
    updated_at: int = 0
    started_at: int | None = None
    finished_at: int | None = None
    creation_key: str | None = None
    handlers: tuple[HandlerRecord, ...] = ()
    commands: tuple[CommandRecord, ...] = ()
    deleting: bool = False
    calls: tuple[int, ...] = ()
