"""Cancel: stops what is under way at or under a path; what is not stays as it is."""

from __future__ import annotations

from msgspec.structs import replace

from taskpath_proto import paths
from taskpath_proto.paths import Pattern
from taskpath_services.scheduler import segments
from taskpath_services.scheduler.attempts import stop
from taskpath_services.scheduler.execute import named
from taskpath_services.scheduler.frames import Frame, Stage, Work
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Kind
from taskpath_services.scheduler.windows import Windows


def cancel(instance: Instance, path: str) -> None:
    """Cancels what is under way at or under a path or pattern.

    Raises:
        TaskpathError: INVALID_PATH, or CANNOT_FIND_TASK.
    """
    pattern = Pattern(path)
    named(instance.tree, pattern)
    for run in list(instance.runs.values()):
        if run.root is not None:
            _cancel(instance, run.root, pattern, pattern.covers(run.root.node.path))


def _cancel(instance: Instance, frame: Frame, pattern: Pattern, whole: bool) -> None:
    if not whole and frame.node.kind is Kind.FOREACH:
        # What stands for an item that there will never be stands for every item.
        whole = pattern.covers(paths.item(frame.node.path, len(frame.node.inside.children)))
    frame.cancelled = frame.cancelled or whole
    if frame.cancelled and frame.cursor < len(frame.keys):
        _remember(instance, frame)
    for node, below in list(frame.active.items()):
        if not whole and not pattern.covers(node.path) and isinstance(below, Work):
            continue
        if isinstance(below, Work):
            stop(instance, below)
        else:
            _cancel(instance, below, pattern, whole or pattern.covers(node.path))
    if whole and not frame.active:
        instance.agenda.append(frame)


def _remember(instance: Instance, frame: Frame) -> None:
    """Notes with the run that a foreach starts no more items: nothing in records would tell a new owner."""
    record, path = frame.run.record, frame.node.path
    if path not in record.cancelled:
        frame.run.record = replace(record, cancelled=(*record.cancelled, path))
        instance.runs_changed = True


def abandon(instance: Instance) -> None:
    """Tells executors to stop everything of an instance that is about to be deleted."""
    for run in instance.runs.values():
        if run.root is not None:
            _abandon(instance, run.root)
    instance.runs.clear()
    instance.windows = Windows()
    instance.agenda.clear()
    instance.effects.orders.clear()
    instance.effects.timers.clear()


def _abandon(instance: Instance, frame: Frame) -> None:
    for below in frame.active.values():
        if isinstance(below, Frame):
            _abandon(instance, below)
            continue
        if below.stage in (Stage.SENT, Stage.STARTED):
            instance.effects.cancelled.extend(segments.commands(below))
        instance.fleet.free(below)
        below.node.work = None  # what is still said of it means nothing
