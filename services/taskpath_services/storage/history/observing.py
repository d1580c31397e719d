"""What a change tells of how long something took. Pure.

A task took what its attempt took that ended well. A group or a foreach took from the change with which
something of it began to the one with which all was well, by the clock of the instance's owner; that counts
only if nothing of it was done before, for the rest of a run that had failed says nothing of a whole one. The
tasks at the root run one after the other, so an instance takes what they take together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import UNSET

from taskpath_proto import paths
from taskpath_proto.events import InstanceChanged
from taskpath_proto.records import TaskChange, TaskStatus
from taskpath_services.storage.history.times import Times

MOST_OPEN: Final = 20_000
"""So many groups that have begun are kept in mind; of more, the oldest are forgotten, and not counted."""


class Observer:
    """Looks at changes in their order, each once.

    Args:
        most: how many groups it keeps in mind.
    """

    def __init__(self, most: int = MOST_OPEN) -> None:
        self._most = most
        self._began: dict[tuple[str, str], int] = {}

    def look(self, event: InstanceChanged, times_of: Callable[[str], Times]) -> None:
        """Adds what took how long, and ended with this change, to what was seen of tasks that are alike.

        Args:
            event: the change.
            times_of: gives, for a path in which items are ``[*]``, where it is added; asked once for each.
        """
        adding: dict[str, Callable[[int], None]] = {}
        for change in event.tasks:
            if change.rollup is not UNSET:
                if change.status is not UNSET and change.path != paths.ROOT:
                    self._group(event, change, times_of)
                continue
            duration = change.duration
            if change.status is not TaskStatus.OK or not isinstance(duration, int):
                continue
            path = paths.alike(change.path)
            add = adding.get(path)
            if add is None:
                add = adding[path] = times_of(path).add
            add(duration)

    def _group(self, event: InstanceChanged, change: TaskChange, times_of: Callable[[str], Times]) -> None:
        if event.instance is None or event.instance.updated_at is UNSET:
            return
        key, now = (event.id, change.path), event.instance.updated_at
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
                times_of(paths.alike(change.path)).add(max(0, now - began), tasks)
