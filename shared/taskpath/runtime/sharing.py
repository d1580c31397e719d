"""Sharing: how replicas of a service divide the partitions among them.

A broker gives every mailbox to whoever came first, so the first replica would have them all. Replicas say
once a second what they own; one that owns more than its part hands the surplus over, and whoever waits at
those mailboxes gets them.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from taskpath.runtime.bus import Bus, BusClosed, BusLost, Subscription
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.events import ReplicaAnnounced

log = structlog.get_logger("taskpath")

EVERY: Final = 1.0
"""Seconds between two announcements."""

LAPSE_MS: Final = 5_000
"""A replica that is silent for so long is gone."""


def new_id() -> str:
    """An id for a replica, which tells an operator where it is."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:6]}"


class Peers:
    """The other replicas.

    Args:
        me: the id of this one.
    """

    def __init__(self, me: str) -> None:
        self._me = me
        self._heard: dict[str, int] = {}
        self._owned: dict[str, int] = {}

    def hear(self, message: ReplicaAnnounced, now: int) -> bool:
        """A replica has said something; whether there is one more now, or one less."""
        if message.replica == self._me:
            return False
        if message.leaving:
            self._owned.pop(message.replica, None)
            return self._heard.pop(message.replica, None) is not None
        new = message.replica not in self._heard
        self._heard[message.replica] = now
        self._owned[message.replica] = len(message.owned)
        return new

    def lapse(self, now: int) -> bool:
        """Forgets replicas that are silent; whether any was."""
        silent = [replica for replica, heard in self._heard.items() if heard <= now - LAPSE_MS]
        for replica in silent:
            del self._heard[replica], self._owned[replica]
        return bool(silent)

    @property
    def count(self) -> int:
        """How many replicas there are, with this one."""
        return len(self._heard) + 1

    def wanting(self, partitions: int) -> int:
        """How many partitions the others lack of their parts. One that has ended and has not lapsed yet lacks
        none: what it had would only come back.

        Args:
            partitions: how many there are.
        """
        part = _part(partitions, self.count)
        return sum(max(0, part - owned) for owned in self._owned.values())


def surplus(owned: Iterable[int], partitions: int, replicas: int, wanting: int) -> list[int]:
    """The partitions that a replica hands over: what it owns beyond its part, rounded up, if others lack it.

    Args:
        owned: what it owns.
        partitions: how many there are.
        replicas: likewise.
        wanting: how many partitions the others lack.
    """
    return sorted(owned)[_part(partitions, replicas) :][:wanting]


def _part(partitions: int, replicas: int) -> int:
    return -(-partitions // max(1, replicas))


class Sharing(Service):
    """One replica's share of the partitions.

    Args:
        service: of whose replicas this is one.
        replica: its id.
        bus: the bus.
        clock: the time.
        partitions: how many there are.
        owned: which of them it owns now.
        hand_over: gives one of them up, in order, and waits for it again.
        probe: wakes whoever has become the owner of what another replica had, maybe this one.
    """

    def __init__(
        self,
        service: str,
        replica: str,
        bus: Bus,
        clock: Clock,
        partitions: int,
        owned: Callable[[], tuple[int, ...]],
        hand_over: Callable[[int], None],
        probe: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(f"{service} sharing")
        self._service = service
        self._replica = replica
        self._bus = bus
        self._clock = clock
        self._partitions = partitions
        self._owned = owned
        self._hand_over = hand_over
        self._probe = probe
        self._peers = Peers(replica)

    def metrics(self) -> Iterable[Metric]:
        """How much of the whole this replica has."""
        prefix = f"taskpath_{self._service}"
        return [
            GaugeMetricFamily(f"{prefix}_partitions", "Partitions that it owns", value=len(self._owned())),
            GaugeMetricFamily(f"{prefix}_replicas", "Replicas that it knows, itself too", self._peers.count),
        ]

    async def on_start(self) -> None:
        """Begins to hear the others, and to share with them."""
        heard = await self._bus.subscribe(topology.REPLICAS)
        self.spawn(self._listen(heard), "others")
        self.spawn(self._share(), "share")

    async def on_stop(self) -> None:
        """Says that it leaves. By then it owns nothing any more: the others look at once for what it had."""
        try:
            await self._announce(leaving=True)
        except BusClosed:
            log.debug("nobody was told of the end: the bus is closed", service=self._service)

    async def _listen(self, heard: Subscription | None) -> None:
        """Hears the others, also after the connection was lost."""
        try:
            while True:
                try:
                    if heard is None:
                        heard = await self._bus.subscribe(topology.REPLICAS)
                    for message in await heard.take():
                        if isinstance(message, ReplicaAnnounced) and message.service == self._service:
                            await self._hear(message)
                except BusLost:
                    heard = None
                    await self._clock.sleep(EVERY)
        except BusClosed:
            return

    async def _hear(self, message: ReplicaAnnounced) -> None:
        if self._peers.hear(message, self._clock.now()) and message.leaving:
            await self._look()

    async def _share(self) -> None:
        """Says once a second what is owned, and hands over what is too much."""
        try:
            while True:
                await self._announce()
                if self._peers.lapse(self._clock.now()):
                    await self._look()
                replicas, wanting = self._peers.count, self._peers.wanting(self._partitions)
                for number in surplus(self._owned(), self._partitions, replicas, wanting):
                    log.info(
                        "partition handed over", service=self._service, partition=number, replicas=replicas
                    )
                    self._hand_over(number)
                await self._clock.sleep(EVERY)
        except BusClosed:
            return

    async def _look(self) -> None:
        try:
            await self._probe()
        except BusLost:
            log.debug("nobody was probed: the bus is away", service=self._service)

    async def _announce(self, *, leaving: bool = False) -> None:
        owned = () if leaving else self._owned()
        message = ReplicaAnnounced(self._service, self._replica, owned, leaving=leaving)
        try:
            await self._bus.publish(message, topology.REPLICAS)
        except BusLost:
            log.debug("nothing was announced: the bus is away", service=self._service)
