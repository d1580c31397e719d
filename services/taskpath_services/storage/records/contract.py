"""The record store contract: what any store of records, logs and values does.

The seam is what storage does (*commit this group*), never how a database is asked. A store merges changes
field by field: ``UNSET`` leaves a field as it was, ``None`` takes it away, anything else replaces it whole.
Each write of a group is committed whole or not at all; if a commit fails, some may be committed, others not.
Committing a group twice is the same as once, whichever replica does it. Whoever reads an instance sees it as
it was at one moment, at its revision.

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
from taskpath_proto.queries import InstanceLoaded, InstanceView, LogsView, PutBlob, TaskView, Tombstone
from taskpath_proto.records import InstanceRecord, TaskStatus
from taskpath_proto.values import Value
from taskpath_services.storage.selection import Selection, Span

Write: TypeAlias = InstanceChanged | InstanceDeleted | LogsWritten | PutBlob
"""What is committed in groups."""

ValueName: TypeAlias = Literal["body", "argument", "updaters", "items"]

TextKey: TypeAlias = tuple[str, str, int]
"""Where a value is that is kept beside the records: path, name, version."""

OWN: Final = -1
"""The version of a value that storage keeps beside the record that it came in; putters use 0 and more."""

DEAD_MS: Final = 24 * 3600 * 1000
"""How long a deleted instance is remembered, in ms, so that nothing late about it comes back."""

TOMBSTONE_MS: Final = 10 * 60 * 1000
"""How long the tombstone of an ephemeral instance tells how it ended, in ms."""


class Fallen(msgspec.Struct, frozen=True):
    """An instance of which a store has less than was committed.

    Attributes:
        id: its id.
        epoch: of the last change that was committed.
        revision: likewise.
        deleted: whether that was its deletion.
    """

    id: str
    epoch: int
    revision: int
    deleted: bool


class Outcome(Enum):
    """What became of a write."""

    APPLIED = "applied"
    REPEATED = "repeated"
    """It is stored already; nothing changed."""
    REFUSED = "refused"
    """It comes from an older epoch, or is about an instance that was deleted; nothing changed."""
    GAP = "gap"
    """It was applied, but a change before it is missing. The store remembers that, and says it again when the
    change is repeated, until a whole one comes."""
    CONFLICT = "conflict"
    """Another content is stored for its epoch and revision; nothing changed."""


class Claimed(msgspec.Struct, frozen=True):
    """A partition's new epoch, and its instances that an owner has something to do for: an execute or a
    handler that is not over, or a deletion."""

    epoch: int
    active: tuple[str, ...]


class Standing(msgspec.Struct, frozen=True):
    """How far storage is with an instance: its revision, None if it has none; and whether it was deleted, or
    is being deleted."""

    revision: int | None
    deleted: bool = False


class Indexed(msgspec.Struct, frozen=True, array_like=True):
    """An instance, and the revision at which its own record (not just its tasks) last changed."""

    id: str
    revision: int


class TaskResult(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """As much of a task's record as those after it see: it is :class:`~taskpath.inputs.Recorded`."""

    path: str
    status: TaskStatus = TaskStatus.INACTIVE
    own: TaskStatus | None = None
    left: int = 0
    body: Value | None = None
    updaters: Value | None = None
    items: Value | None = None
    count: int | None = None


class RecordStore(Protocol):
    """Where instances, the records of their tasks, logs and values are kept.

    An instance that is being deleted (:attr:`~taskpath_proto.records.InstanceRecord.deleting`) is shown to
    nobody but its owner, who loads it.
    """

    async def migrate(self) -> list[str]:
        """Makes on a server what the store needs there, such as a table, before it is opened: by itself,
        beside others that do so, and again. A store in a file does that when it is opened, and nothing here.

        Returns:
            What was done, in words; nothing if all was there.

        Raises:
            SettingsError: this is no store that this version can use.
        """
        ...

    async def open(self) -> None:
        """Connects; brings the schema up to date.

        Raises:
            SettingsError: this is no store that this version can use.
        """
        ...

    async def close(self) -> None:
        """Finishes what is under way and disconnects. Safe to call twice, and before open."""
        ...

    async def begin(self, partitions: int, now: int) -> int:
        """What is to be done once at the start: keeps how many partitions there are, unless that is kept
        already, and removes what is remembered no longer.

        Returns:
            How many partitions the deployment began with.
        """
        ...

    async def partitions(self) -> int | None:
        """How many partitions the deployment began with; None if it has not begun."""
        ...

    async def claim(self, partition: int, claimant: str, now: int) -> Claimed:
        """Raises the partition's epoch to ``max(stored + 1, now)``; events of older ones are refused then."""
        ...

    async def commit(self, writes: Sequence[Write], now: int) -> list[Outcome]:
        """Commits a group, in its order, and says what became of each write.

        Of one event the removals come before the changes. What is removed takes its subtree, logs and values
        along. A whole change replaces what is stored, whatever its base revision: see :mod:`.snapshots`. It
        is applied also under the revision that is stored already, and is compared with nothing.
        """
        ...

    async def fallen_back(self) -> Sequence[Fallen]:
        """What the store has lost since this was last asked, as far as it was committed here: a server that
        does not sync each write may come back without the last ones. Asked often, so it costs next to nothing
        if nothing has happened."""
        ...

    async def standing(self, id: str) -> Standing:
        """How far an instance is."""
        ...

    async def tombstone(self, id: str, now: int) -> Tombstone | None:
        """What is left of an ephemeral instance that has ended; None if it ended longer ago than
        :data:`TOMBSTONE_MS`."""
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

    async def results(
        self, id: str, spans: Sequence[Span], *, updated: bool = False, most: int | None = None
    ) -> list[TaskResult]:
        """What the tasks in some spans of paths have left.

        Args:
            id: the instance.
            spans: of paths.
            updated: only of those that left updaters.
            most: enough when there are more than so many.
        """
        ...

    async def texts(self, id: str, keys: Sequence[TextKey]) -> dict[TextKey, str]:
        """The JSON texts of values kept beside the records, by where they are; what is gone is missing."""
        ...

    async def indexed(self, after: str, limit: int) -> list[Indexed]:
        """Instances that the index has to have, in the order of their ids, after one."""
        ...
