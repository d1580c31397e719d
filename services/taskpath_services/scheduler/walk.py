"""The walk: how a run goes through the tree.

A frame works through one group: a sequence one child after the other, parallel subtasks at once, the items
of a foreach as its window has room. Nothing here recurses into what is already under way: a frame that has
to go on is put on an agenda, and ``drain`` works the agenda off. A walk that is taken up again after a crash
goes the same way: what has run since the run was accepted (its ``bound`` is greater than the run's number) is
passed over.
"""

from __future__ import annotations

from collections import deque

from taskpath.staleness import NEVER, after
from taskpath_proto.values import NULL, Value
from taskpath_proto.work import Layer, OrderKind
from taskpath_services.scheduler.frames import Frame, Phase, Run, Stage, Work
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Kind, Node
from taskpath_services.scheduler.orders import mark, note_bound, offer, open_window, queue_of, resume, send
from taskpath_services.scheduler.results import inner_layers, item_of, leavings, own_result, result_of
from taskpath_services.scheduler.selection import Pick, takes
from taskpath_services.scheduler.statuses import (
    CANCELLED,
    FAILED,
    OK,
    QUEUED,
    SKIPPED,
    is_active,
    is_done,
    is_finished,
)
from taskpath_services.scheduler.windows import WINDOW

MOST_BOUNDS = 64
"""How many executions of one foreach are told apart when its stale items are counted."""


def begin(instance: Instance, run: Run) -> None:
    """Starts a run, or takes it up again."""
    instance.runs[run.number] = run
    root = instance.tree.root
    frame = Frame(run, root, None, run.pick, instance.identity.data, (), 0, run.argument)
    run.root = frame
    root.inside.frames += 1
    _open(instance, frame)


def settled(instance: Instance, work: Work) -> None:
    """Goes on after a work has ended, whichever way."""
    node, frame = work.node, work.frame
    node.work = None
    frame.active.pop(node, None)
    if frame.node is node:
        _own_ended(instance, frame)
    else:
        instance.agenda.append(frame)


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
    for window in list(instance.windows.by_queue.values()):
        waiting = window.waiting
        while waiting and window.open:
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
    begun = frame.phase is Phase.CHILDREN and not frame.cancelled and _next_item(instance, frame)
    if begun and len(frame.active) < _most_items(frame):
        waiting.append(frame)
        return
    frame.waiting = False
    if not frame.active:
        instance.agenda.append(frame)


def _most_items(frame: Frame) -> int:
    """How many items may be under way at once; items with subtasks in other queues fill no window of ours."""
    return min(frame.node.spec.max_parallel or WINDOW, WINDOW)


def _next_item(instance: Instance, frame: Frame) -> bool:
    """Starts the next item that is to run; False if there is none."""
    foreach, run = frame.node, frame.run
    children = foreach.inside.children
    while True:
        if frame.keys is None:
            index = frame.cursor
            if index >= len(children):
                return False
        else:
            if frame.cursor >= len(frame.keys):
                return False
            index = frame.keys[frame.cursor]
        frame.cursor += 1
        pick = frame.pick.below(index)
        if pick is None:
            continue
        known = children[index]
        if known is not None and known.group is None and _passes(known, pick, run, frame.threshold):
            continue
        node = instance.tree.item(foreach, index)
        argument = frame.override if frame.override is not None else item_of(foreach, index)
        if _enter(instance, frame, node, pick, argument):
            return True


def _passes(node: Node, pick: Pick, run: Run, threshold: int) -> bool:
    """Whether a plain task is left as it is."""
    if node.bound > run.number:
        return is_finished(node.status)
    return pick.take is None or not takes(pick.take, node.status, node.bound, threshold)


def _enter(instance: Instance, frame: Frame, node: Node, pick: Pick, argument: Value) -> bool:
    """Reaches a task; True if it is under way now, False if it stays as it is."""
    if node.group is not None:
        return _enter_group(instance, frame, node, pick, argument)
    if _passes(node, pick, frame.run, frame.threshold):
        return False
    again = node.bound > frame.run.number and is_active(node.status)
    item = frame.node.kind is Kind.FOREACH
    condition = node.spec.condition and not item
    work = Work(node, frame, OrderKind.TASK, argument, frame.layers, condition)
    _start(instance, work, frame, again, frame.bound or instance.next())
    return True


def _start(instance: Instance, work: Work, frame: Frame, again: bool, bound: int) -> None:
    node = work.node
    node.work = work
    frame.active[node] = work
    frame.ran = True
    if again:
        resume(instance, work)
        return
    mark(instance, node, QUEUED)
    note_bound(instance, node, bound)
    if frame.node.kind is Kind.FOREACH and frame.node is not node and open_window(instance, work):
        send(instance, work)
    else:
        offer(instance, work)


def _enter_group(instance: Instance, above: Frame, node: Node, pick: Pick, argument: Value) -> bool:
    frame = Frame(above.run, node, above, pick, argument, above.layers, above.threshold, above.override)
    above.active[node] = frame
    inside = node.inside
    inside.frames += 1
    own = inside.own
    ran = node.bound > frame.run.number
    if own is None:
        _open(instance, frame)
    elif ran and is_active(own):
        _start_own(instance, frame, again=True)
    elif not ran and _own_is_due(frame, own):
        _start_own(instance, frame, again=False)
    elif own == OK or (pick.take is None and node.kind is Kind.GROUP and own != SKIPPED):
        _open(instance, frame)
    else:
        _end(instance, frame)
    return True


def _own_is_due(frame: Frame, own: int) -> bool:
    node, pick = frame.node, frame.pick
    if pick.own is not None:
        return takes(pick.own, own, node.bound, frame.threshold)
    return node.kind is Kind.FOREACH and own == OK and node.bound <= frame.threshold < NEVER


def _start_own(instance: Instance, frame: Frame, *, again: bool) -> None:
    """Runs a group's own function, reads a foreach's list, or evaluates a condition."""
    node = frame.node
    kind = (
        OrderKind.FOREACH
        if node.kind is Kind.FOREACH
        else OrderKind.TASK
        if node.spec.run
        else OrderKind.CONDITION
    )
    argument = frame.argument
    if kind is not OrderKind.CONDITION and frame.override is not None:
        argument, frame.override = frame.override, None
    above = frame.parent
    bound = above.bound if above is not None and above.bound else instance.next()
    condition = node.spec.condition and not instance.is_foreach_item(node)
    work = Work(node, frame, kind, argument, frame.layers, condition)
    _start(instance, work, frame, again, bound)


def _own_ended(instance: Instance, frame: Frame) -> None:
    own = frame.node.inside.own
    if own == OK and not frame.cancelled:
        _open(instance, frame)
    else:
        if own == SKIPPED:
            skip_below(instance, frame.node)
        _end(instance, frame)


def skip_below(instance: Instance, node: Node) -> None:
    """A group was skipped: so is everything below it."""
    if node.kind is Kind.FOREACH:
        instance.removed.extend(instance.tree.resize(node, 0))
        return
    for child in node.inside.children:
        if child is None:
            continue
        if child.group is None:
            instance.set_status(child, SKIPPED)
            note_bound(instance, child, node.bound)
        else:
            if child.inside.own is not None:
                instance.set_own(child, SKIPPED)
                note_bound(instance, child, node.bound)
            skip_below(instance, child)


def _open(instance: Instance, frame: Frame) -> None:
    """Begins with what is below a group, whose own function is done."""
    node = frame.node
    inside = node.inside
    frame.phase = Phase.CHILDREN
    if inside.own is not None:
        frame.threshold = after(frame.threshold, is_done(inside.own), inside.own_left)
        if node.spec.run and node.kind is Kind.GROUP:
            frame.argument = own_result(instance, node)
            frame.layers = inner_layers(instance, node, frame.layers)
    if node.kind is Kind.FOREACH:
        frame.bound = instance.next()
        _note_execution(instance, node, frame.bound)
        if frame.pick.take is None and frame.pick.every is None:
            frame.keys = sorted(
                key for key in frame.pick.children if isinstance(key, int) and key < len(inside.children)
            )
    elif not node.spec.sequential:
        frame.bound = instance.next()
        given = frame.override if frame.override is not None else frame.argument
        for child in inside.children:
            pick = frame.pick.below(child.key) if child is not None else None
            if child is not None and pick is not None:
                _enter(instance, frame, child, pick, given)
        frame.cursor = len(inside.children)
    instance.agenda.append(frame)


def _note_execution(instance: Instance, foreach: Node, bound: int) -> None:
    bounds = foreach.inside.bounds
    for number in [number for number, count in bounds.items() if count == 0]:
        del bounds[number]
    while len(bounds) >= MOST_BOUNDS:
        first, second = sorted(bounds)[:2]
        bounds[first] += bounds.pop(second)
    bounds[bound] = 0
    instance.change(foreach)


def _advance(instance: Instance, frame: Frame) -> None:
    if frame.phase is not Phase.CHILDREN:
        return
    if frame.node.kind is Kind.FOREACH:
        _advance_foreach(instance, frame)
    elif frame.node.spec.sequential:
        _advance_sequence(instance, frame)
    elif not frame.active:
        _end(instance, frame)


def _advance_foreach(instance: Instance, frame: Frame) -> None:
    size = len(frame.node.inside.children) if frame.keys is None else len(frame.keys)
    if frame.cursor < size and not frame.cancelled:
        if not frame.waiting and len(frame.active) < _most_items(frame):
            frame.waiting = True
            instance.windows.of(queue_of(instance, frame.node)).waiting.append(frame)
    elif not frame.active:
        _end(instance, frame)


def _advance_sequence(instance: Instance, frame: Frame) -> None:
    if frame.active:
        return
    children = frame.node.inside.children
    pick = frame.pick
    last = _last_picked(frame)
    while frame.cursor <= last:
        child = children[frame.cursor]
        assert child is not None
        picked = pick.below(child.key)
        if not frame.entered:
            if frame.cancelled:
                break
            if picked is not None:
                frame.entered = True
                argument = frame.override if frame.override is not None else frame.argument
                if _enter(instance, frame, child, picked, argument):
                    return
        frame.entered = False
        if child.bound > frame.run.number:
            frame.override = None
        if not _accept(instance, frame, child, picked):
            break
        frame.cursor += 1
    _end(instance, frame)


def _last_picked(frame: Frame) -> int:
    inside, pick = frame.node.inside, frame.pick
    if pick.take is not None or pick.every is not None:
        return len(inside.children) - 1
    return max((inside.by_name[key].position for key in pick.children if isinstance(key, str)), default=-1)


def _accept(instance: Instance, frame: Frame, child: Node, picked: Pick | None) -> bool:
    """Takes over what a child of a sequence hands on; False if the sequence stops there."""
    status = child.status
    if status == OK:
        frame.argument = result_of(instance, child)
        left: tuple[Layer, ...] = leavings(instance, child)
        if left:
            frame.layers += left
    elif status != SKIPPED:
        if picked is not None and (status in (FAILED, CANCELLED) or picked.take is not None):
            return False
        frame.argument = NULL
    frame.threshold = after(frame.threshold, is_done(status), child.left)
    return True


def _end(instance: Instance, frame: Frame) -> None:
    """A group has been worked through, or cannot go on."""
    if frame.phase is Phase.ENDED:
        return
    frame.phase = Phase.ENDED
    node = frame.node
    inside = node.inside
    inside.frames -= 1
    if not inside.children and inside.own is None and not frame.cancelled:
        inside.joined = True
    instance.refresh(node)
    if (frame.ran or node.left == 0) and is_done(node.status):
        node.left = instance.next()
        instance.change(node).left = node.left
    above = frame.parent
    if above is None:
        instance.runs.pop(frame.run.number, None)
        instance.runs_changed = True
        return
    above.active.pop(node, None)
    if frame.ran:
        above.ran = True
        above.override = None if above.node.spec.sequential else above.override
    instance.agenda.append(above)
