"""Losses: what becomes of a work whose executor is gone, or that comes back from one.

A loss says nothing of the task, so it does not use up the author's retries. But a task that ends every
executor that runs it has to be given up: what was lost is run alone next time, and is to blame if the
executor ends again.
"""

from __future__ import annotations

from typing import Final

from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.records import AttemptStatus
from taskpath_proto.work import OrderKind, TasksReturned
from taskpath_services.scheduler import segments
from taskpath_services.scheduler.attempts import current, failed
from taskpath_services.scheduler.frames import Stage, Work
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.orders import file_attempt, mark, offer, take_back, take_number
from taskpath_services.scheduler.statuses import QUEUED

MOST_LOSSES: Final = 3
"""So many executors may end under a task that runs alone on them."""


def lost(instance: Instance, work: Work) -> None:
    """The executor of a work is gone: it goes out again, to be run alone."""
    if work.stage not in (Stage.SENT, Stage.STARTED):
        return
    node = work.node
    take_back(instance, work)
    work.suspect = True
    if work.stage is Stage.STARTED and work.kind is not OrderKind.JOIN:
        notes = node.note()
        if work.alone:
            notes.losses += 1
            instance.change(node).losses = notes.losses
        if notes.losses >= MOST_LOSSES:
            failed(instance, work, _given_up(node.path, notes.losses), retryable=False)
            return
        if work.kind is OrderKind.TASK:
            file_attempt(instance, node, AttemptStatus.LOST)
            mark(instance, node, QUEUED)
            take_number(instance, node)
        else:
            mark(instance, node, QUEUED)
    again(instance, work)


def returned(instance: Instance, report: TasksReturned) -> None:
    """An executor gives back what it has not begun.

    A step may come back from one that did the same task before it as another, which has gone on; and one that
    has begun, from an executor that was told by an earlier owner to stop it.
    """
    for path, command in report.orders:
        work = current(instance, path, report.epoch, command)
        if work is None or (work.step and work.holder not in (None, report.executor)):
            continue
        if work.stage is Stage.SENT:
            take_back(instance, work)
            again(instance, work)
        elif work.step:
            lost(instance, work)


def again(instance: Instance, work: Work) -> None:
    """Sends a work once more, as the same try. What the last command leads to counts no more."""
    node = work.node
    work.stage = Stage.WAITING
    work.command = None
    work.alone = work.step = False
    work.ahead = 0
    if work.kind is not OrderKind.JOIN:
        segments.forget(instance, node)
        node.command = instance.change(node).command = (instance.epoch, 0)
    work.tries -= work.kind is OrderKind.TASK
    offer(instance, work, first=True)


def _given_up(path: str, losses: int) -> ErrorInfo:
    return ErrorInfo(
        ErrorCode.EXECUTION_FAILED,
        f"The task was given up: {losses} executors have ended while they ran nothing but it.",
        path=path,
        type="ExecutorLost",
    )
