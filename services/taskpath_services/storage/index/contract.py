"""The index contract: what any index of instances does.

The index is made from the records and can be made again; it follows them. Every method raises
:class:`~taskpath_services.storage.faults.StoreUnavailable` if the index is away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from taskpath_proto.queries import InstancesPage, ListInstances
from taskpath_proto.records import InstanceChange
from taskpath_services.storage.history.times import Times
from taskpath_services.storage.records.contract import Indexed


class IndexChange(msgspec.Struct, frozen=True):
    """What changed of an instance, and the revision at which it did; ``new`` if it begins, or is whole."""

    id: str
    revision: int
    change: InstanceChange
    new: bool = False


class IndexDeletion(msgspec.Struct, frozen=True):
    """An instance that was deleted at a revision."""

    id: str
    revision: int


class Kind(NamedTuple):
    """The tasks that are alike: of a workflow in a realm, at a path in which all items are ``[*]``."""

    realm: str
    workflow: str
    path: str


class InstanceIndex(Protocol):
    """Where instances are found by realm, workflow, name, status and time.

    Beside that it keeps how long tasks took. That is not made from the records, and is not lost with them: it
    stays when instances are deleted, and when the rows of instances are made again.
    """

    async def migrate(self) -> list[str]:
        """Makes on a server what the index needs there, before it is opened: by itself, beside others that do
        so, and again. An index in a file does that when it is opened, and nothing here.

        Returns:
            What was done, in words; nothing if all was there.

        Raises:
            SettingsError: the server refuses the user, or has no such database.
        """
        ...

    async def open(self) -> None:
        """Connects.

        Raises:
            SettingsError: this is no index that this version can use: another program's, or one whose schema
                is older and has to be migrated first.
        """
        ...

    async def close(self) -> None:
        """Finishes what is under way and disconnects. Safe to call twice, and before open."""
        ...

    async def apply(self, steps: Sequence[IndexChange | IndexDeletion]) -> None:
        """Applies changes in their order.

        One that is not newer than what the index has changes nothing, nor does one of an instance that the
        index has not, unless it is new.
        """
        ...

    async def replace(self, gone: Sequence[Indexed], changes: Sequence[IndexChange]) -> None:
        """Takes instances out that are still as they were seen, at that very revision; then applies changes.

        So what comes in meanwhile, by whoever follows the records, is never undone.
        """
        ...

    async def page(self, query: ListInstances) -> InstancesPage:
        """A page of instances, newest first.

        Raises:
            TaskpathError: INVALID_REQUEST, the limit or the cursor is wrong.
        """
        ...

    async def indexed(self, after: str, limit: int) -> list[Indexed]:
        """Instances in the order of their ids, after one, with the revisions that the index has."""
        ...

    async def places(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """The realm and the workflow of instances, of those that the index has."""
        ...

    async def learn(self, seen: Mapping[Kind, Times], now: int) -> None:
        """Adds durations that were seen; several may do so at once, and nothing of it is lost.

        Of a workflow in a realm it keeps a bounded number of paths, and forgets those that were not seen for
        longest.

        Args:
            seen: the durations, of tasks that are alike.
            now: ms since epoch.
        """
        ...

    async def times(self, realm: str, workflow: str) -> dict[str, Times]:
        """The durations that were seen of a workflow's tasks, by path."""
        ...
