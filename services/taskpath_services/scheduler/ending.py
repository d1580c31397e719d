"""Ending: a group has been worked through by a run, and the group above goes on."""

from __future__ import annotations

from taskpath_services.scheduler import joining
from taskpath_services.scheduler.frames import Frame, Phase
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Node
from taskpath_services.scheduler.outdating import disturb
from taskpath_services.scheduler.selection import is_sequence
from taskpath_services.scheduler.statuses import SKIPPED, is_done


def touch(frame: Frame, child: Node) -> None:
    """Something at or below a child has run in this run.

    What it held up may go on, and the caller's argument is used up, if it was not skipped.
    """
    frame.touched = True
    if is_sequence(frame.node):
        frame.held = True
        if child.status != SKIPPED:
            frame.override = None


def judge(frame: Frame) -> None:
    """A join below has been checked in this run: what it held up may go on."""
    frame.judged = True
    frame.held = frame.held or is_sequence(frame.node)


def end(instance: Instance, frame: Frame) -> None:
    """A group has been worked through, or cannot go on."""
    if frame.phase is Phase.ENDED:
        return
    checked = frame.phase is Phase.JOINING
    node = frame.node
    inside = node.inside
    inside.frames.remove(frame)
    if not inside.children and inside.own is None and not frame.cancelled:
        inside.joined = True
    instance.refresh(node)
    inside.unjoined = inside.unjoined or (frame.ran and not checked)
    if (inside.unjoined or checked or node.left == 0) and is_done(node.status):
        if joining.may_conflict(node) and (inside.unjoined or not checked):
            frame.phase = Phase.JOINING
            joining.check(instance, frame)
            return
        inside.unjoined, frame.ran = False, True
        node.left = instance.next()
        instance.change(node).left = node.left
        disturb(instance, frame.run, node, node.left)
    # Another run that is at work in here finishes what this one has begun.
    inside.unjoined = inside.unjoined or (checked and not is_done(node.status))
    frame.phase = Phase.ENDED
    above = frame.parent
    if above is None:
        instance.runs.pop(frame.run.number, None)
        instance.runs_changed = True
        instance.disturbed = instance.disturbed and bool(instance.runs)
        return
    above.active.pop(node, None)
    above.ran = above.ran or frame.ran
    if frame.touched:
        touch(above, node)
    if frame.judged:
        judge(above)
    whole = frame.pick.take is not None
    above.broken = above.broken or frame.broken or frame.cancelled or (whole and not is_done(node.status))
    instance.agenda.append(above)
