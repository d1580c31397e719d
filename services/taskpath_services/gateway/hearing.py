"""Hearing events on a subscription that comes back when the bus was lost.

Whoever hears keeps its keys, and is told once they are bound again: what happened meanwhile it has missed, so
that is when it reads anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from taskpath.runtime.bus import Bus, BusClosed, BusLost, Subscription
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto.codec import Message
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_services.gateway.errors import UNREACHABLE

log = structlog.get_logger("taskpath.gateway")

_AGAIN_SECONDS: Final = 1.0
"""How long to wait before a subscription is opened again that the broker refused."""


class Hearing(Service):
    """Passes events on.

    Args:
        name: who hears.
        bus: where events come from.
        clock: for waiting before it tries again.
        take: takes events, in their order; some it has not asked for.
        missed: is told why events were missed; what comes afterwards is complete again.
        keys: the routing keys that are bound from the beginning.
    """

    def __init__(
        self,
        name: str,
        bus: Bus,
        clock: Clock,
        take: Callable[[Sequence[Message]], None],
        missed: Callable[[str], None],
        *keys: str,
    ) -> None:
        super().__init__(f"{name} hears")
        self._bus = bus
        self._clock = clock
        self._take = take
        self._missed = missed
        self._keys = set(keys)
        self._events: Subscription | None = None

    async def on_start(self) -> None:
        """Subscribes."""
        self.spawn(self._listen(await self._open()), "listen")

    async def on_stop(self) -> None:
        """Ends the subscription."""
        if self._events is not None:
            await self._events.close()

    async def bind(self, key: str) -> None:
        """Hears events with this key from now on.

        Raises:
            TaskpathError: UNAVAILABLE: the bus is away, or stopping. The key is not bound.
        """
        try:
            if self._events is None:
                raise BusLost("there is no subscription")
            await self._events.bind(key)
        except BusLost:
            raise TaskpathError(ErrorCode.UNAVAILABLE, UNREACHABLE) from None
        except BusClosed:
            raise TaskpathError(ErrorCode.UNAVAILABLE, "The system is stopping; try again.") from None
        self._keys.add(key)

    async def unbind(self, key: str) -> None:
        """Hears them no more; while the bus is away it is enough not to bind them again."""
        self._keys.discard(key)
        if self._events is not None:
            try:
                await self._events.unbind(key)
            except (BusClosed, BusLost):
                return

    async def _open(self) -> Subscription:
        while True:
            keys = set(self._keys)
            try:
                events = await self._bus.subscribe(*sorted(keys))
                for key in keys - self._keys:
                    await events.unbind(key)
            except BusLost as error:
                log.warning("cannot subscribe", service=self.name, reason=str(error))
                await self._clock.sleep(_AGAIN_SECONDS)
                continue
            self._events = events
            return events

    async def _listen(self, events: Subscription) -> None:
        try:
            while True:
                try:
                    messages = await events.take()
                except BusLost:
                    self._events = None
                    await events.close()
                    events = await self._open()
                    self._missed("the connection to the broker was lost")
                    continue
                if events.lost():
                    self._missed("events were lost on their way to the gateway")
                self._take(messages)
        except BusClosed:
            return
