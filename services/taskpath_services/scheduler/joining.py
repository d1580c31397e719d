"""Joining: whether what parallel tasks left in the context fits together.

Each of them checked its updaters against what their parent saw. They are applied one after the other, in tree
order, so they may not fit: then the parent fails, here, and not whichever task comes next. The check needs
values, so an executor makes it.
"""

from __future__ import annotations

from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import NULL
from taskpath_proto.work import OrderKind, TaskFinished
from taskpath_services.scheduler.frames import Frame, Work
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Node
from taskpath_services.scheduler.orders import offer
from taskpath_services.scheduler.results import leavings
from taskpath_services.scheduler.selection import is_sequence
from taskpath_services.scheduler.statuses import CANCELLED, FAILED, NAMES, OK, QUEUED, is_active


def may_conflict(node: Node) -> bool:
    """Whether what the tasks below a group left may not fit together."""
    return node.inside.updated > 1 and not is_sequence(node)


def check(instance: Instance, frame: Frame) -> None:
    """Has the check made; the tasks below are done, and the frame does not end before it is."""
    node = frame.node
    above = frame.parent
    layers = (above.layers if above is not None else ()) + leavings(instance, node)
    frame.judged = True
    node.inside.unjoined = False
    node.inside.frames.append(frame)
    _note(instance, node, QUEUED)
    work = Work(node, frame, OrderKind.JOIN, NULL, layers, condition=False)
    node.work = work
    frame.active[node] = work
    offer(instance, work)


def judged(instance: Instance, work: Work, report: TaskFinished) -> None:
    """The check was made."""
    if report.status is TaskStatus.OK:
        _note(instance, work.node, OK)
        return
    error = report.error or ErrorInfo(ErrorCode.EXECUTION_FAILED, "The context cannot be put together.")
    instance.change(work.node).error = error
    work.node.note().error = ErrorInfo(error.code, error.message, type=error.type)
    _note(instance, work.node, FAILED)


def give_up(instance: Instance, work: Work) -> None:
    """The check was cancelled."""
    _note(instance, work.node, CANCELLED)


def begin(instance: Instance, node: Node, status: int) -> None:
    """The check is under way for longer than a moment."""
    _note(instance, node, status)


def forget(instance: Instance, node: Node) -> None:
    """Something at or below a group may run: how an earlier check ended says nothing any more.

    Nor does one that was out when the last owner went away: it is made again.
    """
    inside = node.inside
    if inside.joining is None or (is_active(inside.joining) and node.work is not None):
        return
    if inside.joining != OK:
        inside.unjoined = True
        if inside.own != FAILED and node.notes is not None:
            node.notes.error = instance.change(node).error = None
    inside.joining = instance.change(node).joining = None
    instance.refresh(node)


def _note(instance: Instance, node: Node, status: int) -> None:
    node.inside.joining = status
    instance.change(node).joining = NAMES[status]
    instance.refresh(node)
