"""The keys of the record store in Redis.

Those of the seed, for people and programs:

* ``workflow_<id>``, a hash: the record of an instance;
* ``workflowTask_<id>_<path>``, a hash: the record of a task;
* ``logs_<id>_<path>``, a list: the lines of a task's log.

What is needed beside them:

* ``workflowTasks_<id>``, an ordered set: the paths that have a record, in the order of their bytes;
* ``workflowChanges_<id>``, an ordered set: the same by the revision of their last change;
* ``workflowUpdated_<id>``, an ordered set: those of them that left updaters;
* ``workflowValue_<id>_<path>``, a hash: the values kept beside a record, by ``<name>:<version>``;
* ``workflowValues_<id>``, ``workflowLogs_<id>``, ordered sets: the paths that have values, or a log;
* ``logState_<id>_<path>``, a hash: the position of a log's last line, and the last number of each attempt;
* ``tombstone_<id>``, a hash: what is remembered of a deleted instance;
* ``taskpath_partition_<p>``, a hash: epoch and claimant; ``taskpath_active_<p>``, a set of ids;
* ``taskpath_instances``, an ordered set: the ids that are to be in the index;
* ``taskpath_tombstones``, an ordered set: deleted ids by the time of their deletion;
* ``taskpath_trash``, a set: ids of which something is still to be removed;
* ``taskpath_deployment``, a hash: how many partitions there are.

A prefix goes before them all. An id holds no ``#``, with which every path begins.
"""

from __future__ import annotations

import msgspec


class Keys(msgspec.Struct, frozen=True):
    """The keys that are used outside of scripts.

    Args:
        prefix: goes before each.
    """

    prefix: str

    def workflow(self, id: str) -> str:
        """The record of an instance."""
        return f"{self.prefix}workflow_{id}"

    def task(self, id: str, path: str) -> str:
        """The record of a task."""
        return f"{self.prefix}workflowTask_{id}_{path}"

    def value(self, id: str, path: str) -> str:
        """The values beside a record."""
        return f"{self.prefix}workflowValue_{id}_{path}"

    def tasks(self, id: str) -> str:
        """The paths that have a record."""
        return f"{self.prefix}workflowTasks_{id}"

    def changes(self, id: str) -> str:
        """The same by revision."""
        return f"{self.prefix}workflowChanges_{id}"

    def updated(self, id: str) -> str:
        """Those with updaters."""
        return f"{self.prefix}workflowUpdated_{id}"

    def tombstone(self, id: str) -> str:
        """What is remembered of a deleted instance."""
        return f"{self.prefix}tombstone_{id}"

    def partition(self, partition: int) -> str:
        """Epoch and claimant of a partition."""
        return f"{self.prefix}taskpath_partition_{partition}"

    @property
    def instances(self) -> str:
        """The ids that are to be in the index."""
        return f"{self.prefix}taskpath_instances"

    @property
    def trash(self) -> str:
        """The ids of which something is to be removed."""
        return f"{self.prefix}taskpath_trash"

    @property
    def deployment(self) -> str:
        """How many partitions there are."""
        return f"{self.prefix}taskpath_deployment"
