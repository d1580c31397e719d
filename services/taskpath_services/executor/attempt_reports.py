"""What the owner of an instance is told about an attempt."""

from __future__ import annotations

from taskpath.runtime.clock import Clock
from taskpath_proto.errors import ErrorInfo
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import Value
from taskpath_proto.work import Order, RunTasks, TaskFinished, TaskProgressed, TaskStarted
from taskpath_services.executor.attempt import Attempt
from taskpath_services.executor.outcome import Outcome
from taskpath_services.executor.reports import Held, Reports


class AttemptReports:
    """Makes reports of attempts and sends them.

    Args:
        reports: sends them.
        clock: the time.
        executor: this executor's id.
    """

    def __init__(self, reports: Reports, clock: Clock, executor: str) -> None:
        self._reports = reports
        self._clock = clock
        self._executor = executor

    def started(self, attempt: Attempt, since: int) -> None:
        """It runs since then (ms since epoch). That settles it: it need not be delivered again."""
        attempt.started = True
        group = attempt.group
        report = TaskStarted(
            group.id, group.epoch, attempt.order.command, attempt.path, since, self._executor
        )
        self._send(attempt, report)

    def progressed(self, attempt: Attempt, now: int) -> None:
        """It said how far it is."""
        progress, attempt.progress = attempt.progress, None
        if progress is not None:
            attempt.progress_sent = now
            group = attempt.group
            report = TaskProgressed(group.id, group.epoch, attempt.order.command, attempt.path, *progress)
            self._reports.send(group.message.partition, report)

    def finished(
        self, attempt: Attempt, outcome: Outcome, now: int, value: Value | None, updaters: Value | None
    ) -> None:
        """It ended at ``now`` (ms since epoch).

        Args:
            attempt: the attempt.
            outcome: how it ended.
            now: when it ended.
            value: its result, or a foreach's list.
            updaters: what it left in the context.
        """
        group = attempt.group
        started = attempt.execution_time if attempt.execution_time is not None else now
        report = TaskFinished(
            group.id,
            group.epoch,
            attempt.order.command,
            attempt.path,
            outcome.status,
            started,
            max(0, now - started),
            self._executor,
            value,
            outcome.count,
            updaters,
            outcome.error,
            outcome.retryable,
        )
        self._send(attempt, report)

    def unstarted(self, message: RunTasks, held: Held, order: Order, error: ErrorInfo) -> None:
        """An order could not be begun.

        Args:
            message: the message that it came in.
            held: of which it settles one order.
            order: the order.
            error: why.
        """
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
        self._reports.send(message.partition, report, held)

    def _send(self, attempt: Attempt, report: TaskStarted | TaskFinished) -> None:
        helds, attempt.helds = attempt.helds, ()
        self._reports.send(attempt.group.message.partition, report, helds[0] if helds else None)
        for held in helds[1:]:
            held.settle()


def at(error: ErrorInfo, path: str) -> ErrorInfo:
    """The error, at this path if it names none."""
    if error.path is not None:
        return error
    return ErrorInfo(error.code, error.message, path, error.type, error.traceback, error.details)
