"""Changes: what a batch has changed of an instance, as one event; and its effects, as messages."""

from __future__ import annotations

from typing import Final

from taskpath_proto import topology
from taskpath_proto.commands import Accepted
from taskpath_proto.events import InstanceChanged, InstanceDeleted
from taskpath_proto.records import InstanceChange, InstanceProgress, InstanceStatus, Rollup
from taskpath_proto.work import CancelAttempts, Order, RunTasks
from taskpath_services.scheduler import handlers
from taskpath_services.scheduler.effects import Effects, Outcome, PendingOrder
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Kind, Node
from taskpath_services.scheduler.snapshot import snapshot
from taskpath_services.scheduler.statuses import CANCELLED, FAILED, INACTIVE, OK, QUEUED, RUNNING, SKIPPED

PARCEL: Final = 32
"""How many orders one message carries at the most."""


def conclude(instance: Instance, outcome: Outcome) -> None:
    """Ends a batch for an instance: its events, and its effects, go into the outcome."""
    if not instance.deleted:
        _note_change(instance, outcome)
        instance.deleted = instance.deleting and not instance.runs and not instance.handlers
        if instance.snapshot_wanted and not instance.deleted:
            instance.snapshot_wanted = False
            outcome.events.extend(snapshot(instance))
    if instance.deleted:
        instance.revision += 1
        outcome.events.append(_deleted(instance))
    effects = instance.effects
    for call, created, revision in effects.answers:
        shown = instance.revision if revision is None else revision
        outcome.answers.append((call, Accepted(instance.id, shown, created)))
    for call, error in effects.errors:
        outcome.answers.append((call, error))
    if effects.cancelled:
        _forget_unsent(instance, effects)
    if effects.orders:
        _orders(instance, effects, outcome)
    outcome.commands.extend(effects.handlers)
    for epoch in sorted({epoch for epoch, _ in effects.cancelled}):
        numbers = tuple(number for of, number in effects.cancelled if of == epoch)
        outcome.cancellations.append(CancelAttempts(instance.id, epoch, numbers))
    outcome.timers.extend(effects.timers)
    instance.effects = Effects()


def _forget_unsent(instance: Instance, effects: Effects) -> None:
    """What a batch wants run and cancelled is neither."""
    cancelled, kept = set(effects.cancelled), []
    for pending in effects.orders:
        command = pending.order.command
        if (instance.epoch, command) in cancelled:
            numbers = range(command, command + 1 + len(pending.order.then))
            cancelled.difference_update((instance.epoch, number) for number in numbers)
        else:
            kept.append(pending)
    effects.orders = kept
    effects.cancelled = [command for command in effects.cancelled if command in cancelled]


def _note_change(instance: Instance, outcome: Outcome) -> None:
    if _has_changed(instance):
        base = instance.revision
        instance.revision += 1
        outcome.events.append(_event(instance, base))


def _has_changed(instance: Instance) -> bool:
    """Whether there is anything to be stored: that a call was carried out is not, if it changed nothing."""
    return bool(
        instance.touched
        or instance.removed
        or instance.runs_changed
        or instance.changed
        or instance.handlers_changed
        or instance.commands_changed
    )


def _deleted(instance: Instance) -> InstanceDeleted:
    identity = instance.identity
    ended = identity.ephemeral and instance.status.ended
    return InstanceDeleted(
        id=instance.id,
        partition=identity.partition,
        epoch=instance.epoch,
        revision=instance.revision,
        realm=identity.realm,
        status=instance.status if ended else None,
    )


def _event(instance: Instance, base: int) -> InstanceChanged:
    for node, change in instance.touched.items():
        if node.group is not None:
            inside = node.inside
            rollup = inside.rollup
            change.rollup = Rollup(sum(rollup), *rollup)
            if node.kind is Kind.FOREACH:
                change.bounds = tuple(
                    sorted((bound, count) for bound, count in inside.bounds.items() if count)
                )
    noted = instance.noted
    noted.updated_at = instance.now
    if instance.runs_changed:
        noted.runs = tuple(run.record for run in instance.runs.values())
    status = _status(instance)
    if status is not instance.status:
        instance.status = noted.status = status
        finished_at = instance.now if status.ended else None
        if instance.finished_at != finished_at:
            instance.finished_at = noted.finished_at = finished_at
        if status.ended and not instance.deleting:
            handlers.ended(instance, status)
    if instance.identity.ephemeral and status.ended and not instance.handlers and not instance.deleting:
        # Said at once, so that a new owner knows, too, that it has to go.
        instance.deleting = True
        handlers.deleting(instance)
    if instance.handlers_changed:
        noted.handlers = tuple(instance.handlers.values())
    if instance.commands_changed:
        noted.commands = tuple(instance.commands.values())
    if instance.calls_changed:
        noted.calls = tuple(instance.calls)
    if instance.deleting:
        noted.deleting = True
    if instance.runs_changed:
        noted.started_at = instance.started_at
    progress = _progress(instance.tree.root, status)
    if progress != instance.progress:
        instance.progress = noted.progress = progress
    noted.counter = instance.counter
    event = InstanceChanged(
        id=instance.id,
        partition=instance.identity.partition,
        epoch=instance.epoch,
        revision=instance.revision,
        base_revision=base,
        tasks=list(instance.touched.values()),
        removed=instance.removed,
        instance=noted,
    )
    instance.touched = {}
    instance.removed = []
    instance.noted = InstanceChange()
    instance.runs_changed = instance.changed = False
    instance.handlers_changed = instance.commands_changed = instance.calls_changed = False
    return event


def _status(instance: Instance) -> InstanceStatus:
    if instance.runs:
        return InstanceStatus.WORKING
    inside = instance.tree.root.inside
    counts = inside.counts
    if counts[FAILED]:
        return InstanceStatus.FAILED
    if counts[CANCELLED]:
        return InstanceStatus.CANCELLED
    if counts[INACTIVE] or counts[QUEUED] or counts[RUNNING]:
        return InstanceStatus.INACTIVE
    return InstanceStatus.DONE if inside.children or inside.joined else InstanceStatus.INACTIVE


def _progress(root: Node, status: InstanceStatus) -> InstanceProgress:
    rollup = root.inside.rollup
    total, done = sum(rollup), rollup[OK] + rollup[SKIPPED]
    if status is InstanceStatus.DONE:
        fraction = 1.0
    else:
        fraction = round(_fraction(root), 4)
    return InstanceProgress(
        total=total, done=done, failed=rollup[FAILED], running=rollup[RUNNING], fraction=fraction
    )


def _fraction(root: Node) -> float:
    """Each task of the root list counts the same, so that a bar does not jump back when a foreach has read
    its list."""
    children = root.inside.children
    if not children:
        return 0.0
    if len(children) > 100:
        return _unfinished(root)
    parts = 0.0
    for child in children:
        if child is None:
            continue
        if child.status == OK or child.status == SKIPPED:
            parts += 1
        elif child.group is not None:
            parts += _unfinished(child)
    return parts / len(children)


def _unfinished(node: Node) -> float:
    """How far a group is that is not done, even if all tasks below it are: its own function may run again."""
    rollup = node.inside.rollup
    return min(0.99, (rollup[OK] + rollup[SKIPPED]) / max(1, sum(rollup)))


def _orders(instance: Instance, effects: Effects, outcome: Outcome) -> None:
    """Orders share a message that go to the same queue, see the same context and are of the same list."""
    most = max(1, min(PARCEL, len(effects.orders) // 4))
    together: dict[tuple[str, int, int], tuple[PendingOrder, list[Order]]] = {}
    for pending in effects.orders:
        key = (pending.queue, id(pending.layers), id(pending.items))
        first, orders = together.setdefault(key, (pending, []))
        orders.append(pending.order)
        if len(orders) >= most:
            _send(instance, first, orders, outcome)
            del together[key]
    for first, orders in together.values():
        _send(instance, first, orders, outcome)


def _send(instance: Instance, first: PendingOrder, orders: list[Order], outcome: Outcome) -> None:
    identity = instance.identity
    message = RunTasks(
        id=identity.id,
        partition=identity.partition,
        epoch=instance.epoch,
        revision=instance.revision,
        realm=identity.realm,
        workflow=identity.workflow,
        plan_version=identity.plan_version,
        data=identity.data,
        base_context=identity.base_context,
        layers=first.layers,
        orders=tuple(orders),
        items=first.items,
    )
    outcome.commands.append((topology.executor_mailbox(first.queue), message))
