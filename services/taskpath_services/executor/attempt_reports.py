"""What the owner of an instance is told about its orders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from taskpath.runtime.clock import Clock
from taskpath_proto.errors import ErrorInfo
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import NULL, Value
from taskpath_proto.work import Order, TaskFinished, TaskProgressed, TasksHeld, TasksReturned, TaskStarted
from taskpath_services.executor.attempt import Attempt
from taskpath_services.executor.holding import Hold, Holding
from taskpath_services.executor.outcome import Outcome
from taskpath_services.executor.reports import Reports


class AttemptReports:
    """Makes reports of orders and sends them. What a report settles is settled when it is confirmed.

    Args:
        reports: sends them.
        clock: the time.
        executor: this executor's id.
    """

    def __init__(self, reports: Reports, clock: Clock, executor: str) -> None:
        self.reports = reports
        self._clock = clock
        self._executor = executor

    def started(self, attempt: Attempt, since: int) -> None:
        """It runs since then (ms since epoch)."""
        attempt.started = True
        group = attempt.group
        report = TaskStarted(
            group.id, group.epoch, attempt.order.command, attempt.path, since, self._executor
        )
        self.reports.send(group.message.partition, report, attempt.settle)

    async def started_alone(self, hold: Hold, order: Order, *, alone: bool) -> None:
        """A suspect is about to run; returns when that is confirmed.

        Args:
            hold: the message that it came in.
            order: the order.
            alone: whether nothing else runs on this executor.
        """
        message, now = hold.message, self._clock.now()
        report = TaskStarted(message.id, message.epoch, order.command, order.path, now, self._executor, alone)
        await self.reports.tell(message.partition, report)

    def joined(self, hold: Hold, order: Order) -> None:
        """A suspect that began alone is not alone any more."""
        message, now = hold.message, self._clock.now()
        report = TaskStarted(message.id, message.epoch, order.command, order.path, now, self._executor)
        self.reports.send(message.partition, report)

    def held(self, hold: Hold, holding: Holding, orders: Sequence[Order]) -> None:
        """These orders of a message are here and have not begun.

        Args:
            hold: the message.
            holding: where it is due again if the report may be lost: by then some may have begun.
            orders: some of its orders.
        """
        message = hold.message
        report = TasksHeld(message.id, message.epoch, self._executor, _named(orders))
        commands = [order.command for order in orders]
        self.reports.send(
            message.partition, report, partial(hold.settle_all, commands), partial(holding.again, hold)
        )

    def returned(self, hold: Hold, orders: Sequence[Order]) -> None:
        """These orders of a message have not begun here, and will not."""
        orders = [order for order in orders if hold.keeps(order.command)]
        if orders:
            message = hold.message
            report = TasksReturned(message.id, message.epoch, self._executor, _named(orders))
            commands = [order.command for order in orders]
            self.reports.send(message.partition, report, partial(hold.settle_all, commands))

    def progressed(self, attempt: Attempt, now: int) -> None:
        """It said how far it is."""
        progress, attempt.progress = attempt.progress, None
        if progress is not None:
            attempt.progress_sent = now
            group = attempt.group
            report = TaskProgressed(group.id, group.epoch, attempt.order.command, attempt.path, *progress)
            self.reports.send(
                group.message.partition, report, instead=partial(_keep_progress, attempt, progress)
            )

    def finished(
        self, attempt: Attempt, outcome: Outcome, now: int, value: Value | None, updaters: Value | None
    ) -> bool:
        """It ended at ``now`` (ms since epoch); whether the report is confirmed already.

        Args:
            attempt: the attempt.
            outcome: how it ended.
            now: when it ended.
            value: its result, or a foreach's list.
            updaters: what it left in the context.
        """
        attempt.reported = True
        if attempt.order.then and outcome.status is TaskStatus.OK:
            attempt.left = (value or NULL, updaters)
        group = attempt.group
        started = attempt.execution_time if attempt.execution_time is not None else now
        report = TaskFinished(
            group.id,
            group.epoch,
            attempt.order.command,
            attempt.path,
            outcome.status,
            started,
            now - started if now > started else 0,
            self._executor,
            value,
            outcome.count,
            updaters,
            outcome.error,
            outcome.retryable,
        )
        return self.reports.send(group.message.partition, report, attempt.confirmed)

    def unstarted(self, hold: Hold, order: Order, error: ErrorInfo) -> None:
        """An order could not be begun.

        Args:
            hold: the message that it came in.
            order: the order.
            error: why.
        """
        message = hold.message
        report = TaskFinished(
            id=message.id,
            epoch=message.epoch,
            command=order.command,
            path=order.path,
            status=TaskStatus.FAILED,
            execution_time=self._clock.now(),
            duration=0,
            executor=self._executor,
            error=at(error, order.path),
        )
        self.reports.send(message.partition, report, partial(hold.settle, order.command))


def _keep_progress(attempt: Attempt, progress: tuple[float, str | None]) -> None:
    """What did not arrive is said later, unless there is something newer to say."""
    if attempt.progress is None and not attempt.over:
        attempt.progress = progress


def _named(orders: Sequence[Order]) -> tuple[tuple[str, int], ...]:
    return tuple((order.path, order.command) for order in orders)


def at(error: ErrorInfo, path: str) -> ErrorInfo:
    """The error, at this path if it names none."""
    if error.path is not None:
        return error
    return ErrorInfo(error.code, error.message, path, error.type, error.traceback, error.details)
