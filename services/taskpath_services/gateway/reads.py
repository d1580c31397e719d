"""Reads: what is asked of storage for callers and watchers."""

from __future__ import annotations

from typing import Final, NamedTuple

from taskpath.runtime.caller import Caller
from taskpath_proto import topology
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import (
    AllCommitted,
    AskCommitted,
    AskPartitions,
    InstancesPage,
    InstanceView,
    ListInstances,
    LogsView,
    Partitions,
    ReadInstance,
    ReadLogs,
    ReadTask,
    TaskView,
    Tombstone,
)
from taskpath_proto.records import InstanceRecord, TaskRecord
from taskpath_proto.values import Value

READ_SECONDS: Final = 10.0
"""How long an answer of storage is waited for."""

COLLAPSED: Final = 1000
"""A foreach of more items is a rollup."""


class Seen(NamedTuple):
    """An instance as it was read.

    Attributes:
        instance: its record.
        tasks: the records of its tasks.
        removed_at: the revision at which tasks were last removed.
    """

    instance: InstanceRecord
    tasks: list[TaskRecord]
    removed_at: int


class Buried(TaskpathError):
    """The instance was ephemeral and has ended; what is left of it tells how.

    Args:
        tombstone: what is left.
    """

    def __init__(self, tombstone: Tombstone) -> None:
        super().__init__(
            ErrorCode.UNKNOWN_INSTANCE,
            f"The instance {tombstone.id!r} was ephemeral; it ended {tombstone.status} and was deleted.",
            details={"status": tombstone.status.value, "deleted": True},
        )
        self.tombstone = tombstone


class Reads:
    """Asks storage.

    Args:
        caller: for storage.
        timeout: how long an answer is waited for, in seconds.
    """

    def __init__(self, caller: Caller, timeout: float = READ_SECONDS) -> None:
        self._caller = caller
        self._timeout = timeout

    async def caught_up(self, partition: int) -> None:
        """Returns when storage has every change of a partition that was published before this was called.

        Raises:
            TaskpathError: UNAVAILABLE.
        """
        await self._caller.ask(
            topology.storage_mailbox(partition), AskCommitted(partition), AllCommitted, self._timeout
        )

    async def instance(
        self, instance: str, *, min_revision: int = 0, since: int = 0, paths: tuple[str, ...] = ()
    ) -> Seen:
        """An instance and the records of its tasks, without bodies and items of collapsed foreaches.

        Args:
            instance: its id.
            min_revision: the answer has to be at least this new.
            since: only records that changed after this revision.
            paths: patterns of the tasks that are wanted; all if empty.

        Raises:
            TaskpathError: UNKNOWN_INSTANCE, UNAVAILABLE.
        """
        query = ReadInstance(
            id=instance, min_revision=min_revision, since=since, paths=paths, items=COLLAPSED
        )
        view = await self._caller.ask(topology.QUERIES, query, InstanceView, self._timeout)
        if view.instance is None:
            raise unknown(instance) if view.tombstone is None else Buried(view.tombstone)
        return Seen(view.instance, view.tasks, view.removed_at)

    async def task(
        self, instance: str, path: str, min_revision: int = 0
    ) -> tuple[InstanceRecord, TaskRecord, Value | None]:
        """An instance's record, that of one task with its values, and the context that it sees.

        Raises:
            TaskpathError: UNKNOWN_INSTANCE, CANNOT_FIND_TASK, UNAVAILABLE.
        """
        query = ReadTask(id=instance, path=path, min_revision=min_revision)
        view = await self._caller.ask(topology.QUERIES, query, TaskView, self._timeout)
        if view.instance is None:
            raise unknown(instance) if view.tombstone is None else Buried(view.tombstone)
        if view.task is None:
            raise no_task(instance, path)
        return view.instance, view.task, view.context

    async def logs(self, instance: str, path: str, after: int, limit: int) -> LogsView:
        """Lines of a task's log after a position.

        Raises:
            TaskpathError: UNKNOWN_INSTANCE, UNAVAILABLE.
        """
        query = ReadLogs(id=instance, path=path, after=after, limit=limit)
        view = await self._caller.ask(topology.QUERIES, query, LogsView, self._timeout)
        if not view.known:
            raise unknown(instance)
        return view

    async def partitions(self, timeout: float) -> int:
        """How many partitions the deployment has, by the records.

        Args:
            timeout: how long the answer is waited for, in seconds.

        Raises:
            TaskpathError: UNAVAILABLE.
        """
        return (await self._caller.ask(topology.QUERIES, AskPartitions(), Partitions, timeout)).count

    async def instances(self, query: ListInstances, timeout: float | None = None) -> InstancesPage:
        """A page of the index.

        Raises:
            TaskpathError: INVALID_REQUEST for a wrong cursor, UNAVAILABLE.
        """
        return await self._caller.ask(
            topology.QUERIES, query, InstancesPage, self._timeout if timeout is None else timeout
        )


def unknown(instance: str) -> TaskpathError:
    """The error for an instance that is not there."""
    return TaskpathError(ErrorCode.UNKNOWN_INSTANCE, f"There is no instance {instance!r}.")


def no_task(instance: str, path: str) -> TaskpathError:
    """The error for a task that is not there."""
    return TaskpathError(
        ErrorCode.CANNOT_FIND_TASK, f"The instance {instance!r} has no task {path!r}.", path=path
    )
