"""What has changed of a watched instance and was not sent yet. Pure."""

from __future__ import annotations

from enum import Enum

from taskpath_proto.errors import ErrorInfo


class Outcome(Enum):
    """What became of an event; after the last three the instance has to be read again."""

    APPLIED = "applied"
    OLD = "old"
    GAP = "gap"
    REPLANTED = "replanted"
    UNHELD = "unheld"


class Pending:
    """What has changed and was not sent yet.

    Attributes:
        moved: whether the revision has risen, if nothing else.
        tasks: the tasks that look different, in order.
        removed: items that are gone.
        tree: whether the description has changed.
        status: whether the instance's status or progress has.
        rests: whether the instance has come to rest.
        failures: tasks that have failed for good, the first few.
        expanded: whether a collapsed foreach has read another list, so that other items can be named.
    """

    __slots__ = ("expanded", "failures", "moved", "removed", "rests", "status", "tasks", "tree")

    def __init__(self) -> None:
        self.moved = False
        self.tasks: dict[str, None] = {}
        self.removed: list[str] = []
        self.tree = False
        self.status = False
        self.rests = False
        self.failures: list[tuple[str, ErrorInfo]] = []
        self.expanded = False

    def __bool__(self) -> bool:
        return self.moved or bool(self.tasks)
