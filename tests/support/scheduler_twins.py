"""Stores that have lost a change: what a snapshot has to make good.

Such a twin of what is stored misses one change. The next one shows it the gap, and it asks for a snapshot;
after that it has to be as if nothing had been lost, but for what only storage knows. The system goes on with
what was stored without a loss, which a snapshot must not change.
"""

from __future__ import annotations

import random
from typing import Any

from msgspec.structs import replace

from taskpath_proto.events import InstanceChanged, WantSnapshot
from taskpath_proto.records import InstanceRecord, TaskRecord
from taskpath_proto.values import KEEP_BYTES
from taskpath_services.scheduler import instance as instance_module
from tests.support.scheduler_storage import Shelf

_OF_STORAGE = ("argument", "revision")
"""What an owner does not keep, or does not say again."""


class Twins:
    """For each instance at most one twin.

    Args:
        random: which changes are lost.
        losses: how likely a change is.

    Attributes:
        healed: how many were made good.
    """

    def __init__(self, random: random.Random, losses: float) -> None:
        self._random, self._losses = random, losses
        self._twins: dict[str, Shelf] = {}
        self._behind: set[str] = set()
        self.healed = 0

    def before(self, shelf: Shelf) -> Shelf | None:
        """What a twin would have that loses the next change; None if none does."""
        if shelf.record.id in self._behind or self._random.random() >= self._losses:
            return None
        return shelf.copy()

    def after(self, shelf: Shelf, event: InstanceChanged, without: Shelf | None) -> list[WantSnapshot]:
        """A change is stored; gives what a twin asks for.

        Args:
            shelf: what is stored now.
            event: the change.
            without: what :meth:`before` has given: it loses this one.
        """
        id = event.id
        if without is not None:
            self._twins[id] = without
            self._behind.add(id)
            return []
        twin = self._twins.get(id)
        if twin is None:
            return []
        gap = event.base_revision != twin.record.revision and not event.whole
        twin.merge(event)
        if event.whole:
            self._behind.discard(id)
            self.healed += 1
            compare(shelf, twin, leftovers=False)
        return [WantSnapshot(id)] if gap else []

    def forget(self, id: str) -> None:
        """An instance is gone."""
        self._twins.pop(id, None)
        self._behind.discard(id)

    def at_rest(self, shelf: Shelf) -> None:
        """Nothing is under way of an instance: whatever a twin has asked for has come."""
        id = shelf.record.id
        twin = self._twins.pop(id, None)
        self._behind.discard(id)
        if twin is not None and twin.record.revision == shelf.record.revision:
            compare(shelf, twin, leftovers=True)


_OWN = ("epoch", "revision", "updated_at", "counter", "calls")
"""What an owner knows better than storage, which is not told of it alone."""


def compare(shelf: Shelf, twin: Shelf, *, leftovers: bool) -> None:
    """Sees that two stores have the same of an instance.

    Args:
        shelf: the one that has lost nothing.
        twin: the other.
        leftovers: whether the other may have tasks beyond the ends of lists.
    """
    assert twin.record == shelf.record
    for path, record in shelf.tasks.items():
        compare_tasks(record, twin.tasks.get(path) or TaskRecord(path=path))
    beyond = twin.tasks.keys() - shelf.tasks.keys()
    if not leftovers:
        untold = [path for path in beyond if _fields(twin.tasks[path]) != _fields(TaskRecord(path=path))]
        assert not untold, untold


def compare_tasks(record: TaskRecord, other: TaskRecord) -> None:
    """Sees that an owner has made the other record as the first one is."""
    mine, theirs = _fields(record), _fields(other)
    if mine["body"] is not None and len(mine["body"].json) > _small():
        theirs["body"] = mine["body"]  # an owner has not kept it: what storage has of it is all there is
    if record.rollup is None:
        mine["rollup"] = theirs["rollup"]
    if record.command is None:
        theirs["command"] = None  # of a task that was there before; parts of a snapshot have no word for it
    if mine["bounds"] != theirs["bounds"]:
        # A new owner tells executions apart again, and has nothing to say about it.
        assert sum(count for _, count in mine["bounds"]) == sum(count for _, count in theirs["bounds"])
        theirs["bounds"] = mine["bounds"]
    differing = {name: (mine[name], theirs[name]) for name in mine if mine[name] != theirs[name]}
    assert not differing, (record.path, differing)


def same_instance(before: InstanceRecord, after: InstanceRecord) -> None:
    """Sees that a snapshot has changed nothing."""
    for name in before.__struct_fields__:
        if name not in _OWN:
            told, meant = getattr(after, name), getattr(before, name)
            assert told == meant, (name, told, meant)


def _small() -> int:
    kept: int = vars(instance_module)["KEEP_BYTES"]
    return min(KEEP_BYTES, kept)


def _fields(record: TaskRecord) -> dict[str, Any]:
    fields = {name: getattr(record, name) for name in record.__struct_fields__ if name not in _OF_STORAGE}
    if record.error is not None:
        fields["error"] = replace(record.error, path=None)
    fields["own"] = record.own or "inactive"
    fields["attempts"] = tuple(
        replace(one, error=replace(one.error, path=None)) if one.error is not None else one
        for one in record.attempts
    )
    return fields
