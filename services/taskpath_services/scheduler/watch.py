"""Watching: what a partition looks after while anything of it is out.

Executors that are silent for too long lose what they hold. A task whose queue nobody serves says so. What was
sent out, and is neither reported nor waiting in its queue, is sent again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from taskpath_services.scheduler import losses
from taskpath_services.scheduler.fleet import Fleet
from taskpath_services.scheduler.frames import Stage, Work
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Node
from taskpath_services.scheduler.orders import take_back

EVERY_MS: Final = 2_000
"""How often."""

PATIENCE_MS: Final = 2_000
"""How long the executors of a queue may take to be heard of."""


def lapse(fleet: Fleet, now: int) -> list[Instance]:
    """Sends again what silent executors held; gives the instances that it concerns."""
    return lose(fleet.silent(now), now)


def lose(works: Iterable[tuple[Instance, Work]], now: int) -> list[Instance]:
    """Sends works again whose executor is gone; gives the instances that it concerns."""
    concerned: dict[Instance, None] = {}
    for instance, work in works:
        instance.now = now
        losses.lost(instance, work)
        concerned[instance] = None
    return list(concerned)


def explain(fleet: Fleet, instances: Iterable[Instance], now: int) -> list[Instance]:
    """Says of tasks that are out why they are not further, and no more once that is over."""
    queues = {
        queue for instance in instances for queue, window in instance.windows.by_queue.items() if window.out
    }
    unserved = fleet.unserved(queues, now, PATIENCE_MS)
    concerned: list[Instance] = []
    for instance in instances:
        instance.now = now
        changed = False
        for queue, window in instance.windows.by_queue.items():
            reason = f"No executor serves the queue {queue}." if queue in unserved else None
            for work in window.out:
                if work.stage is Stage.SENT and _explain(instance, work.node, reason):
                    changed = True
        if changed:
            concerned.append(instance)
    return concerned


def _explain(instance: Instance, node: Node, reason: str | None) -> bool:
    notes = node.notes
    if (notes.reason if notes is not None else None) == reason:
        return False
    node.note().reason = instance.change(node).reason = reason
    return True


def overdue(fleet: Fleet, instances: Iterable[Instance], now: int) -> set[str]:
    """The queues of what was sent long ago and is not reported."""
    if fleet.lease is None:
        return set()
    limit = now - fleet.lease
    return {
        queue
        for instance in instances
        for queue, window in instance.windows.by_queue.items()
        if any(_is_overdue(work, limit) for work in window.out)
    }


def send_again(
    fleet: Fleet, instances: Iterable[Instance], empty: set[str], look: int, now: int
) -> list[Instance]:
    """Sends again what was overdue, when it was looked for, of queues in which nothing waited then; gives the
    instances that it concerns."""
    limit = look - (fleet.lease or 0)
    concerned: list[Instance] = []
    for instance in instances:
        for queue, window in instance.windows.by_queue.items():
            late = [work for work in window.out if _is_overdue(work, limit)] if queue in empty else []
            if not late:
                continue
            instance.now = now
            concerned.append(instance)
            for work in reversed(late):
                take_back(instance, work)
                losses.again(instance, work)
    return concerned


def unclaimed(fleet: Fleet, instances: Iterable[Instance], now: int) -> list[Instance]:
    """Sends again what an executor had, also under an earlier owner, and none says that it has; gives the
    instances that it concerns. As long as there is any, executors are asked."""
    if not fleet.ask or fleet.lease is None:
        return []
    begun = [
        (instance, work)
        for instance in instances
        for window in instance.windows.by_queue.values()
        for work in window.out
        if (work.stage is Stage.STARTED or work.step or work.doubted) and work.holder is None
    ]
    fleet.ask = bool(begun)
    return lose([(instance, work) for instance, work in begun if work.sent_at <= now - fleet.lease], now)


def doubt(fleet: Fleet, instances: Iterable[Instance], now: int) -> None:
    """What waits at executors for as long as a lease and has not begun: they are asked whether they have it.

    An executor that does not know of it would keep it for ever: no delivery stands for a step; and that an
    order waits may have been heard, although its delivery went back when a connection was lost, and was
    declined by whoever got it then.
    """
    if fleet.lease is None:
        return
    for instance in instances:
        for window in instance.windows.by_queue.values():
            for work in window.out:
                waits = work.stage is Stage.SENT and work.holder is not None
                if waits and work.sent_at <= now - fleet.lease:
                    work.doubted, work.sent_at = work.holder, now
                    fleet.free(work)
                    fleet.ask = True


def _is_overdue(work: Work, limit: int) -> bool:
    if work.step or work.doubted:
        return False  # it is in no queue
    return work.stage is Stage.SENT and work.holder is None and work.sent_at <= limit
