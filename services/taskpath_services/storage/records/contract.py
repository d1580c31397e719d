"""The record store contract: what any store of records, logs and values does.

The seam is what storage does (*commit this group*), never how a database is asked. A store merges changes
field by field: ``UNSET`` leaves a field as it was, ``None`` takes it away, anything else replaces it whole.
All of a group is committed or nothing, and committing a group twice is the same as once.

Large values never stand in a record: one of more than ``KEEP_BYTES`` that comes inline is kept beside it, and
the record refers to it, a body by :class:`~taskpath_proto.values.Stored`, another value by a
:class:`~taskpath_proto.values.Blob` of the version :data:`OWN`.

Every method raises :class:`~taskpath_services.storage.faults.StoreUnavailable` if the store is away.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from taskpath_proto.events import InstanceChanged, InstanceDeleted, LogsWritten
from taskpath_proto.queries import InstanceLoaded, InstanceView, LogsView, PutBlob, TaskView
from taskpath_proto.records import InstanceRecord, TaskStatus
from taskpath_proto.values import Value
from taskpath_services.storage.selection import Selection

Write: TypeAlias = InstanceChanged | InstanceDeleted | LogsWritten | PutBlob
"""What is committed in groups."""

ValueName: TypeAlias = Literal["body", "argument", "updaters", "items"]

TextKey: TypeAlias = tuple[str, str, int]
"""Where a value is that is kept beside the records: path, name, version."""

OWN: Final = -1
"""The version of a value that storage keeps beside the record that it came in; putters use 0 and more."""

TOMBSTONE_MS: Final = 24 * 3600 * 1000
"""How long a deleted instance is remembered, in ms, so that nothing late about it comes back."""


class Outcome(Enum):
    """What became of a write."""

    APPLIED = "applied"
    REPEATED = "repeated"
    """It is stored already; nothing changed."""
    REFUSED = "refused"
    """It comes from an older epoch, or is about an instance that was deleted; nothing changed."""
    GAP = "gap"
    """It was applied, but a change before it is missing; the store remembers that."""
    CONFLICT = "conflict"
    """Another content is stored for its epoch and revision; nothing changed."""


class Claimed(msgspec.Struct, frozen=True):
    """A partition's new epoch, and its instances with unfinished executes."""

    epoch: int
    active: tuple[str, ...]


class Standing(msgspec.Struct, frozen=True):
    """How far storage is with an instance: its revision, None if it has none; or that it was deleted."""

    revision: int | None
    deleted: bool = False


class Indexed(msgspec.Struct, frozen=True, array_like=True):
    """An instance, and the revision at which its own record (not just its tasks) last changed."""

    id: str
    revision: int


class ItemRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """As much of a task's record as a joined result needs."""

    path: str
    status: TaskStatus | None
    body: Value | None
    count: int | None = None


class RecordStore(Protocol):
    """Where instances, the records of their tasks, logs and values are kept."""

    async def open(self) -> None:
        """Connects; brings the schema up to date.

        Raises:
            SettingsError: this is no store that this version can use.
        """
        ...

    async def close(self) -> None:
        """Finishes what is under way and disconnects. Safe to call twice, and before open."""
        ...

    async def claim(self, partition: int, claimant: str, now: int) -> Claimed:
        """Raises the partition's epoch to ``max(stored + 1, now)``; events of older ones are refused then."""
        ...

    async def commit(self, writes: Sequence[Write], now: int) -> list[Outcome]:
        """Commits a group, in its order, and says what became of each write.

        Of one event the removals come before the changes. What is removed takes its subtree, logs and values
        along.
        """
        ...

    async def standing(self, id: str) -> Standing:
        """How far an instance is."""
        ...

    async def load(self, id: str) -> InstanceLoaded:
        """An instance and all its tasks' records, with references in place of large values."""
        ...

    async def instance(self, id: str) -> InstanceRecord | None:
        """The record of an instance."""
        ...

    async def view(self, id: str, selection: Selection) -> InstanceView:
        """An instance and the selected records, without bodies, arguments, items and updaters."""
        ...

    async def task(self, id: str, path: str) -> TaskView:
        """An instance and the record of one task, with its values up to ``INLINE_BYTES`` inline."""
        ...

    async def logs(self, id: str, path: str, after: int, limit: int) -> LogsView:
        """The lines of a task's log after a position, as many as fit into one message."""
        ...

    async def value(self, id: str, path: str, name: ValueName) -> Value | None:
        """A value of a task's record, as the record has it."""
        ...

    async def items(self, id: str, foreach: str) -> list[ItemRecord]:
        """The records of all items of a foreach, and of what is below them."""
        ...

    async def texts(self, id: str, keys: Sequence[TextKey]) -> dict[TextKey, str]:
        """The JSON texts of values kept beside the records, by where they are; what is gone is missing."""
        ...

    async def indexed(self, after: str, limit: int) -> list[Indexed]:
        """Instances in the order of their ids, after one."""
        ...
