"""Cancel: stops what is under way at or under a path; what is not stays as it is."""

from __future__ import annotations

from taskpath_proto.paths import Pattern
from taskpath_proto.records import Mode
from taskpath_services.scheduler.attempts import stop
from taskpath_services.scheduler.frames import Frame, Stage, Work
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.selection import resolve


def cancel(instance: Instance, path: str) -> None:
    """Cancels what is under way at or under a path or pattern.

    Raises:
        TaskpathError: INVALID_PATH, or CANNOT_FIND_TASK.
    """
    resolve(instance.tree, path, Mode.ALL)
    pattern = Pattern(path)
    for run in list(instance.runs.values()):
        if run.root is not None:
            _cancel(instance, run.root, pattern, pattern.covers(run.root.node.path))


def _cancel(instance: Instance, frame: Frame, pattern: Pattern, whole: bool) -> None:
    frame.cancelled = frame.cancelled or whole
    for node, below in list(frame.active.items()):
        if not whole and not pattern.covers(node.path) and isinstance(below, Work):
            continue
        if isinstance(below, Work):
            stop(instance, below)
        else:
            _cancel(instance, below, pattern, whole or pattern.covers(node.path))
    if whole and not frame.active:
        instance.agenda.append(frame)


def abandon(instance: Instance) -> None:
    """Tells executors to stop everything of an instance that is about to be deleted."""
    for run in instance.runs.values():
        if run.root is not None:
            _abandon(instance, run.root)
    instance.runs.clear()
    instance.agenda.clear()
    instance.effects.orders.clear()
    instance.effects.timers.clear()


def _abandon(instance: Instance, frame: Frame) -> None:
    for below in frame.active.values():
        if isinstance(below, Frame):
            _abandon(instance, below)
        elif below.stage in (Stage.SENT, Stage.STARTED) and below.command is not None:
            instance.effects.cancelled.append(below.command[1])
