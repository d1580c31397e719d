"""The walk: how a run goes through the tree.

A frame works through one group: a sequence one child after the other, parallel subtasks at once, the items
of a foreach as its window has room. Nothing here recurses into what is already under way: a frame that has
to go on is put on an agenda, and ``drain`` works the agenda off.
"""

from __future__ import annotations

from collections import deque

from taskpath_proto.work import OrderKind
from taskpath_services.scheduler import segments
from taskpath_services.scheduler.ending import end, touch
from taskpath_services.scheduler.entering import accept, enter, open_up, own_ended, passes
from taskpath_services.scheduler.frames import Frame, Phase, Run, Stage, Work
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Kind
from taskpath_services.scheduler.orders import send, status_of
from taskpath_services.scheduler.results import item_of
from taskpath_services.scheduler.selection import is_sequence, last_picked
from taskpath_services.scheduler.statuses import is_done
from taskpath_services.scheduler.windows import size


def begin(instance: Instance, run: Run) -> None:
    """Starts a run, or takes it up again."""
    instance.runs[run.number] = run
    root = instance.tree.root
    frame = Frame(run, root, None, run.pick, instance.identity.data, (), 0, run.record.argument, held=False)
    run.root = frame
    root.inside.frames.append(frame)
    open_up(instance, frame)


def settled(instance: Instance, work: Work) -> None:
    """Goes on after a work has ended, whichever way."""
    node, frame = work.node, work.frame
    node.work = None
    frame.active.pop(node, None)
    frame.broken = frame.broken or not is_done(status_of(work))
    if work.kind is OrderKind.JOIN:
        end(instance, frame)
    elif frame.node is node:
        own_ended(instance, frame)
    else:
        instance.agenda.append(frame)


def widened(instance: Instance) -> None:
    """Windows may have grown: every foreach that is under way looks whether it may go on."""
    frames: dict[Frame, None] = {}
    for window in instance.windows.by_queue.values():
        for work in window.out:
            frame: Frame | None = work.frame
            while frame is not None and frame not in frames:
                frames[frame] = None
                frame = frame.parent
    instance.agenda.extend(frame for frame in frames if frame.node.kind is Kind.FOREACH)


def drain(instance: Instance) -> None:
    """Goes on with every frame that can, and lets out what the windows have room for."""
    agenda = instance.agenda
    while True:
        while agenda:
            _advance(instance, agenda.popleft())
        if not _refill(instance):
            return


def _refill(instance: Instance) -> bool:
    """Lets out what waits; whether anything was."""
    moved = False
    for queue, window in list(instance.windows.by_queue.items()):
        waiting, most = window.waiting, size(instance.fleet, queue)
        while waiting and window.has_room(most):
            source = waiting.popleft()
            moved = True
            if isinstance(source, Work):
                if source.stage is Stage.WAITING:
                    send(instance, source)
            else:
                _feed(instance, source, waiting)
    return moved


def _feed(instance: Instance, frame: Frame, waiting: deque[Work | Frame]) -> None:
    """Starts the next item of a foreach, and puts it back in the queue if it may have more."""
    if _may_begin(instance, frame) and _next_item(instance, frame) and _may_begin(instance, frame):
        waiting.append(frame)
        return
    frame.waiting = False
    if not frame.active:
        instance.agenda.append(frame)


def _may_begin(instance: Instance, frame: Frame) -> bool:
    """Whether a foreach's frame may begin another item, if it has one.

    Items with subtasks in other queues fill no window of ours, so that they are bounded here, too.
    """
    if frame.phase is not Phase.CHILDREN or frame.cancelled or frame.cursor >= len(frame.keys):
        return False
    window = size(instance.fleet, instance.queue_of(frame.node))
    most = min(frame.node.spec.max_parallel or window, window)
    frames = frame.node.inside.frames
    under_way = (
        len(frame.active)
        if len(frames) == 1
        else sum(len(other.active) for other in frames if other.phase is Phase.CHILDREN)
    )
    return under_way < most


def _next_item(instance: Instance, frame: Frame) -> bool:
    """Starts the next item that is to run; False if there is none."""
    foreach = frame.node
    children = foreach.inside.children
    while frame.cursor < len(frame.keys):
        index = frame.keys[frame.cursor]
        frame.cursor += 1
        pick = frame.pick.below(index)
        if pick is None:
            continue
        known = children[index]
        if known is not None and (
            known in frame.active or (known.group is None and passes(frame, known, pick))
        ):
            continue
        node = instance.tree.item(foreach, index)
        argument = frame.override if frame.override is not None else item_of(foreach, index)
        if enter(instance, frame, node, pick, argument):
            return True
    return False


def _advance(instance: Instance, frame: Frame) -> None:
    if frame.phase is not Phase.CHILDREN:
        return
    if frame.node.kind is Kind.FOREACH:
        _advance_foreach(instance, frame)
    elif is_sequence(frame.node):
        _advance_sequence(instance, frame)
    elif not frame.active:
        end(instance, frame)


def _advance_foreach(instance: Instance, frame: Frame) -> None:
    node = frame.node
    if not frame.active and (frame.cancelled or frame.cursor >= len(frame.keys)):
        end(instance, frame)
    for other in node.inside.frames:
        if not other.waiting and _may_begin(instance, other):
            other.waiting = True
            instance.refresh(node)
            instance.windows.of(instance.queue_of(node)).waiting.append(other)


def _advance_sequence(instance: Instance, frame: Frame) -> None:
    if frame.active:
        return
    children = frame.node.inside.children
    pick = frame.pick
    last = last_picked(frame.node, pick)
    while frame.cursor <= last and not frame.broken:
        child = children[frame.cursor]
        assert child is not None
        picked = pick.below(child.key)
        if picked is not None:
            if not frame.entered:
                if frame.cancelled:
                    break
                frame.entered = True
                argument = frame.override if frame.override is not None else frame.argument
                if enter(instance, frame, child, picked, argument):
                    return
            frame.entered = False
            if child.group is None and child.bound > frame.run.number:
                touch(frame, child)
        if frame.cursor < last and not frame.broken:
            accept(instance, frame, child)
        frame.cursor += 1
    segments.claimed(instance, frame, None)
    end(instance, frame)
