"""Orders: how a work goes out to an executor, within its window."""

from __future__ import annotations

from typing import Final

from taskpath_proto.records import AttemptRecord, AttemptStatus, RetryState
from taskpath_proto.values import KEEP_BYTES, Inline, Item, Value
from taskpath_proto.work import Order, OrderKind
from taskpath_services.scheduler import segments
from taskpath_services.scheduler.effects import PendingOrder, Timer, TimerKind
from taskpath_services.scheduler.frames import Reserved, Stage, Work
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Node
from taskpath_services.scheduler.statuses import CANCELLED, FAILED, INACTIVE, OK, QUEUED, RUNNING
from taskpath_services.scheduler.windows import size

MOST_ATTEMPTS: Final = 20
"""How many earlier attempts a record keeps."""

TIMEOUT_GRACE_MS: Final = 1000
"""How long after a task's timeout the executor's own report of it is waited for."""

_ENDINGS: Final = {OK: AttemptStatus.OK, FAILED: AttemptStatus.FAILED, CANCELLED: AttemptStatus.CANCELLED}


def own_status(node: Node) -> int:
    """The status of a task's own function."""
    if node.group is None:
        return node.status
    return node.inside.own or 0


def status_of(work: Work) -> int:
    """How far the task is with what the work is about."""
    if work.kind is OrderKind.JOIN:
        return work.node.inside.joining or INACTIVE
    return own_status(work.node)


def mark(instance: Instance, node: Node, status: int) -> None:
    """Changes the status of a task's own function."""
    if status == QUEUED:
        if node.attempt:
            archive(instance, node)
        if node.notes is not None:
            node.notes.error = instance.change(node).error = None
    if node.group is None:
        instance.set_status(node, status)
    else:
        instance.set_own(node, status)


def take_number(instance: Instance, node: Node) -> None:
    """Numbers the attempt that is to come."""
    node.attempt += 1
    instance.change(node).attempt = node.attempt


def archive(instance: Instance, node: Node) -> None:
    """Files the last attempt of a task under its earlier ones, before the next begins."""
    ending = _ENDINGS.get(own_status(node))
    notes = node.note()
    if ending is None or (notes.attempts and notes.attempts[-1].attempt == node.attempt):
        return
    file_attempt(instance, node, ending)


def file_attempt(instance: Instance, node: Node, ending: AttemptStatus) -> None:
    """Files the last attempt under the earlier ones, and clears what the record says of it."""
    notes = node.note()
    record = AttemptRecord(
        attempt=node.attempt,
        status=ending,
        execution_time=node.execution_time,
        duration=node.duration,
        executor=node.executor,
        error=notes.error if ending is not AttemptStatus.CANCELLED else None,
    )
    notes.attempts = (*notes.attempts, record)[-MOST_ATTEMPTS:]
    notes.error = None
    notes.progress = None
    node.execution_time = node.duration = node.executor = None
    change = instance.change(node)
    change.attempts = notes.attempts
    change.progress = change.execution_time = change.duration = change.executor = None


def open_window(instance: Instance, work: Work) -> bool:
    """Whether the window of a work's queue has room."""
    queue = instance.queue_of(work.node)
    return instance.windows.of(queue).has_room(size(instance.fleet, queue))


def offer(instance: Instance, work: Work, *, first: bool = False) -> None:
    """Puts a work into its window's queue, at the front if it was there before."""
    waiting = instance.windows.of(instance.queue_of(work.node)).waiting
    if first:
        waiting.appendleft(work)
    else:
        waiting.append(work)


def send(instance: Instance, work: Work) -> None:
    """Lets a work out to its queue."""
    node = work.node
    command = (instance.epoch, instance.next())
    _goes_out(instance, work, command)
    is_task = work.kind is OrderKind.TASK
    items, place = (
        (work.argument.of, work.argument.index) if isinstance(work.argument, Item) else (None, None)
    )
    instance.effects.orders.append(
        PendingOrder(
            instance.queue_of(node),
            work.layers,
            items,
            Order(
                node.path,
                command[1],
                node.attempt if is_task else 0,
                work.argument if place is None else place,
                work.kind,
                work.condition,
                node.updaters if is_task else None,
                work.suspect,
                segments.reserve(instance, work) if is_task else (),
            ),
        )
    )


def go_on(instance: Instance, work: Work, reserved: Reserved) -> None:
    """An executor goes on to a work by itself: it is out without having been sent."""
    _goes_out(instance, work, reserved.command)
    segments.gone_on(instance, work, reserved)
    instance.fleet.hold(instance, work, reserved.executor)


def _goes_out(instance: Instance, work: Work, command: tuple[int, int]) -> None:
    node = work.node
    work.command = command
    work.stage = Stage.SENT
    work.sent_at = instance.now
    work.doubted = None
    if work.kind is not OrderKind.JOIN:
        node.command = instance.change(node).command = command
    if work.kind is OrderKind.TASK:
        change = instance.change(node)
        work.tries += 1
        argument = recorded(work.argument)
        if argument is not None or node.attempt > 1:
            change.argument = argument
        notes = node.notes
        if notes is not None and notes.retry is not None and notes.retry.next_at is not None:
            change.error = notes.error = None
            change.retry = notes.retry = RetryState(try_=notes.retry.try_, attempts=notes.retry.attempts)
    queue = instance.queue_of(node)
    instance.windows.of(queue).add(work, size(instance.fleet, queue))


def take_back(instance: Instance, work: Work) -> None:
    """A work is out no more: it has ended, or is to go out again."""
    instance.windows.of(instance.queue_of(work.node)).out.pop(work, None)
    if work.holder is not None:
        instance.fleet.free(work)
    goes_on(instance, work.node)


def goes_on(instance: Instance, node: Node) -> None:
    """Whatever kept a task from going on is over."""
    if node.notes is not None and node.notes.reason is not None:
        node.notes.reason = instance.change(node).reason = None


def recorded(argument: Value) -> Value | None:
    """What a record keeps of an argument: a small text or a reference. An item's follows from its foreach."""
    if isinstance(argument, Item) or (isinstance(argument, Inline) and len(argument.json) > KEEP_BYTES):
        return None
    return argument


def is_out(instance: Instance, node: Node) -> bool:
    """Whether what an earlier owner sent for a task is still on its way, as far as the records tell."""
    if not instance.fleet.leases or node.command is None:
        return False
    retry = node.notes.retry if node.notes is not None else None
    sent = node.command[1] > node.bound or segments.is_step(node)
    return sent and (retry is None or retry.next_at is None)


def resume(instance: Instance, work: Work) -> None:
    """Takes up a work that was out, or waited for its retry, when the last owner went away."""
    node = work.node
    notes = node.notes
    retry = notes.retry if notes is not None else None
    if retry is not None:
        work.tries = retry.try_ - 1
        work.condition = False
    if retry is not None and retry.next_at is not None:
        work.stage = Stage.RETRYING
        instance.effects.timers.append(
            Timer(retry.next_at, instance.id, TimerKind.RETRY, node.path, node.attempt)
        )
    elif is_out(instance, node):
        _stays_out(instance, work)
    else:
        offer(instance, work)


def _stays_out(instance: Instance, work: Work) -> None:
    """A report of what an earlier owner sent still counts."""
    node = work.node
    work.command = node.command
    work.sent_at = instance.now
    work.stage = Stage.SENT
    # What waits at an executor, or runs there, that has to say: only then it is leased again.
    instance.fleet.ask = True
    work.tries += work.kind is OrderKind.TASK
    segments.resume(work)
    queue = instance.queue_of(node)
    instance.windows.of(queue).add(work, size(instance.fleet, queue))
    if own_status(node) == RUNNING and node.executor is not None:
        work.stage = Stage.STARTED
        watch_timeout(instance, work)


def watch_timeout(instance: Instance, work: Work) -> None:
    """Sees to it that an attempt ends even if its executor does not report its timeout."""
    node = work.node
    if node.spec.timeout is None or work.kind is not OrderKind.TASK or work.command is None:
        return
    due = (node.execution_time or instance.now) + round(node.spec.timeout * 1000) + TIMEOUT_GRACE_MS
    instance.effects.timers.append(Timer(due, instance.id, TimerKind.TIMEOUT, node.path, work.command[1]))
