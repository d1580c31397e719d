"""Outdating: what one run does to the inputs of another that is under way in the same instance.

A run keeps the inputs that it has taken over on its way. When another run changes something that it has
passed, what it still starts is bound to the time before that change, and so is stale from the beginning: it
must not look fresh only because it started late.
"""

from __future__ import annotations

from taskpath_services.scheduler.frames import Frame, Phase, Run
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Kind, Node


def disturb(instance: Instance, run: Run, node: Node, left: int) -> None:
    """A run has changed what a task leaves.

    Args:
        instance: whose.
        run: the run.
        node: the task.
        left: its new ``left``, or the one of its own function.
    """
    if len(instance.runs) < 2:
        return
    if node.group is not None:
        for frame in node.group.frames:
            if frame.run is not run and frame.phase is Phase.CHILDREN:
                _outdate(instance, frame, left)
    above = node.parent
    while above is not None:
        if above.spec.sequential and above.kind is not Kind.FOREACH:
            for frame in above.inside.frames:
                if frame.run is not run and frame.cursor > node.position:
                    _outdate(instance, frame, left)
        node, above = above, above.parent


def _outdate(instance: Instance, frame: Frame, left: int) -> None:
    frame.outdated = frame.outdated or left
    instance.disturbed = True


def bound_now(instance: Instance, frame: Frame | None) -> int:
    """The ``bound`` of a task that starts in a frame now."""
    bound = instance.next()
    if not instance.disturbed:
        return bound
    while frame is not None:
        if frame.outdated:
            bound = min(bound, frame.outdated)
        frame = frame.parent
    return bound
