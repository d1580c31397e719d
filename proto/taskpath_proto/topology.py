"""Where messages go: every mailbox and routing key has its name here and nowhere else."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

QUERIES: Final = "queries"
"""The volatile queue from which any storage replica answers reads."""

EXECUTORS: Final = "executors"
"""The routing key of what all executors hear."""

ANNOUNCEMENTS: Final = "announcements"
"""The routing key of the heartbeats of executors, and of what they serve."""

REPLICAS: Final = "replicas"
"""The routing key of the heartbeats of schedulers and storages, whose replicas share the partitions."""


INDEX: Final = "index"
"""The routing key of :class:`~taskpath_proto.events.IndexChanged`, for live lists."""

_MAILBOXES: Final = ("scheduler.", "storage.", "executor.")


def is_mailbox(name: str) -> bool:
    """Whether a name is that of a durable mailbox (which is bound to ``events`` by its own name)."""
    return name.startswith(_MAILBOXES)


def has_one_reader(name: str) -> bool:
    """Whether a name is that of a partition's mailbox, of whose consumers one is active."""
    return name.startswith(("scheduler.", "storage."))


def is_reply_queue(name: str) -> bool:
    """Whether a name is that of a volatile queue that lives as long as its only reader."""
    return name.startswith("reply.")


def partition_of(instance: str, partitions: int) -> int:
    """The partition of an instance: the same in every process and version (BLAKE2b, 8 bytes, big-endian)."""
    return int.from_bytes(blake2b(instance.encode(), digest_size=8).digest(), "big") % partitions


def scheduler_mailbox(partition: int) -> str:
    """The mailbox of the owner of a partition: commands and reports."""
    return f"scheduler.{partition}"


def storage_mailbox(partition: int) -> str:
    """The mailbox through which a partition's events reach storage."""
    return f"storage.{partition}"


def executor_mailbox(queue: str) -> str:
    """The mailbox from which the executors of a queue take work."""
    return f"executor.{queue}"


def generator_mailbox(queue: str) -> str:
    """The mailbox from which the executors of a queue take wishes for plans, however busy they are."""
    return f"executor.{queue}.generators"


def reply_queue(service: str) -> str:
    """The volatile queue on which a service receives answers."""
    return f"reply.{service}"


def instance_key(instance: str) -> str:
    """The routing key of an instance's events."""
    return f"instance.{instance}"
