"""What a client hands out: typed, with the values decoded. Times in ms since epoch, durations in ms."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from taskpath_proto.errors import ErrorInfo
from taskpath_proto.packets import (
    ExecutionError,
    InstanceGone,
    InstancePacket,
    LogsDocument,
    Resync,
    RollupView,
    SetWorkflowStatus,
    TaskLogs,
    TaskNode,
    TaskState,
    WorkflowDescription,
)
from taskpath_proto.queries import InstanceSummary
from taskpath_proto.records import (
    AttemptRecord,
    InstanceProgress,
    InstanceStatus,
    Progress,
    RetryState,
    TaskStatus,
)


class Instance(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An instance as it was read.

    Of an ephemeral instance that has ended only ``id``, ``status`` and ``deleted`` are left.

    Attributes:
        id: its id.
        workflow: the workflow's name.
        realm: its tenant or group.
        name: for people.
        data: what the workflow is about.
        base_context: the lowest layer of the context.
        ephemeral: whether it is deleted when it ends.
        revision: what all this shows.
        status: where it stands.
        progress: how far it is, in tasks.
        created_at: when it was created.
        updated_at: when it last changed.
        started_at: when it was first executed.
        finished_at: when it last ended.
        tasks: the root tasks of the tree, with their children.
        statuses: how each task stands, by path.
        deleted: whether it is gone.
    """

    id: str
    workflow: str = ""
    realm: str = "default"
    name: str | None = None
    data: Any = None
    base_context: Any = None
    ephemeral: bool = False
    revision: int = 0
    status: InstanceStatus
    progress: InstanceProgress = InstanceProgress()
    created_at: int = 0
    updated_at: int = 0
    started_at: int | None = None
    finished_at: int | None = None
    tasks: list[TaskNode] = []
    statuses: dict[str, TaskState] = {}
    deleted: bool | UnsetType = UNSET

    @property
    def at_rest(self) -> bool:
        """Whether it has ended, or a part of it was run and nothing runs any more."""
        partly = self.started_at is not None and self.status is InstanceStatus.INACTIVE
        return self.status.ended or partly


class TaskDetails(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The record of a task. A value over 1 MiB is ``{"ref": …, "size": …}``; read it with `Client.result`.

    Attributes:
        path: the task.
        revision: of its last change.
        status: where it stands.
        stale: whether it no longer agrees with what stands before it.
        execution_time: when the current attempt started.
        duration: how long it took.
        expected_duration: how long it usually takes, in ms, as far as the past tells; a group and a foreach
            with everything below.
        expected_spread: the usual distance from that, in ms.
        attempt: its number, 0 if there was none.
        body: the result; UNSET if there is none.
        argument: what the current attempt was given; UNSET if there was none.
        context: the context that it saw; UNSET if the gateway does not tell it.
        context_updaters: what ``update_context`` left.
        attempts: all that are kept, the current one last.
        error: of the last attempt, if it failed.
        progress: what it last said of itself.
        retry: which try this is, and when the next one comes.
        rollup: of a foreach: how many items have which status.
        count: of a foreach: how many items it has.
        executor: who runs, or ran, the current attempt.
        reason: why it is not further.
    """

    path: str = ""
    revision: int = 0
    status: TaskStatus
    stale: bool = False
    execution_time: int | None = None
    duration: int | None = None
    expected_duration: int | None = None
    expected_spread: int | None = None
    attempt: int = 0
    body: Any = UNSET
    argument: Any = UNSET
    context: Any = UNSET
    context_updaters: Any = UNSET
    attempts: list[AttemptRecord] = []
    error: ErrorInfo | None = None
    progress: Progress | None = None
    retry: RetryState | None = None
    rollup: RollupView | None = None
    count: int | None = None
    executor: str | None = None
    reason: str | None = None


class InstanceList(msgspec.Struct, frozen=True, rename="camel"):
    """A page of the list of instances, newest first; ``next_cursor`` is None at the end."""

    items: list[InstanceSummary]
    next_cursor: str | None = None


class SetTasksStatuses(InstancePacket, tag="setTasksStatuses", frozen=True, kw_only=True):
    """How tasks stand; a path in ``removed`` is there no more, nor is what was below it."""

    statuses: dict[str, TaskState]
    removed: tuple[str, ...] = ()


Logs: TypeAlias = LogsDocument
"""Lines of a task's log; ``next`` is to be passed as ``after``."""

Change: TypeAlias = (
    WorkflowDescription
    | SetTasksStatuses
    | SetWorkflowStatus
    | TaskLogs
    | Resync
    | ExecutionError
    | InstanceGone
)
"""What a watch yields: the packets of the WebSocket that say something about the instance."""
