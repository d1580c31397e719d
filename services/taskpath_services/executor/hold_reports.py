"""Reporting what was taken a moment ago and has not ended, so that its delivery can be acknowledged."""

from __future__ import annotations

from collections.abc import Callable

from taskpath_proto.work import Order, OrderKind
from taskpath_services.executor.attempt import Attempt
from taskpath_services.executor.attempt_reports import AttemptReports
from taskpath_services.executor.holding import Hold, Holding, Key


class HoldReports:
    """Reports orders that are due: as begun, or, all that wait of a message in one report, as held.

    Conditions, lists and joins are held, not begun: they are no attempts, and take no time to speak of.

    Args:
        holding: tells what is due.
        reports: sends the reports.
        find: the attempt for an order, by instance, epoch and command.
    """

    def __init__(
        self,
        holding: Holding,
        reports: AttemptReports,
        find: Callable[[Key], Attempt | None],
    ) -> None:
        self._holding = holding
        self._reports = reports
        self._find = find

    def look(self, now: int) -> bool:
        """Reports what is due; whether there is more that will be.

        Args:
            now: ms since epoch.
        """
        for hold in self._holding.due(now):
            waiting = self._begun_apart(hold)
            if waiting:
                self._reports.held(hold, self._holding, waiting)
        return bool(self._holding)

    def _begun_apart(self, hold: Hold) -> list[Order]:
        """Reports the orders of a message that have begun; returns the others."""
        message = hold.message
        waiting: list[Order] = []
        for order in message.orders:
            if order.command not in hold.pending:
                continue
            attempt = self._find((message.id, message.epoch, order.command))
            if attempt is not None and attempt.reported:
                continue
            since = attempt.execution_time if attempt is not None else None
            if attempt is not None and since is not None and order.kind is OrderKind.TASK:
                self._reports.started(attempt, since)
            else:
                waiting.append(order)
        return waiting
