"""The keys of the items.

The partition keys are those of the seed, with what spreads them: nothing that grows with the tree has a
partition key that is the instance alone, because one takes 1,000 writes a second.

| pk | sk | item |
| --- | --- | --- |
| ``workflow_<id>`` | ``-`` | the record of an instance, or what is remembered of a deleted one |
| ``workflowTask_<life>_<shard>`` | path | the record of a task |
| ``logs_<life>_<path>`` | position | lines of a log; ``head``: how far it is |
| ``workflowValue_<life>_<path>`` | ``<name>:<version>`` | a value kept beside a record |
| ``workflowPaths_<life>_<shard>`` | ``v<path>``, ``l<path>`` | that path has values, or a log |
| ``workflowValues_<life>`` | ``-`` | some path has |
| ``journal_<life>_<n mod 32>`` | ``-`` | what the n-th commit of the instance does to its tasks |
| ``chunk_<tag>_<n>`` | ``-`` | a part of something large |
| ``partition_<p>`` | ``-`` | the epoch of a partition, and its claimant |
| ``active_<p>_<shard>`` | id | that instance is active |
| ``instances_<shard>`` | id | that instance is to be in the index |
| ``tombstones_<shard>`` | ``<time>_<id>`` | that instance was deleted then |
| ``trash_<shard>`` | life | something of it is still to be removed |
| ``deployment`` | ``-`` | how many partitions there are |

A *life* is an id, followed by ``#2`` and so on if it has been used before: what is left of a former life is
in nobody's way. Tasks that are in no foreach share one shard, since they are few; items are spread.
"""

from __future__ import annotations

from typing import Final
from zlib import crc32

from taskpath_services.storage.records.dynamodb.table import Key

ONLY: Final = "-"
"""The sort key of what is alone."""

VALUES: Final = "v"
LOG: Final = "l"
"""What goes before a path in the list of those that have values, or a log."""

ITEM_SHARDS: Final = 8
"""Items of foreaches are spread over so many partition keys beside the first."""

LISTS: Final = 8
"""Lists of instances are spread over so many."""

JOURNALS: Final = 32
"""So many commits of an instance can be read again."""


def life_of(id: str, number: int) -> str:
    """The name of a life of an id."""
    return id if number <= 1 else f"{id}#{number}"


def shard_of(path: str) -> int:
    """Where the record of a task is."""
    return 0 if "[" not in path else 1 + crc32(path.encode()) % ITEM_SHARDS


def shards(items: bool) -> range:
    """Where the records of an instance are, by whether it has items."""
    return range(1 + ITEM_SHARDS) if items else range(1)


def workflow(id: str) -> Key:
    """An instance."""
    return f"workflow_{id}", ONLY


def tasks(life: str, shard: int) -> str:
    """The records of tasks."""
    return f"workflowTask_{life}_{shard}"


def task(life: str, path: str) -> Key:
    """The record of a task."""
    return tasks(life, shard_of(path)), path


def log(life: str, path: str) -> str:
    """The log of a task."""
    return f"logs_{life}_{path}"


def values(life: str, path: str) -> str:
    """The values beside a record."""
    return f"workflowValue_{life}_{path}"


def value(life: str, path: str, name: str, version: int) -> Key:
    """A value beside a record."""
    return values(life, path), f"{name}:{version}"


def paths(life: str, shard: int) -> str:
    """The paths that have values or logs."""
    return f"workflowPaths_{life}_{shard}"


def has_values(life: str, path: str) -> Key:
    """That a path has values."""
    return paths(life, shard_of(path)), VALUES + path


def has_log(life: str, path: str) -> Key:
    """That a path has a log."""
    return paths(life, shard_of(path)), LOG + path


def any_values(life: str) -> Key:
    """Whether any path has values."""
    return f"workflowValues_{life}", ONLY


def journal(life: str, number: int) -> Key:
    """What a commit does to the tasks of an instance."""
    return f"journal_{life}_{number % JOURNALS}", ONLY


def chunk(tag: str, number: int) -> Key:
    """A part of something large."""
    return f"chunk_{tag}_{number}", ONLY


def partition(number: int) -> Key:
    """The epoch of a partition."""
    return f"partition_{number}", ONLY


def active(partition: int, shard: int) -> str:
    """The active instances of a partition."""
    return f"active_{partition}_{shard}"


def instances(shard: int) -> str:
    """The instances that are to be in the index."""
    return f"instances_{shard}"


def tombstones(shard: int) -> str:
    """The deleted instances by time."""
    return f"tombstones_{shard}"


def tombstone(id: str, time: int) -> Key:
    """A deleted instance in that list."""
    return tombstones(list_of(id)), f"{time:015d}_{id}"


def trash(shard: int) -> str:
    """The lives of which something is to be removed."""
    return f"trash_{shard}"


def list_of(id: str) -> int:
    """Which part of a list an instance is in."""
    return crc32(id.encode()) % LISTS


DEPLOYMENT: Final[Key] = ("deployment", ONLY)
