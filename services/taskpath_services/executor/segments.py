"""Segments: going on from one task to the next without being sent it.

An order may carry the tasks after its own. When that one is ok, and the bus has confirmed the report of that,
the next is carried out as if an order for it had come: its argument and what its context gains are at hand.
It waits for a worker behind what waits already. In the eyes of its owner it is here from the moment when the
owner reads that report. So whoever does not go on returns the next task, behind that report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from taskpath.layers import left_by
from taskpath_proto import paths
from taskpath_proto.values import Value
from taskpath_proto.work import Order, RunTasks
from taskpath_services.executor.attempt import Attempt
from taskpath_services.executor.attempt_reports import AttemptReports
from taskpath_services.executor.attempts import Attempts
from taskpath_services.executor.holding import Hold

NONE_ALONE: Final[frozenset[int]] = frozenset()


class Segments:
    """Goes on along segments.

    Args:
        attempts: carries out what follows.
        reports: returns it where this executor does not go on.
        outdated: whether a newer owner of a partition than the one of this epoch has been heard of.
        ask: has it carried out if its owner still wants it.
    """

    def __init__(
        self,
        attempts: Attempts,
        reports: AttemptReports,
        outdated: Callable[[int, int], bool],
        ask: Callable[[Hold, Sequence[Order], frozenset[int]], None],
    ) -> None:
        self._attempts = attempts
        self._reports = reports
        self._outdated = outdated
        self._ask = ask
        self._closed = False

    def close(self) -> None:
        """Goes on no more."""
        self._closed = True

    def go_on(self, attempt: Attempt) -> None:
        """An attempt was ok, and the report of that is confirmed: what follows it is begun, or returned."""
        assert attempt.left is not None
        message = following(attempt, *attempt.left)
        hold, orders = attempt.group.hold.step(message), message.orders
        if not self._may_go_on(attempt):
            self._reports.returned(hold, orders)
        elif self._outdated(message.partition, message.epoch):
            self._ask(hold, orders, NONE_ALONE)
        else:
            self._attempts.take(hold, orders)

    def _may_go_on(self, attempt: Attempt) -> bool:
        """Whether surely nobody else does the same task, too, and goes on from it."""
        doubtful = attempt.order.suspect or any(hold.lost or hold.redelivered for hold in attempt.holds)
        return not (self._closed or doubtful)


def following(attempt: Attempt, result: Value, updaters: Value | None) -> RunTasks:
    """The message that the task after an attempt would have come in.

    Args:
        attempt: it was ok.
        result: what it returned.
        updaters: those that it left.
    """
    done, task = attempt.order, attempt.task
    step = done.then[0]
    above = paths.parent(done.path)
    assert above is not None
    order = Order(
        path=paths.child(above, step.name),
        command=done.command + 1,
        attempt=step.attempt,
        argument=result,
        condition=step.condition,
        previous=step.previous,
        then=done.then[1:],
    )
    message = attempt.group.message
    left = left_by(done.path, task, result, updaters, runs=task.run is not None)
    return replace(message, layers=message.layers + left, orders=(order,), items=None)
