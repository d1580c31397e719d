"""Handlers: calls of an author's functions when something happens to an instance.

A call that is due is stored with the instance, and goes when an executor has reported it: it happens at least
once. One that fails is tried three times in all.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from taskpath_proto import topology
from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.plan import Handler
from taskpath_proto.records import HandlerRecord, InstanceStatus
from taskpath_proto.work import HandlerFinished, RunHandler
from taskpath_services.scheduler.effects import Timer, TimerKind
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Node
from taskpath_services.scheduler.statuses import FAILED

TRIES: Final = 3
PATIENCE_MS: Final = 120_000
"""How long a report is waited for; then the call counts as failed."""


def ended(instance: Instance, status: InstanceStatus) -> None:
    """An instance has come to its end: its handlers are due."""
    handlers = instance.identity.plan.handlers
    if status is InstanceStatus.FAILED and Handler.ERROR in handlers:
        _due(instance, HandlerRecord(instance.next(), Handler.ERROR, error=first_error(instance)))
    if Handler.COMPLETE in handlers:
        _due(instance, HandlerRecord(instance.next(), Handler.COMPLETE, status=status))


def deleting(instance: Instance) -> bool:
    """An instance is about to be deleted; whether a handler has to be called before it goes."""
    if Handler.DELETE not in instance.identity.plan.handlers:
        return False
    _due(instance, HandlerRecord(instance.next(), Handler.DELETE))
    return True


def resume(instance: Instance) -> None:
    """Calls again what the last owner had not heard the end of."""
    for record in instance.handlers.values():
        _send(instance, record)


def finished(instance: Instance, report: HandlerFinished) -> None:
    """A call of a handler has ended."""
    record = instance.handlers.get(report.command)
    if record is None or report.epoch != instance.epoch:
        return
    if report.error is None:
        _over(instance, record)
    elif record.number in instance.calling:
        _failed(instance, record)


def fired(instance: Instance, timer: Timer) -> None:
    """A handler's time is up, or its next try is due."""
    record = instance.handlers.get(timer.number)
    if record is None:
        return
    if timer.path == "retry":
        _send(instance, record)
    elif record.tries == int(timer.path) and record.number in instance.calling:
        _failed(instance, record)


def _failed(instance: Instance, record: HandlerRecord) -> None:
    instance.calling.discard(record.number)
    tried = replace(record, tries=record.tries + 1)
    if tried.tries >= TRIES:
        _over(instance, record)
        return
    instance.handlers[record.number] = tried
    instance.handlers_changed = True
    due = instance.now + 1000 * 2 ** (tried.tries - 1)
    instance.effects.timers.append(Timer(due, instance.id, TimerKind.HANDLER, "retry", record.number))


def _due(instance: Instance, record: HandlerRecord) -> None:
    instance.handlers[record.number] = record
    instance.handlers_changed = True
    _send(instance, record)


def _over(instance: Instance, record: HandlerRecord) -> None:
    instance.calling.discard(record.number)
    del instance.handlers[record.number]
    instance.handlers_changed = True


def _send(instance: Instance, record: HandlerRecord) -> None:
    identity = instance.identity
    instance.calling.add(record.number)
    instance.effects.handlers.append(
        (
            topology.generator_mailbox(identity.plan.queue),
            RunHandler(
                id=identity.id,
                partition=identity.partition,
                epoch=instance.epoch,
                command=record.number,
                realm=identity.realm,
                workflow=identity.workflow,
                handler=record.handler,
                status=record.status,
                error=record.error,
            ),
        )
    )
    due = instance.now + PATIENCE_MS
    instance.effects.timers.append(
        Timer(due, instance.id, TimerKind.HANDLER, str(record.tries), record.number)
    )


def first_error(instance: Instance) -> ErrorInfo:
    """The error of the first task in tree order that failed."""
    node = instance.tree.root
    while node.group is not None:
        failed = next((child for child in node.group.children if child and child.status == FAILED), None)
        if failed is None:
            break
        node = failed
    return _error_of(node)


def _error_of(node: Node) -> ErrorInfo:
    error = node.notes.error if node.notes is not None else None
    if error is None:
        return ErrorInfo(ErrorCode.EXECUTION_FAILED, "A task failed.", path=node.path)
    return replace(error, path=node.path, traceback=None)
