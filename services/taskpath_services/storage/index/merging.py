"""What a group of changes makes of the rows that an index has: decided here, for every index alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET

from taskpath_proto.records import InstanceChange
from taskpath_services.storage.index.contract import IndexChange, IndexDeletion

FIELDS = ("realm", "workflow", "name", "status", "progress", "created_at", "updated_at")
"""The fields of an instance that an index holds."""


class Merge(msgspec.Struct):
    """What becomes of one instance: its new revision, and the fields that change with it.

    Attributes:
        id: the instance.
        revision: that of the last change.
        fresh: the index has no row, or loses the one that it has: the fields begin a new one.
        change: the fields that change; those that an index does not hold are unset.
    """

    id: str
    revision: int
    fresh: bool
    change: InstanceChange


class Merged(msgspec.Struct, frozen=True):
    """What a group does: rows that go first, then what changes."""

    gone: list[str]
    merges: list[Merge]


def merged(steps: Sequence[IndexChange | IndexDeletion], known: Mapping[str, int]) -> Merged:
    """Several steps as one for each instance.

    A change that is not newer than what is known is left out, as is one of an instance that is not known
    unless it is new; a deletion takes what is not newer than itself.

    Args:
        steps: in their order.
        known: the revisions of the rows that the index has, of the instances that the steps are about.
    """
    now = dict(known)
    gone: dict[str, None] = {}
    merges: dict[str, Merge] = {}
    for step in steps:
        has = now.get(step.id)
        if isinstance(step, IndexDeletion):
            if has is None or has > step.revision:
                continue
            del now[step.id]
            merges.pop(step.id, None)
            if step.id in known:
                gone[step.id] = None
            continue
        if step.revision <= has if has is not None else not step.new:
            continue
        now[step.id] = step.revision
        merge = merges.get(step.id)
        if merge is None:
            merge = merges[step.id] = Merge(step.id, step.revision, has is None, InstanceChange())
        merge.revision = step.revision
        for field in FIELDS:
            if (value := getattr(step.change, field)) is not UNSET:
                setattr(merge.change, field, value)
    return Merged(list(gone), list(merges.values()))
