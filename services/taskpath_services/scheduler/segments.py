"""Segments: tasks of a sequence that an executor goes on to without having been sent each of them.

The order for a plain task carries those after it that will surely follow: plain ones, of the same queue, that
the same run takes whatever comes. Their commands' numbers are kept for them. When a task is ok, its executor
goes on to the next as soon as the report of that is confirmed; and the owner, when it reads that report, has
the next one out, under the number that was kept for it, as if it had sent it. Whatever else becomes of the
task ends the segment on both sides: what follows is sent, if it is to run, under another number.

A report of a step is behind that of the task before it, in the same mailbox and from the same executor. So an
owner never meets the report of a step that it has not entered, but in the batch in which it enters it.

In one process there are none: nothing may follow from a result that is not stored, and when it is, an order
is as near as any other word of that.

A number that was kept is older than the ``bound`` that its task gets. So that the next owner knows such a
task as being out all the same, its record has its place in the segment.
"""

from __future__ import annotations

from typing import Final

from taskpath_proto.values import KEEP_BYTES, Inline
from taskpath_proto.work import Step
from taskpath_services.scheduler.frames import Frame, Reserved, Work
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Node
from taskpath_services.scheduler.selection import Take, is_sequence
from taskpath_services.scheduler.statuses import is_active

MOST_STEPS: Final = 32
"""How many tasks may follow the one of an order."""

_CERTAIN: Final = (Take.ALL, Take.STALE)
"""What is picked so runs if the task before it has run: it is stale then."""


def reserve(instance: Instance, work: Work) -> tuple[Step, ...]:
    """Keeps numbers for the tasks that follow one that is being sent; gives them."""
    node, frame = work.node, work.frame
    steps = _following(instance, work) if node.group is None and is_sequence(frame.node) else ()
    work.ahead, work.step = len(steps), False
    if steps:
        instance.counter += len(steps)
        node.segment = instance.change(node).segment = (0, 1 + len(steps))
    else:
        forget(instance, node)
    return steps


def _following(instance: Instance, work: Work) -> tuple[Step, ...]:
    node, frame = work.node, work.frame
    if work.suspect or not instance.fleet.leases:
        return ()
    steps: list[Step] = []
    queue, after = instance.queue_of(node), node.position + 1
    for child in frame.node.inside.children[after : after + MOST_STEPS]:
        if child is None or not _surely_follows(instance, frame, child, queue):
            break
        steps.append(Step(child.spec.name, child.attempt + 1, child.spec.condition, child.updaters))
    return tuple(steps)


def _surely_follows(instance: Instance, frame: Frame, child: Node, queue: str) -> bool:
    pick, left = frame.pick.below(child.key), child.updaters
    return (
        pick is not None
        and pick.take in _CERTAIN
        and child.group is None
        and instance.queue_of(child) == queue
        and child.bound <= frame.run.number
        and not is_active(child.status)
        and not (isinstance(left, Inline) and len(left.json) > KEEP_BYTES)
    )


def hand_on(work: Work, executor: str) -> None:
    """A task is ok: its executor goes on to the next, if one was sent with it."""
    node, command = work.node, work.command
    if work.ahead and command is not None and node.segment is not None:
        place, count = node.segment
        following = work.frame.node.inside.children[node.position + 1]
        assert following is not None
        work.frame.reserved = Reserved(following, (command[0], command[1] + 1), (place + 1, count), executor)


def is_next(node: Node, command: tuple[int, int]) -> bool:
    """Whether an executor goes on to a task with this command, and it has not been entered yet."""
    parent = node.parent
    return parent is not None and any(
        frame.reserved is not None and frame.reserved.command == command for frame in parent.inside.frames
    )


def claimed(instance: Instance, frame: Frame, node: Node | None) -> Reserved | None:
    """What was kept for a task that begins in a frame, if anything was; what was kept for another is
    cancelled."""
    reserved, frame.reserved = frame.reserved, None
    if reserved is None or reserved.node is node:
        return reserved
    place, count = reserved.segment
    epoch, number = reserved.command
    instance.effects.cancelled.extend((epoch, number + more) for more in range(count - place))
    return None


def bound(instance: Instance, reserved: Reserved, now: int) -> int:
    """The ``bound`` of a task that an executor goes on to.

    It sees what the first of its segment saw. If that was sent by an earlier owner, and something before it
    has changed since, this one does not know that by its frames; but the task before it is stale then.

    Args:
        instance: whose.
        reserved: the task.
        now: the ``bound`` of a task that is sent now.
    """
    parent = reserved.node.parent
    if reserved.command[0] == instance.epoch or parent is None:
        return now
    before = parent.inside.children[reserved.node.position - 1]
    assert before is not None
    return min(now, before.bound) if _newest_before(before) >= before.bound else now


def _newest_before(node: Node) -> int:
    """The greatest ``left`` before a task, whether or not all that is before it is done."""
    newest, parent = 0, node.parent
    while parent is not None:
        inside = parent.inside
        if is_sequence(parent):
            lefts = (child.left for child in inside.children[: node.position] if child is not None)
            newest = max(newest, max(lefts, default=0))
        newest = max(newest, inside.own_left)
        node, parent = parent, parent.parent
    return newest


def gone_on(instance: Instance, work: Work, reserved: Reserved) -> None:
    """An executor has gone on to a work."""
    node = work.node
    node.segment = instance.change(node).segment = reserved.segment
    work.step = True
    work.ahead = reserved.segment[1] - reserved.segment[0] - 1


def resume(work: Work) -> None:
    """A work stays out that an earlier owner had sent or entered: what follows it follows still."""
    if work.node.segment is not None:
        place, count = work.node.segment
        work.ahead = count - place - 1
        work.step = place > 0


def is_step(node: Node) -> bool:
    """Whether the last command of a task was kept for it before it was bound."""
    return node.segment is not None and node.segment[0] > 0


def forget(instance: Instance, node: Node) -> None:
    """The last command of a task means nothing any more, or nothing follows it."""
    if node.segment is not None:
        node.segment = instance.change(node).segment = None


def commands(work: Work) -> list[tuple[int, int]]:
    """The command of a work that is out, and those that were kept for what follows it."""
    if work.command is None:
        return []
    epoch, number = work.command
    return [(epoch, number + more) for more in range(1 + work.ahead)]
