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
        self._times = times

    def __len__(self) -> int:
        return len(self._times)

    def of(self, path: str, record: TaskRecord | None = None) -> Usual:
        """How long the task usually takes; a group and a foreach with everything below.

        Args:
            path: the task.
            record: what is known of it: of a foreach, how much there is below it this time.
        """
        if not self._times or (time := self._times.get(paths.alike(path))) is None:
            return UNKNOWN
        share = 1.0
        if time.tasks > 0 and record is not None and record.count is not None and record.rollup is not None:
            share = record.rollup.total / time.tasks
        return Usual(
            round(time.duration * share), None if time.spread is None else round(time.spread * share)
        )


NOTHING: Final = Expected({})
"""Nothing is known."""
