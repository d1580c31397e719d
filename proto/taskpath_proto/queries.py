"""Queries: what is asked of storage.

An owner asks through the mailbox ``storage.<p>``, behind its own events; everyone else through the volatile
queue ``queries``, where any replica answers, once it has the revision asked for.
"""

from __future__ import annotations

import msgspec

from taskpath_proto.events import LogLine
from taskpath_proto.records import InstanceProgress, InstanceRecord, InstanceStatus, TaskRecord
from taskpath_proto.values import Value


class ClaimPartition(msgspec.Struct, tag="ClaimPartition", frozen=True, rename="camel"):
    """Raises the epoch of a partition for a new owner."""

    partition: int
    claimant: str


class PartitionClaimed(msgspec.Struct, tag="PartitionClaimed", frozen=True, rename="camel"):
    """The new epoch, and the instances of the partition that have something unfinished: executes, handlers,
    or their own deletion."""

    partition: int
    epoch: int
    active: tuple[str, ...]


class LoadInstance(msgspec.Struct, tag="LoadInstance", frozen=True, rename="camel"):
    """Everything an owner needs of an instance. Answered with :class:`InstanceLoaded`."""

    id: str


class InstanceLoaded(msgspec.Struct, tag="InstanceLoaded", frozen=True, rename="camel", omit_defaults=True):
    """The instance and the records of its tasks; None if there is no such instance.

    Attributes:
        instance: its record.
        tasks: those of its tasks.
        tombstone: what is left of an ephemeral instance that has ended.
    """

    instance: InstanceRecord | None = None
    tasks: list[TaskRecord] = []
    tombstone: Tombstone | None = None


class ReadInstance(msgspec.Struct, tag="ReadInstance", frozen=True, rename="camel", omit_defaults=True):
    """An instance as watchers see it. Answered with :class:`InstanceView`.

    Attributes:
        id: the instance.
        min_revision: the answer has to be at least this new.
        since: only tasks that changed after this revision.
        paths: only tasks that one of these patterns covers; all if empty. The items of a foreach of more
            than ``items`` items are left out unless a pattern names items.
        items: see ``paths``.
    """

    id: str
    min_revision: int = 0
    since: int = 0
    paths: tuple[str, ...] = ()
    items: int = 1000


class Tombstone(msgspec.Struct, frozen=True, rename="camel"):
    """What is left of an ephemeral instance for ten minutes after it has ended."""

    id: str
    realm: str
    status: InstanceStatus


class InstanceView(msgspec.Struct, tag="InstanceView", frozen=True, rename="camel", omit_defaults=True):
    """The instance at its revision and the records of its tasks, without bodies; None if there is none.

    Attributes:
        instance: its record.
        tasks: the records of its tasks.
        tombstone: what is left of an ephemeral instance that has ended.
        removed_at: the revision at which tasks were last removed. A read ``since`` an earlier one does not
            tell which, so that everything has to be read anew.
    """

    instance: InstanceRecord | None = None
    tasks: list[TaskRecord] = []
    tombstone: Tombstone | None = None
    removed_at: int = 0


class ReadTask(msgspec.Struct, tag="ReadTask", frozen=True, rename="camel", omit_defaults=True):
    """The record of one task, with its values. Answered with :class:`TaskView`."""

    id: str
    path: str
    min_revision: int = 0


class TaskView(msgspec.Struct, tag="TaskView", frozen=True, rename="camel", omit_defaults=True):
    """The instance's record, and the task's; an untouched task has a record without a revision.

    Attributes:
        instance: the instance's record; None if there is no such instance.
        task: the task's record, its argument derived from the tree where the record does not keep it; of a
            group without a function of its own, the body is the joined result. None if there is no such task.
        context: what the task sees in the context as the tree stands now, if that can be built.
        tombstone: what is left of an ephemeral instance that has ended.
    """

    instance: InstanceRecord | None = None
    task: TaskRecord | None = None
    context: Value | None = None
    tombstone: Tombstone | None = None


class ReadLogs(msgspec.Struct, tag="ReadLogs", frozen=True, rename="camel", omit_defaults=True):
    """Lines of a task's log after a position. Answered with :class:`LogsView`."""

    id: str
    path: str
    after: int = 0
    limit: int = 1000


class LogsView(msgspec.Struct, tag="LogsView", frozen=True, rename="camel", omit_defaults=True):
    """Lines of a log; ``next`` is to be passed as ``after``. ``known`` is false if there is no such
    instance."""

    lines: list[LogLine] = []
    next: int = 0
    known: bool = True


class ListInstances(msgspec.Struct, tag="ListInstances", frozen=True, rename="camel", omit_defaults=True):
    """A page of the index, newest first. Answered with :class:`InstancesPage`.

    Attributes:
        realm: only this realm's.
        status: only those of this status.
        workflow: only those of this workflow.
        name: only those whose name begins so (case-sensitive).
        created_after: exclusive, ms since epoch.
        created_before: exclusive, ms since epoch.
        limit: at most 200.
        cursor: the ``next_cursor`` of the page before.
    """

    realm: str | None = None
    status: InstanceStatus | None = None
    workflow: str | None = None
    name: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    limit: int = 50
    cursor: str | None = None


class InstanceSummary(msgspec.Struct, frozen=True, rename="camel"):
    """A row of the index."""

    id: str
    workflow: str
    realm: str
    name: str | None
    status: InstanceStatus
    progress: InstanceProgress
    created_at: int
    updated_at: int


class InstancesPage(msgspec.Struct, tag="InstancesPage", frozen=True, rename="camel"):
    """A page of the index; ``next_cursor`` is None at the end."""

    items: list[InstanceSummary]
    next_cursor: str | None = None


class ReadExpected(msgspec.Struct, tag="ReadExpected", frozen=True, rename="camel"):
    """How long the tasks of a workflow usually take. Answered with :class:`ExpectedTimes`."""

    realm: str
    workflow: str


class ExpectedTime(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How long the tasks at a path usually take.

    Attributes:
        duration: in ms; of a group and a foreach: with everything below.
        spread: the usual distance from that, in ms; None as long as it was seen only once.
        tasks: a foreach only: how many tasks were below it on the average.
    """

    duration: int
    spread: int | None = None
    tasks: float = 0.0


class ExpectedTimes(msgspec.Struct, tag="ExpectedTimes", frozen=True, rename="camel", omit_defaults=True):
    """By path, items as ``[*]``, what is known of how long it takes."""

    paths: dict[str, ExpectedTime] = {}


class ReadValue(msgspec.Struct, tag="ReadValue", frozen=True, rename="camel", omit_defaults=True):
    """The JSON text of a value that is not inline. Answered with :class:`ValueRead`."""

    id: str
    value: Value
    min_revision: int = 0


class ValueRead(msgspec.Struct, tag="ValueRead", frozen=True, rename="camel"):
    """The JSON text of a value."""

    json: str


class PutBlob(msgspec.Struct, tag="PutBlob", frozen=True, rename="camel"):
    """Stores a large value by itself. Answered with :class:`BlobPut` when it is safe."""

    id: str
    path: str
    name: str
    version: int
    json: str


class AskPlace(msgspec.Struct, tag="AskPlace", frozen=True, rename="camel"):
    """Whoever has a question that is too large for the queue that replicas share asks where else it may send
    it. Answered with :class:`Place`."""


class Place(msgspec.Struct, tag="Place", frozen=True, rename="camel"):
    """A volatile queue that the replica reads which answers."""

    queue: str


class BlobPut(msgspec.Struct, tag="BlobPut", frozen=True, rename="camel"):
    """The value is stored; ``value`` refers to it."""

    value: Value


class AskWanted(msgspec.Struct, tag="AskWanted", frozen=True, rename="camel"):
    """An executor asks the owner of an instance which of these orders are still wanted.

    It asks before it runs what may have run before: what came redelivered, or from an older epoch.

    Attributes:
        id: the instance.
        epoch: of the orders.
        executor: who asks.
        orders: of each its path and its command's number.
    """

    id: str
    epoch: int
    executor: str
    orders: tuple[tuple[str, int], ...]


class Wanted(msgspec.Struct, tag="Wanted", frozen=True, rename="camel", omit_defaults=True):
    """The numbers of the commands that are still wanted."""

    commands: tuple[int, ...] = ()


class AskCommitted(msgspec.Struct, tag="AskCommitted", frozen=True, rename="camel", omit_defaults=True):
    """Asked through the mailbox of a partition's events: answered when all before this are stored. So an
    owner knows how far ahead of storage it is (one of an older epoch gets CONFLICT), and whoever has begun to
    listen knows that a read shows what it came too late to hear.

    Attributes:
        partition: whose events.
        epoch: of the owner; None if it is not the owner who asks.
    """

    partition: int
    epoch: int | None = None


class AllCommitted(msgspec.Struct, tag="AllCommitted", frozen=True, rename="camel"):
    """Everything that came before the question is stored."""


class AskPartitions(msgspec.Struct, tag="AskPartitions", frozen=True, rename="camel"):
    """How many partitions does the deployment have? Answered with :class:`Partitions`."""


class Partitions(msgspec.Struct, tag="Partitions", frozen=True, rename="camel"):
    """How many mailboxes share the instances, since the deployment began."""

    count: int
