"""What a change tells of how long something took. Pure.

A task took what its attempt took that ended well. A group or a foreach took from the change with which
something of it began to the one with which all was well, by the clock of the instance's owner; that counts
only if nothing of it was done before, for the rest of a run that had failed says nothing of a whole one. The
tasks at the root run one after the other, so an instance takes what they take together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from msgspec import UNSET

from taskpath_proto import paths
from taskpath_proto.events import InstanceChanged
from taskpath_proto.records import TaskChange, TaskStatus

MOST_OPEN: Final = 20_000
"""So many groups that have begun are kept in mind; of more, the oldest are forgotten, and not counted."""


class Observation(NamedTuple):
    """Something took so long.

    Attributes:
        path: the task, its items as ``[*]``.
        duration: in ms.
        tasks: of a foreach: how many tasks were below it.
    """

    path: str
    duration: int
    tasks: int = 0


class Observer:
    """Looks at changes in their order, each once.

    Args:
        most: how many groups it keeps in mind.
    """

    def __init__(self, most: int = MOST_OPEN) -> None:
        self._most = most
        self._began: dict[tuple[str, str], int] = {}

    def look(self, event: InstanceChanged) -> Iterator[Observation]:
        """What took how long, and ended with this change."""
        for change in event.tasks:
            if change.status is UNSET:
                continue
            if change.rollup is UNSET:
                if change.status is TaskStatus.OK and isinstance(change.duration, int):
                    yield Observation(paths.alike(change.path), change.duration)
            elif (
                change.path != paths.ROOT
                and event.instance is not None
                and event.instance.updated_at is not UNSET
            ):
                yield from self._group(event.id, change, event.instance.updated_at)

    def _group(self, id: str, change: TaskChange, now: int) -> Iterator[Observation]:
        key = (id, change.path)
        status, rollup = change.status, change.rollup
        assert rollup is not UNSET
        if status in (TaskStatus.QUEUED, TaskStatus.RUNNING):
            if key in self._began or rollup.ok or rollup.skipped or rollup.failed or rollup.cancelled:
                return
            if len(self._began) >= self._most:
                del self._began[next(iter(self._began))]
            self._began[key] = now
        elif status is not TaskStatus.INACTIVE:
            began = self._began.pop(key, None)
            if began is not None and status is TaskStatus.OK:
                tasks = rollup.total if change.bounds is not UNSET else 0
                yield Observation(paths.alike(change.path), max(0, now - began), tasks)
