"""Reads: what is asked of storage for callers and watchers."""

from __future__ import annotations

from typing import Final

from taskpath.runtime.caller import Caller
from taskpath_proto import topology
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import (
    InstancesPage,
    InstanceView,
    ListInstances,
    LogsView,
    ReadInstance,
    ReadLogs,
    ReadTask,
    TaskView,
)
from taskpath_proto.records import InstanceRecord, TaskRecord

READ_SECONDS: Final = 10.0
"""How long an answer of storage is waited for."""

COLLAPSED: Final = 1000
"""A foreach of more items is a rollup."""


class Reads:
    """Asks storage.

    Args:
        caller: for storage.
        timeout: how long an answer is waited for, in seconds.
    """

    def __init__(self, caller: Caller, timeout: float = READ_SECONDS) -> None:
        self._caller = caller
        self._timeout = timeout

    async def instance(
        self, instance: str, *, min_revision: int = 0, since: int = 0, paths: tuple[str, ...] = ()
    ) -> tuple[InstanceRecord, list[TaskRecord]]:
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
            raise unknown(instance)
        return view.instance, view.tasks

    async def task(
        self, instance: str, path: str, min_revision: int = 0
    ) -> tuple[InstanceRecord, TaskRecord]:
        """An instance's record, and that of one task with its values.

        Raises:
            TaskpathError: UNKNOWN_INSTANCE, CANNOT_FIND_TASK, UNAVAILABLE.
        """
        query = ReadTask(id=instance, path=path, min_revision=min_revision)
        view = await self._caller.ask(topology.QUERIES, query, TaskView, self._timeout)
        if view.instance is None:
            raise unknown(instance)
        if view.task is None:
            raise no_task(instance, path)
        return view.instance, view.task

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
