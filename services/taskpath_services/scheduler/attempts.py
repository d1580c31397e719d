"""Attempts: what reports and timers make of the works that are out."""

from __future__ import annotations

import zlib

from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.plan import RetrySpec
from taskpath_proto.queries import AskWanted, Wanted
from taskpath_proto.records import AttemptStatus, Progress, RetryState, TaskStatus
from taskpath_proto.values import NULL, Value
from taskpath_proto.work import OrderKind, TaskFinished, TaskProgressed, TasksHeld, TaskStarted
from taskpath_services.scheduler import joining, segments
from taskpath_services.scheduler.effects import Timer, TimerKind
from taskpath_services.scheduler.frames import Stage, Work
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Node, leave_updaters
from taskpath_services.scheduler.orders import (
    file_attempt,
    goes_on,
    mark,
    offer,
    own_status,
    take_back,
    take_number,
    watch_timeout,
)
from taskpath_services.scheduler.outdating import disturb
from taskpath_services.scheduler.statuses import CANCELLED, FAILED, OK, QUEUED, RUNNING, SKIPPED
from taskpath_services.scheduler.walk import drain, settled


def current(instance: Instance, path: str, epoch: int, command: int) -> Work | None:
    """The work that a report is about, if that is still wanted."""
    node = instance.tree.nodes.get(path)
    if node is None:
        return None
    if node.work is None and segments.is_next(node, (epoch, command)):
        drain(instance)
    work = node.work
    if (
        isinstance(work, Work)
        and work.command == (epoch, command)
        and work.stage in (Stage.SENT, Stage.STARTED)
    ):
        return work
    return None


def started(instance: Instance, report: TaskStarted) -> None:
    """An attempt runs for longer than a moment."""
    work = current(instance, report.path, report.epoch, report.command)
    if work is None:
        return
    if work.stage is Stage.STARTED:
        work.alone = work.alone and report.alone  # it has got company meanwhile
        return
    node = work.node
    work.stage = Stage.STARTED
    work.alone = report.alone
    instance.fleet.hold(instance, work, report.executor)
    goes_on(instance, node)
    if work.kind is OrderKind.JOIN:
        joining.begin(instance, node, RUNNING)
        return
    mark(instance, node, RUNNING)
    node.execution_time, node.executor = report.execution_time, report.executor
    change = instance.change(node)
    change.execution_time, change.executor = report.execution_time, report.executor
    watch_timeout(instance, work)


def held(instance: Instance, report: TasksHeld) -> None:
    """An executor has these orders: they wait there, or run as an earlier owner had heard."""
    for path, command in report.orders:
        work = current(instance, path, report.epoch, command)
        if work is not None and (work.stage is Stage.SENT or work.holder is None):
            instance.fleet.hold(instance, work, report.executor)


def wanted(instance: Instance, asked: AskWanted) -> Wanted:
    """Which of some orders the executor that asks may run: those that nobody else has, or may have."""
    return Wanted(
        tuple(
            command
            for path, command in asked.orders
            if (work := current(instance, path, asked.epoch, command)) is not None
            and work.holder in (None, asked.executor)
            and (work.step or work.doubted in (None, asked.executor))
        )
    )


def progressed(instance: Instance, report: TaskProgressed) -> None:
    """A running task has said how far it is."""
    work = current(instance, report.path, report.epoch, report.command)
    if work is not None:
        progress = Progress(fraction=report.fraction, message=report.message)
        work.node.note().progress = progress
        instance.change(work.node).progress = progress


def finished(instance: Instance, report: TaskFinished) -> None:
    """An attempt has ended. The first report of it counts."""
    work = current(instance, report.path, report.epoch, report.command)
    if work is None:
        return
    node = work.node
    take_back(instance, work)
    if work.kind is OrderKind.JOIN:
        joining.judged(instance, work, report)
        settled(instance, work)
        return
    change = instance.change(node)
    node.execution_time, node.duration = report.execution_time, report.duration
    change.execution_time, change.duration = report.execution_time, report.duration
    if node.executor != report.executor:
        node.executor = change.executor = report.executor
    if report.status is TaskStatus.FAILED:
        error = report.error or ErrorInfo(ErrorCode.EXECUTION_FAILED, "The task failed.")
        failed(instance, work, error, retryable=report.retryable)
    elif report.status is TaskStatus.SKIPPED:
        _skipped(instance, work)
    else:
        _succeeded(instance, work, report)


def _succeeded(instance: Instance, work: Work, report: TaskFinished) -> None:
    node = work.node
    change = instance.change(node)
    if work.kind is OrderKind.FOREACH:
        inside = node.inside
        inside.items = change.items = report.result or NULL
        instance.resize(node, report.count or 0)
        inside.own_left = change.own_left = instance.next()
        disturb(instance, work.frame.run, node, inside.own_left)
    elif work.kind is OrderKind.TASK:
        result: Value = report.result or NULL
        instance.keep(node, result, report.command)
        change.body = result
        if report.updaters is not None or node.updaters is not None:
            leave_updaters(node, report.updaters)
            change.updaters = report.updaters
        left = instance.next()
        if node.group is None:
            node.left = change.left = left
        else:
            node.inside.own_left = change.own_left = left
        disturb(instance, work.frame.run, node, left)
    _forget_retry(instance, node)
    mark(instance, node, OK)
    segments.hand_on(work, report.executor)
    settled(instance, work)


def _skipped(instance: Instance, work: Work) -> None:
    node = work.node
    change = instance.change(node)
    node.execution_time = node.duration = node.executor = None
    change.execution_time = change.duration = change.executor = None
    if work.kind is OrderKind.TASK:
        node.attempt -= 1
        change.attempt = node.attempt
        node.result = change.body = None
        if node.updaters is not None:
            leave_updaters(node, None)
            change.updaters = None
    if node.group is None:
        node.left = change.left = instance.next()
        disturb(instance, work.frame.run, node, node.left)
    _forget_retry(instance, node)
    mark(instance, node, SKIPPED)
    settled(instance, work)


def failed(instance: Instance, work: Work, error: ErrorInfo, *, retryable: bool) -> None:
    """An attempt has failed: it is tried again, or that is the task's end."""
    node = work.node
    change = instance.change(node)
    change.error = error
    node.note().error = ErrorInfo(error.code, error.message, type=error.type)
    retry = node.spec.retry
    if retryable and retry is not None and work.kind is OrderKind.TASK and work.tries < retry.attempts:
        _retry(instance, work, retry)
        return
    if node.result is not None:
        node.result = change.body = None
    _forget_retry(instance, node)
    mark(instance, node, FAILED)
    settled(instance, work)


def _retry(instance: Instance, work: Work, retry: RetrySpec) -> None:
    node = work.node
    _forget_losses(instance, node)
    due = instance.now + round(1000 * delay(retry, work.tries, f"{instance.id}{node.path}/{node.attempt}"))
    error, kept = instance.change(node).error, node.note().error
    file_attempt(instance, node, AttemptStatus.FAILED)
    mark(instance, node, QUEUED)
    take_number(instance, node)
    work.stage = Stage.RETRYING
    work.condition = False
    state = RetryState(try_=work.tries + 1, attempts=retry.attempts, next_at=due)
    notes = node.note()
    notes.retry, notes.error = state, kept
    change = instance.change(node)
    change.retry, change.error = state, error
    instance.effects.timers.append(Timer(due, instance.id, TimerKind.RETRY, node.path, node.attempt))


def _forget_retry(instance: Instance, node: Node) -> None:
    notes = node.notes
    if notes is None:
        return
    if notes.retry is not None:
        notes.retry = instance.change(node).retry = None
    _forget_losses(instance, node)


def _forget_losses(instance: Instance, node: Node) -> None:
    if node.notes is not None and node.notes.losses:
        node.notes.losses = instance.change(node).losses = 0


def delay(retry: RetrySpec, tries: int, seed: str) -> float:
    """The seconds to wait before the next try.

    Args:
        retry: the author's choice.
        tries: how often it was tried so far.
        seed: makes the jitter differ between tasks, and the same for the same attempt.
    """
    plain = min(retry.max_delay, retry.backoff * 2.0 ** min(tries - 1, 60))
    spread = zlib.crc32(seed.encode()) / 0xFFFFFFFF * 2 - 1
    return max(0.0, plain * (1 + retry.jitter * spread))


def fired(instance: Instance, timer: Timer) -> None:
    """A timer has fired; what it is for may be over."""
    node = instance.tree.nodes.get(timer.path)
    work = node.work if node is not None else None
    if node is None or not isinstance(work, Work):
        return
    if timer.kind is TimerKind.RETRY:
        if work.stage is Stage.RETRYING and node.attempt == timer.number:
            work.stage = Stage.WAITING
            offer(instance, work, first=True)
    elif (
        timer.kind is TimerKind.TIMEOUT
        and work.stage is Stage.STARTED
        and work.command is not None
        and work.command[1] == timer.number
    ):
        take_back(instance, work)
        instance.effects.cancelled.extend(segments.commands(work))
        error = ErrorInfo(
            ErrorCode.EXECUTION_FAILED,
            f"The task did not end within its timeout of {node.spec.timeout or 0.0:g} s.",
            path=node.path,
            type="TimeoutError",
        )
        failed(instance, work, error, retryable=True)


def stop(instance: Instance, work: Work) -> None:
    """Cancels a work; whatever is still reported of it is dropped."""
    node = work.node
    if work.stage in (Stage.SENT, Stage.STARTED):
        take_back(instance, work)
        instance.effects.cancelled.extend(segments.commands(work))
    work.stage = Stage.RETRYING
    work.command = None
    if work.kind is OrderKind.JOIN:
        joining.give_up(instance, work)
        settled(instance, work)
        return
    if own_status(node) == RUNNING and node.execution_time is not None:
        node.duration = max(0, instance.now - node.execution_time)
        instance.change(node).duration = node.duration
    _forget_retry(instance, node)
    mark(instance, node, CANCELLED)
    settled(instance, work)
