"""The fleet: the executors that are heard of, which queues they serve, and which works they hold.

A work that an executor has reported as started, or as waiting with it, is leased to it. Its heartbeat renews
all its leases at once; when it is silent for too long, or says that it is gone, its works are lost.

Where scheduler and executor live and die in one process nothing is leased.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from taskpath_proto.events import ExecutorAnnounced

if TYPE_CHECKING:
    from taskpath_services.scheduler.frames import Work
    from taskpath_services.scheduler.instance import Instance

FORGOTTEN_MS = 30_000
"""An executor that is silent for so long serves nothing any more."""


class Executor:
    """One executor.

    Attributes:
        heard: when it was heard of last, ms since epoch.
        queues: those that it serves.
        concurrency: how many works it runs at once.
        works: those that it holds, and whose they are.
    """

    __slots__ = ("concurrency", "heard", "queues", "works")

    def __init__(self, heard: int) -> None:
        self.heard = heard
        self.queues: frozenset[str] = frozenset()
        self.concurrency = 0
        self.works: dict[Work, Instance] = {}


class Fleet:
    """All executors, as one partition knows them.

    Args:
        lease: after how many ms of silence an executor's works are lost; None if they never are.

    Attributes:
        ask: executors are to say what they hold: the records tell of works that somebody had begun.
    """

    def __init__(self, lease: int | None = None) -> None:
        self.lease = lease
        self._executors: dict[str, Executor] = {}
        self._capacity: dict[str, int] = {}
        self._since: int | None = None
        self.ask = False

    @property
    def leases(self) -> bool:
        """Whether executors may be lost while the scheduler lives on."""
        return self.lease is not None

    def announced(self, message: ExecutorAnnounced, now: int) -> bool:
        """An executor has said what it serves; whether that is new."""
        executor = self._known(message.executor, now)
        before = executor.queues, executor.concurrency
        executor.queues = frozenset() if message.leaving else frozenset(message.queues)
        executor.concurrency = message.concurrency
        self._capacity.clear()
        return (executor.queues, executor.concurrency) != before

    def capacity(self, queue: str) -> int:
        """How many works of a queue its executors run at once, as far as they are heard of."""
        capacity = self._capacity.get(queue)
        if capacity is None:
            capacity = self._capacity[queue] = sum(
                executor.concurrency for executor in self._executors.values() if queue in executor.queues
            )
        return capacity

    def beat(self, id: str, now: int) -> None:
        """An executor lives."""
        self._known(id, now)

    def gone(self, id: str) -> list[tuple[Instance, Work]]:
        """An executor has ended: gives what it held."""
        executor = self._executors.pop(id, None)
        self._capacity.clear()
        return self._freed(executor) if executor is not None else []

    def silent(self, now: int) -> list[tuple[Instance, Work]]:
        """Forgets the executors that are silent for too long: gives what they held."""
        limit = self.lease if self.lease is not None else FORGOTTEN_MS
        lost: list[tuple[Instance, Work]] = []
        for id, executor in list(self._executors.items()):
            if executor.heard <= now - limit:
                del self._executors[id]
                self._capacity.clear()
                lost.extend(self._freed(executor))
        return lost

    def hold(self, instance: Instance, work: Work, id: str) -> None:
        """An executor has reported that it has a work."""
        if self.lease is None:
            return
        work.doubted = None
        if work.holder != id:
            self.free(work)
            work.holder = id
            executor = self._executors.get(id)
            if executor is None:
                # Until it is heard of it has as long as any other.
                executor = self._executors[id] = Executor(instance.now)
            executor.works[work] = instance

    def free(self, work: Work) -> None:
        """Nobody holds a work any more."""
        if work.holder is not None:
            executor = self._executors.get(work.holder)
            if executor is not None:
                executor.works.pop(work, None)
            work.holder = None

    def unserved(self, queues: Iterable[str], now: int, patience: int) -> set[str]:
        """Those of some queues that nobody serves, once there was time enough to hear of who does."""
        if self._since is None:
            self._since = now
        if now < self._since + patience:
            return set()
        served = frozenset[str]().union(*(executor.queues for executor in self._executors.values()))
        return {queue for queue in queues if queue not in served}

    def _known(self, id: str, now: int) -> Executor:
        executor = self._executors.get(id)
        if executor is None:
            executor = self._executors[id] = Executor(now)
        executor.heard = now
        return executor

    def _freed(self, executor: Executor) -> list[tuple[Instance, Work]]:
        works = [(instance, work) for work, instance in executor.works.items()]
        for _, work in works:
            work.holder = None
        return works
