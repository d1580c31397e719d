"""Entering: a run reaches a task, and begins with it if it is to be run.

What has run since the run was accepted (its ``bound`` is greater than the run's number) is passed over: so a
run is taken up again after a crash.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import Final

from taskpath.staleness import NEVER, after
from taskpath_proto.paths import is_under
from taskpath_proto.records import Upstream
from taskpath_proto.values import NULL, Value
from taskpath_proto.work import OrderKind
from taskpath_services.scheduler import joining, segments
from taskpath_services.scheduler.ending import end, judge, touch
from taskpath_services.scheduler.frames import Frame, Phase, Work
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Kind, Node, leaves_of
from taskpath_services.scheduler.orders import (
    go_on,
    is_out,
    mark,
    offer,
    open_window,
    resume,
    send,
    take_number,
)
from taskpath_services.scheduler.outdating import bound_now
from taskpath_services.scheduler.results import (
    has_left,
    inner_layers,
    item_of,
    leavings,
    own_result,
    result_of,
)
from taskpath_services.scheduler.selection import Pick, has_item, takes
from taskpath_services.scheduler.skipping import skip_below
from taskpath_services.scheduler.statuses import (
    OK,
    QUEUED,
    RUNNING,
    SKIPPED,
    is_active,
    is_done,
    is_finished,
)

MOST_BOUNDS: Final = 64
"""How many executions of one foreach are told apart when its stale items are counted."""


def enter(instance: Instance, frame: Frame, node: Node, pick: Pick, argument: Value) -> bool:
    """Reaches a task; True if it is under way now, False if it stays as it is."""
    if node.group is not None:
        return _enter_group(instance, frame, node, pick, argument)
    if passes(frame, node, pick):
        return False
    again = node.bound > frame.run.number and is_active(node.status)
    item = frame.node.kind is Kind.FOREACH
    condition = node.spec.condition and not item
    work = Work(node, frame, OrderKind.TASK, argument, frame.layers, condition)
    _start(instance, work, frame, again, frame.bound or bound_now(instance, frame))
    return True


def passes(frame: Frame, node: Node, pick: Pick) -> bool:
    """Whether a plain task is left as it is."""
    if node.bound > frame.run.number:
        if not is_finished(node.status):
            return False
        frame.touched = True
    elif pick.take is not None and takes(pick.take, node.status, node.bound, frame.threshold, frame.held):
        return False
    frame.broken = frame.broken or not is_done(node.status)
    return True


def _start(instance: Instance, work: Work, frame: Frame, again: bool, bound: int) -> None:
    node = work.node
    node.work = work
    frame.active[node] = work
    frame.ran = frame.touched = True
    if again:
        if not is_out(instance, node):
            instance.bind(node, bound)
        resume(instance, work)
        return
    reserved = segments.claimed(instance, frame, node)
    mark(instance, node, QUEUED)
    instance.bind(node, bound if reserved is None else segments.bound(instance, reserved, bound))
    if work.kind is OrderKind.TASK:
        take_number(instance, node)
    if reserved is not None:
        go_on(instance, work, reserved)
        return
    segments.forget(instance, node)
    if frame.node.kind is Kind.FOREACH and frame.node is not node and open_window(instance, work):
        send(instance, work)
    else:
        offer(instance, work)


def _enter_group(instance: Instance, above: Frame, node: Node, pick: Pick, argument: Value) -> bool:
    run = above.run
    frame = Frame(
        run, node, above, pick, argument, above.layers, above.threshold, above.override, held=above.held
    )
    above.active[node] = frame
    frame.judged = node in run.judged
    joining.forget(instance, node)
    node.inside.frames.append(frame)
    own = node.inside.own
    if own is None:
        open_up(instance, frame)
    elif node.bound > run.number:
        frame.touched = True
        if not is_active(own):
            own_ended(instance, frame)
        elif node.work is None:
            _start_own(instance, frame, again=True)
        else:
            end(instance, frame)
    elif run.reached is not None and node in run.reached:
        open_up(instance, frame)  # its own function was passed over, whatever another run has changed since
    elif _own_is_due(frame, own):
        _start_own(instance, frame, again=False)
    elif own == OK or (pick.take is None and own != SKIPPED):
        open_up(instance, frame)
    else:
        end(instance, frame)
    return True


def _own_is_due(frame: Frame, own: int) -> bool:
    node, pick = frame.node, frame.pick
    if pick.own is not None and takes(pick.own, own, node.bound, frame.threshold, frame.held):
        return True
    if pick.items is None or own != OK or not node.bound <= frame.threshold < NEVER:
        return False
    # On the way to some of its items a foreach reads an old list again, if nobody needs it as it is.
    counts = node.inside.counts
    if len(node.inside.frames) > 1 or counts[QUEUED] or counts[RUNNING]:
        return False
    return frame.run.record.upstream is Upstream.RUN or has_item(node, pick.items)


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
        argument = frame.override
    above = frame.parent
    bound = above.bound if above is not None and above.bound else bound_now(instance, above)
    condition = node.spec.condition and not instance.is_foreach_item(node)
    work = Work(node, frame, kind, argument, frame.layers, condition)
    _start(instance, work, frame, again, bound)


def own_ended(instance: Instance, frame: Frame) -> None:
    node = frame.node
    own = node.inside.own
    if own == OK and not frame.cancelled:
        frame.held = True
        if node.spec.run or node.kind is Kind.FOREACH:
            frame.override = None
        open_up(instance, frame)
        return
    if own == SKIPPED:
        skip_below(instance, node)
    else:
        frame.broken = True
    end(instance, frame)


def open_up(instance: Instance, frame: Frame) -> None:
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
        frame.bound = bound_now(instance, frame)
        frame.cancelled = frame.cancelled or node.path in frame.run.record.cancelled
        count = len(inside.children)
        frame.keys = frame.pick.items.indices(count) if frame.pick.items is not None else range(count)
        note_execution(instance, node, frame.bound)
        if frame.run.reached is not None:
            note_earlier(node)
            _take_up(instance, frame)
    elif not node.spec.sequential:
        frame.bound = bound_now(instance, frame)
        given = frame.override if frame.override is not None else frame.argument
        for child in inside.children:
            pick = frame.pick.below(child.key) if child is not None else None
            if child is not None and pick is not None:
                enter(instance, frame, child, pick, given)
        frame.cursor = len(inside.children)
    elif frame.run.reached is not None:
        _go_on_after(instance, frame, frame.run.reached, frame.run.judged)
    instance.agenda.append(frame)


def _take_up(instance: Instance, frame: Frame) -> None:
    """Takes up the items that were under way: a cancel has to find them, whether or not the window has
    room."""
    for index, item in enumerate(frame.node.inside.children):
        pick = frame.pick.below(index) if item is not None and is_active(item.status) else None
        if item is not None and pick is not None:
            given = frame.override if frame.override is not None else item_of(frame.node, index)
            enter(instance, frame, item, pick, given)
    while frame.cursor < len(frame.keys):
        item = frame.node.inside.children[frame.keys[frame.cursor]]
        pick = frame.pick.below(frame.keys[frame.cursor])
        if pick is not None and not (item is not None and _is_over(frame, item, pick)):
            break
        frame.cursor += 1


def _is_over(frame: Frame, item: Node, pick: Pick) -> bool:
    """Whether nothing is left to be done for an item, as far as can be told without entering it."""
    if item in frame.active:
        return True
    if item.group is None:
        return passes(frame, item, pick)
    run = frame.run
    if item.left <= run.number or any(is_under(path, item.path) for path in run.record.cancelled):
        return False
    frame.touched = frame.touched or run.reached is None or item in run.reached
    frame.judged = frame.judged or item in run.judged
    return True


def _go_on_after(instance: Instance, frame: Frame, reached: set[Node], judged: set[Node]) -> None:
    """Takes over what a sequence has been through: all before the last child that had begun is over."""
    children = [child for child in frame.node.inside.children if child is not None]
    begun = max((child.position for child in children if child in reached or child in judged), default=0)
    for child in children[:begun]:
        if child in reached:
            touch(frame, child)
        if child in judged:
            judge(frame)
        accept(instance, frame, child)
    frame.cursor = begun


def accept(instance: Instance, frame: Frame, child: Node) -> None:
    """Takes over what a child of a sequence hands on."""
    if has_left(child):
        frame.argument = result_of(instance, child)
        left = leavings(instance, child)
        if left:
            frame.layers += left
    elif child.status != SKIPPED:
        frame.argument = NULL
    frame.threshold = after(frame.threshold, is_done(child.status), child.left)


def note_earlier(foreach: Node) -> None:
    """Tells apart again which executions of a foreach an earlier owner had begun; what had finished of them
    is all that the records say."""
    leaves = list(leaves_of(foreach))
    active = {leaf.bound for leaf in leaves if is_active(leaf.status)}
    finished = [leaf.bound for leaf in leaves if is_finished(leaf.status)]
    if not active:
        return
    bounds = foreach.inside.bounds
    known = sorted({0, *bounds, *sorted(active)[:MOST_BOUNDS]})
    counts = Counter(known[bisect_right(known, bound) - 1] for bound in finished)
    foreach.inside.bounds = {bound: counts[bound] for bound in known if bound or counts[bound]}


def note_execution(instance: Instance, foreach: Node, bound: int) -> None:
    bounds = foreach.inside.bounds
    if len(foreach.inside.frames) == 1:
        for number in [number for number, count in bounds.items() if count == 0]:
            del bounds[number]
    while len(bounds) >= MOST_BOUNDS:
        first, second = sorted(bounds)[:2]
        bounds[first] += bounds.pop(second)
        instance.change(foreach)
    bounds[bound] = 0
