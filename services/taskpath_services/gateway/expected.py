"""What is to be expected of one task, by what its workflow's tasks took in the past. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from taskpath_proto import paths
from taskpath_proto.queries import ExpectedTime
from taskpath_proto.records import TaskRecord

_NOTABLE: Final = 0.1
"""A share by which an expectation has to differ for others to be told anew."""


class Usual(NamedTuple):
    """How long a task usually takes, and how far from that it usually is, in ms; None if not known."""

    duration: int | None = None
    spread: int | None = None

    def differs(self, other: Usual) -> bool:
        """Whether it makes a difference to people."""
        one, two = self.duration, other.duration
        if one is None or two is None:
            return one is not two
        return abs(one - two) > _NOTABLE * max(one, two)


UNKNOWN: Final = Usual()


class Expected:
    """What is known of a workflow in a realm.

    Args:
        times: by path, items as ``[*]``.
    """

    def __init__(self, times: Mapping[str, ExpectedTime]) -> None:
        # Made once: every state that is sent has one.
        self._usual = {path: Usual(time.duration, time.spread) for path, time in times.items()}
        self._tasks = {path: time.tasks for path, time in times.items() if time.tasks > 0}

    def __len__(self) -> int:
        return len(self._usual)

    def of(self, path: str, record: TaskRecord | None = None) -> Usual:
        """How long the task usually takes; a group and a foreach with everything below.

        Args:
            path: the task.
            record: what is known of it: of a foreach, how much there is below it this time.
        """
        if not self._usual:
            return UNKNOWN
        alike = paths.alike(path)
        usual = self._usual.get(alike, UNKNOWN)
        if record is None or record.count is None or record.rollup is None or usual.duration is None:
            return usual
        if (before := self._tasks.get(alike)) is None:
            return usual
        share = record.rollup.total / before
        spread = None if usual.spread is None else round(usual.spread * share)
        return Usual(round(usual.duration * share), spread)


NOTHING: Final = Expected({})
"""Nothing is known."""
