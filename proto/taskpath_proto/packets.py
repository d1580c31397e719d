"""Packets and bodies: what clients send to a gateway and receive from it, as JSON in camelCase.

This is the public contract in types; everything else in this package is between services. Client packets and
bodies are decoded strictly: a field that is not known is refused by name. What authors and callers pass as
values (``data``, ``baseContext``, ``argument``) stays JSON text, a :class:`msgspec.Raw`, on its whole way.

One file, though a long one: a state, a description or an error is the same in a packet and in a body, and
whoever changes the contract should see all of it.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.queries import InstanceSummary
from taskpath_proto.records import (
    AttemptRecord,
    InstanceProgress,
    InstanceStatus,
    Mode,
    Progress,
    RetryState,
    TaskStatus,
    Upstream,
)

PROTOCOL_VERSION: Final = 1
"""The version of the WebSocket protocol, as ``hello`` says it."""

RequestId: TypeAlias = Annotated[str, Meta(max_length=200)] | int
InstanceId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Realm: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=255)]
Patterns: TypeAlias = Annotated[list[str], Meta(max_length=100)]
Revision: TypeAlias = Annotated[int, Meta(ge=0, le=2**53 - 1)]
PageSize: TypeAlias = Annotated[int, Meta(ge=1, le=200)]


class ClientPacket(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, tag_field="type"
):
    """What every packet of a client may carry: an id that the answer repeats."""

    request_id: RequestId | None = None


class WatchWorkflowInstance(ClientPacket, tag="watchWorkflowInstance", frozen=True, kw_only=True):
    """Watches an instance; a second one for the same instance replaces the first.

    Attributes:
        id: the instance.
        since: the revision that the client has; only what changed after it is sent.
        paths: patterns of the tasks whose statuses are wanted; all if absent.
        logs: whether log lines are wanted, or patterns of the tasks whose lines are.
        logs_since: by path, the ``next`` of the last lines that the client has.
    """

    id: InstanceId
    since: Revision | None = None
    paths: Patterns | None = None
    logs: bool | Patterns = False
    logs_since: Annotated[dict[str, Revision], Meta(max_length=1000)] = {}


class UnwatchWorkflowInstance(ClientPacket, tag="unwatchWorkflowInstance", frozen=True, kw_only=True):
    """Watches an instance no more."""

    id: InstanceId


class WatchInstances(ClientPacket, tag="watchInstances", frozen=True, kw_only=True):
    """Watches the first page of a list of instances, newest first; a second one replaces the first."""

    realm: Realm | None = None
    status: InstanceStatus | None = None
    workflow: str | None = None
    name: str | None = None
    limit: PageSize = 50


class UnwatchInstances(ClientPacket, tag="unwatchInstances", frozen=True, kw_only=True):
    """Watches the list no more."""


class ExecuteTask(ClientPacket, tag="executeTask", frozen=True, kw_only=True):
    """Runs the tasks at a path or pattern."""

    id: InstanceId
    task_path: str
    mode: Mode = Mode.ALL
    upstream: Upstream = Upstream.REQUIRE
    argument: Raw = msgspec.field(default_factory=Raw)
    idempotency_key: Key | None = None


class ExecuteAllTasks(ClientPacket, tag="executeAllTasks", frozen=True, kw_only=True):
    """Runs everything."""

    id: InstanceId
    argument: Raw = msgspec.field(default_factory=Raw)
    idempotency_key: Key | None = None


class CancelTask(ClientPacket, tag="cancel", frozen=True, kw_only=True):
    """Cancels what runs at or under a path or pattern."""

    id: InstanceId
    task_path: str = "#"
    idempotency_key: Key | None = None


class SetTaskUpdaters(ClientPacket, tag="setContextUpdaters", frozen=True, kw_only=True):
    """Replaces what a task's ``update_context`` left: a list of updaters."""

    id: InstanceId
    task_path: str
    updaters: Raw
    idempotency_key: Key | None = None


class Authenticate(ClientPacket, tag="auth", frozen=True, kw_only=True):
    """Presents a token, or renews it."""

    token: str


ClientPackets: TypeAlias = (
    WatchWorkflowInstance
    | UnwatchWorkflowInstance
    | WatchInstances
    | UnwatchInstances
    | ExecuteTask
    | ExecuteAllTasks
    | CancelTask
    | SetTaskUpdaters
    | Authenticate
)
"""Everything that a client may send."""


class ErrorBody(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An error as callers see it: never with a traceback of ours."""

    code: ErrorCode
    message: str
    path: str | None = None
    details: dict[str, Any] | None = None

    @classmethod
    def of(cls, info: ErrorInfo) -> ErrorBody:
        """What a caller is told of an error."""
        return cls(code=info.code, message=info.message, path=info.path, details=info.details)


class ErrorResponse(msgspec.Struct, frozen=True):
    """The body of every response that is not a success."""

    error: ErrorBody


class RollupView(msgspec.Struct, frozen=True, rename="camel"):
    """How many tasks of a collapsed foreach have which status, and how many of them are stale."""

    total: int
    inactive: int
    queued: int
    running: int
    ok: int
    failed: int
    skipped: int
    cancelled: int
    stale: int


class TaskState(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A task as watchers see it. Times in ms since epoch, durations in ms.

    Attributes:
        status: of the task, of the subtree for a group.
        stale: whether it is finished and no longer agrees with what stands before it; for a group, whether
            any task of its subtree is.
        attempt: the number of the current attempt, 0 if there was none.
        execution_time: the start of that attempt.
        duration: how long it took.
        expected_duration: how long it usually takes, as far as the past tells; a group and a foreach with
            everything below.
        expected_spread: the usual distance from that.
        progress: what the task last said of itself.
        retry: which try this is, and when the next one comes.
        error: of the last attempt, if it failed.
        rollup: of a collapsed foreach.
        reason: why it is not further.
    """

    status: TaskStatus
    stale: bool
    execution_time: int | None
    duration: int | None
    attempt: int
    expected_duration: int | None = None
    expected_spread: int | None = None
    progress: Progress | None = None
    retry: RetryState | None = None
    error: ErrorInfo | None = None
    rollup: RollupView | None = None
    reason: str | None = None


class TaskNode(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A task of the described tree. The path of what stands below a foreach has ``[*]`` for the item.

    Attributes:
        foreach: whether it is a foreach; its items are not listed.
        count: a foreach only: how many items it has, once that is known.
    """

    name: str
    description: str
    path: str
    children: list[TaskNode]
    foreach: bool = False
    count: int | None = None


class ServerPacket(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, tag_field="type"
):
    """What every packet of a gateway has: its type."""


class Hello(ServerPacket, tag="hello", frozen=True, kw_only=True):
    """The first packet of a connection."""

    version: int
    session: str


class Ack(ServerPacket, tag="ack", frozen=True, kw_only=True):
    """A packet was dealt with; what it changed shows at ``revision``."""

    request_id: RequestId | None = None
    revision: int | None = None


class AppError(ServerPacket, tag="appError", frozen=True, kw_only=True):
    """A packet could not be dealt with."""

    error: ErrorBody
    request_id: RequestId | None = None


class InstancePacket(ServerPacket, frozen=True, kw_only=True):
    """What moves a watcher from a revision to the next.

    Attributes:
        id: the instance.
        revision: what the watcher has afterwards, if no ``more`` follows.
        base_revision: what it must have at least.
        more: whether another packet of this revision follows.
    """

    id: str
    revision: int
    base_revision: int
    more: bool = False


class WorkflowDescription(InstancePacket, tag="workflowDescription", frozen=True, kw_only=True):
    """The tree of an instance, or a part of it: a large one is described in several packets of one revision.

    Attributes:
        tasks: the tasks at the root, with their children.
        continues: whether this adds to the description before it. A task that is there already comes again
            with further children.
    """

    tasks: list[TaskNode]
    continues: bool = False


class SetTasksStatuses(InstancePacket, tag="setTasksStatuses", frozen=True, kw_only=True):
    """How tasks stand. The states are encoded once, for every client that sees them."""

    statuses: dict[str, Raw]
    removed: list[str] = []


class SetWorkflowStatus(InstancePacket, tag="setWorkflowStatus", frozen=True, kw_only=True):
    """How the instance stands."""

    status: InstanceStatus
    progress: InstanceProgress


class TaskLogLine(msgspec.Struct, frozen=True, rename="camel"):
    """A line of a task's log. ``time`` in ms since epoch."""

    time: int
    level: str
    text: str
    attempt: int


class TaskLogs(ServerPacket, tag="taskLogs", frozen=True, kw_only=True):
    """Lines of a task's log; ``dropped`` lines before them were not sent, the client being too slow."""

    id: str
    task_path: str
    lines: list[TaskLogLine]
    next: int
    dropped: int = 0


class InstancesChanged(ServerPacket, tag="instancesChanged", frozen=True, kw_only=True):
    """What changed in the watched list; the first one is the page. An id in ``removed`` is on it no more."""

    items: list[InstanceSummary]
    removed: list[str]


class InstanceGone(ServerPacket, tag="instanceDeleted", frozen=True, kw_only=True):
    """The instance was deleted, and is watched no more.

    Attributes:
        status: of an ephemeral instance that has ended: how.
    """

    id: str
    status: InstanceStatus | None = None


class Resync(ServerPacket, tag="resync", frozen=True, kw_only=True):
    """The client is behind in a way that cannot be made up for; a fresh description and statuses follow."""

    id: str
    reason: str


class Heartbeat(ServerPacket, tag="heartbeat", frozen=True, kw_only=True):
    """The last revision sent to this client, by instance."""

    revisions: dict[str, int]


class ExecutionError(ServerPacket, tag="executionError", frozen=True, kw_only=True):
    """A task has failed for good."""

    id: str
    task_path: str
    error: ErrorInfo


class CreateInstanceBody(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """The body of ``POST /instances``."""

    workflow: str
    data: Raw = msgspec.field(default_factory=Raw)
    realm: Realm = "default"
    name: Annotated[str, Meta(max_length=200)] | None = None
    base_context: Raw = msgspec.field(default_factory=Raw)
    ephemeral: bool = False
    execute: bool = False
    argument: Raw = msgspec.field(default_factory=Raw)


class ExecuteBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body of ``POST /instances/{id}/execute``."""

    path: str = "#"
    mode: Mode = Mode.ALL
    upstream: Upstream = Upstream.REQUIRE
    argument: Raw = msgspec.field(default_factory=Raw)


class CancelBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body of ``POST /instances/{id}/cancel``."""

    path: str = "#"


class UpdateBody(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body of ``PATCH /instances/{id}``: an updater of the data, or a name (null for none)."""

    data: Raw = msgspec.field(default_factory=Raw)
    name: Annotated[str, Meta(max_length=200)] | None | UnsetType = UNSET


class ContextUpdatersBody(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """The body of ``PUT …/contextUpdaters``: a list of updaters."""

    updaters: Annotated[Raw, Meta(extra_json_schema={"type": "array"})]


class RevisionView(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to a command."""

    revision: int


class DeletedView(msgspec.Struct, frozen=True):
    """How many instances were deleted."""

    deleted: int


class ValueRef(msgspec.Struct, frozen=True, rename="camel"):
    """A value that is too large to be shown in place. ``size`` in bytes."""

    ref: str
    size: int


class InstanceDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An instance, as ``GET /instances/{id}`` shows it. Times in ms since epoch."""

    id: str
    workflow: str
    realm: str
    name: str | None
    data: Raw
    base_context: Raw
    ephemeral: bool
    revision: int
    status: InstanceStatus
    progress: InstanceProgress
    created_at: int
    updated_at: int
    started_at: int | None
    finished_at: int | None
    tasks: list[TaskNode]
    statuses: dict[str, TaskState]


class TombstoneDocument(msgspec.Struct, frozen=True):
    """What is left of an ephemeral instance for ten minutes after it has ended."""

    id: str
    status: InstanceStatus
    deleted: bool = True


class InstancesDocument(msgspec.Struct, frozen=True, rename="camel"):
    """A page of instances, newest first; ``nextCursor`` is null at the end."""

    items: list[InstanceSummary]
    next_cursor: str | None


class TaskDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The record of a task, as ``GET /instances/{id}/tasks/{path}`` shows it.

    Attributes:
        expected_duration: how long it usually takes, in ms, as far as the past tells; a group and a foreach
            with everything below.
        expected_spread: the usual distance from that, in ms.
        body: its result, if there is one.
        argument: what the current attempt was given.
        context: what it sees in the context, as the tree stands now.
        context_updaters: what ``update_context`` left.
        attempts: all that are kept, the current one last.
    """

    path: str
    revision: int
    status: TaskStatus
    stale: bool
    execution_time: int | None
    duration: int | None
    attempt: int
    context_updaters: Raw
    attempts: list[AttemptRecord]
    expected_duration: int | None = None
    expected_spread: int | None = None
    body: Raw | UnsetType = UNSET
    argument: Raw | UnsetType = UNSET
    context: Raw | UnsetType = UNSET
    error: ErrorInfo | None = None
    progress: Progress | None = None
    retry: RetryState | None = None
    rollup: RollupView | None = None
    count: int | None = None
    executor: str | None = None
    reason: str | None = None


class LogsDocument(msgspec.Struct, frozen=True, rename="camel"):
    """Lines of a log; ``next`` is to be passed as ``after``."""

    lines: list[TaskLogLine]
    next: int


class WorkflowView(msgspec.Struct, frozen=True, rename="camel"):
    """A workflow that executors have announced; ``schema`` is the JSON Schema of its data, null if
    untyped."""

    name: str
    description: str
    queue: str
    schema: dict[str, Any] | None
    executors: list[str]


class WorkflowsDocument(msgspec.Struct, frozen=True):
    """The known workflows, by name."""

    items: list[WorkflowView]


class ExecutorView(msgspec.Struct, frozen=True, rename="camel"):
    """An executor that has been heard of.

    Attributes:
        status: ``serving``, ``leaving`` (it takes no more work) or ``away`` (not heard of for a while).
        running: how many attempts it runs.
        concurrency: how many coroutines it runs at once.
        started_at: when it started, ms since epoch, by its own clock.
        last_heartbeat: when it was last heard of, ms since epoch.
    """

    id: str
    status: str
    queues: list[str]
    workflows: list[str]
    running: int
    concurrency: int
    started_at: int
    last_heartbeat: int


class ExecutorsDocument(msgspec.Struct, frozen=True):
    """The executors, by id."""

    items: list[ExecutorView]
