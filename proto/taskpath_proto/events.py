"""Events: what happened, said once, on the exchange ``events``.

A committed change of an instance is one :class:`InstanceChanged`. Storage persists it, and the gateways that
watch the instance receive the same message: there is no second description of a change.
"""

from __future__ import annotations

from typing import Any

import msgspec

from taskpath_proto.records import InstanceChange, InstanceStatus, Progress, TaskChange


class InstanceChanged(msgspec.Struct, tag="InstanceChanged", rename="camel", omit_defaults=True):
    """One committed change.

    Attributes:
        id: the instance.
        partition: of the instance.
        epoch: of the owner that decided it; an older one than storage knows is refused.
        revision: of the instance, after the change.
        base_revision: of the instance, before it.
        whole: this is all there is of the instance, whatever was stored before; it ends a gap.
        tasks: what changed of its tasks.
        removed: items that a shorter list no longer has; each takes what is below it along.
        instance: what changed of the instance itself.
    """

    id: str
    partition: int
    epoch: int
    revision: int
    base_revision: int
    tasks: list[TaskChange] = []
    removed: list[str] = []
    instance: InstanceChange | None = None
    whole: bool = False


class InstanceDeleted(msgspec.Struct, tag="InstanceDeleted", rename="camel", omit_defaults=True):
    """The instance is gone, with its records, logs and values.

    Attributes:
        id: the instance.
        partition: of the instance.
        epoch: of the owner.
        revision: of the instance, with this.
        realm: of the instance.
        status: of an ephemeral instance that has ended: how. For ten minutes a tombstone tells it.
    """

    id: str
    partition: int
    epoch: int
    revision: int
    realm: str = "default"
    status: InstanceStatus | None = None


class LogLine(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One line of a task's log.

    Attributes:
        time: ms since epoch.
        level: as in the module ``logging``, lower case.
        text: at most 16 KiB.
        attempt: which attempt wrote it.
        n: its number within the attempt, from 1, so that a repeat is seen.
    """

    time: int
    level: str
    text: str
    attempt: int
    n: int


class LogsWritten(msgspec.Struct, tag="LogsWritten", rename="camel", omit_defaults=True):
    """Lines that a task wrote to its log."""

    id: str
    partition: int
    path: str
    lines: list[LogLine]


class WorkflowAnnouncement(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A workflow that an executor serves; ``schema`` is the JSON Schema of its data, if it is typed."""

    name: str
    queue: str
    description: str = ""
    schema: dict[str, Any] | None = None


class ExecutorAnnounced(msgspec.Struct, tag="ExecutorAnnounced", rename="camel", omit_defaults=True):
    """The heartbeat of an executor: what it serves, and what it runs.

    Attributes:
        executor: its id.
        queues: the queues that it takes work from.
        workflows: the workflows whose generators it has.
        running: how many attempts it runs.
        time: ms since epoch, by its own clock.
        leaving: it has stopped taking work.
        started: when it started, ms since epoch, by its own clock.
        concurrency: how many attempts it runs at once.
    """

    executor: str
    queues: tuple[str, ...]
    workflows: tuple[WorkflowAnnouncement, ...]
    running: int = 0
    time: int = 0
    leaving: bool = False
    started: int = 0
    concurrency: int = 0


class ExecutorBeat(msgspec.Struct, tag="ExecutorBeat", frozen=True, rename="camel", omit_defaults=True):
    """An executor lives, and runs what it has reported: the leases of all its attempts are renewed.

    Attributes:
        executor: its id.
        time: ms since epoch, by its own clock.
        running: how many attempts it runs.
        gone: it has ended: what it had taken and not reported as finished is to be dispatched again.
    """

    executor: str
    time: int
    running: int = 0
    gone: bool = False


class ReplicaAnnounced(
    msgspec.Struct, tag="ReplicaAnnounced", frozen=True, rename="camel", omit_defaults=True
):
    """The heartbeat of a replica of a service whose replicas share the partitions.

    Attributes:
        service: whose replica it is.
        replica: its id.
        owned: the partitions that it owns.
        leaving: it gives them up.
    """

    service: str
    replica: str
    owned: tuple[int, ...] = ()
    leaving: bool = False


class AnnounceYourself(msgspec.Struct, tag="AnnounceYourself", frozen=True, rename="camel"):
    """Somebody has come who has not heard of any executor yet: each announces itself at once."""


class Probe(msgspec.Struct, tag="Probe", frozen=True, rename="camel"):
    """Wakes whoever is the active consumer of a partition's mailbox: AMQP does not tell a consumer that it
    became that.

    Attributes:
        partition: whose mailbox it is sent to.
        look: who sends it to itself knows by this that it has read whatever came before: when it looked for
            what has got lost, ms since epoch; 0 otherwise.
    """

    partition: int
    look: int = 0


class IndexChanged(msgspec.Struct, tag="IndexChanged", frozen=True, rename="camel"):
    """The index has changed: a list that is read from now on may differ from one that was read before.

    Storage says so when that is so, a few times a second however much happens. The events of instances do not
    tell it: whoever reads a list when one of them comes may read what was there before it.
    """


class WantSnapshot(msgspec.Struct, tag="WantSnapshot", frozen=True, rename="camel"):
    """Storage has missed a change of this instance: its owner publishes all of it, as one whole change."""

    id: str


__all__ = [
    "AnnounceYourself",
    "ExecutorAnnounced",
    "ExecutorBeat",
    "IndexChanged",
    "InstanceChanged",
    "InstanceDeleted",
    "LogLine",
    "LogsWritten",
    "Probe",
    "Progress",
    "ReplicaAnnounced",
    "WantSnapshot",
    "WorkflowAnnouncement",
]
