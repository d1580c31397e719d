"""Starting over: an actor that lost the bus is replaced by a new one, which knows nothing.

An actor does not try again on a new connection: what it had taken is with somebody else by now, and what it
knew may be old. It ends with :class:`BusLost`, and its successor claims, reads and takes anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import structlog

from taskpath.runtime.bus import BusClosed, BusLost
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service

S = TypeVar("S", bound=Service)

log = structlog.get_logger("taskpath")

FIRST_DELAY: Final = 0.1
LAST_DELAY: Final = 5.0
"""Seconds before an actor is replaced that was lost soon after it had begun: doubled from the first to the
last. One that had worked for longer than the last is replaced at once."""


class Revived(Service, Generic[S]):
    """Runs an actor, and a new one each time the bus is lost. Whatever else ends the actor ends this, too.

    Args:
        name: of what the actors are, one after the other.
        make: makes an actor that has not started. Stopping one that lost the bus must not wait for the
            broker.
        clock: for the delays.
    """

    def __init__(self, name: str, make: Callable[[], S], clock: Clock) -> None:
        super().__init__(name)
        self._make = make
        self._clock = clock
        self._keeping: asyncio.Task[None] | None = None
        self._delay = 0.0
        self.actor: S | None = None
        """The actor that works now; None while there is none."""

    async def on_start(self) -> None:
        """Starts the first actor; returns when one works."""
        began = self._clock.now()
        actor = await self._revive()
        self._keeping = self.spawn(self._keep(actor, began), "keep")

    async def on_stop(self) -> None:
        """Stops the actor."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        if self.actor is not None:
            await self.actor.stop()

    async def _keep(self, actor: S, began: int) -> None:
        while True:
            try:
                await actor.wait()
                return
            except BusLost as error:
                log.warning("starting over", actor=self.name, reason=str(error))
            await self._discard(actor)
            if self._clock.now() - began > LAST_DELAY * 1000:
                self._delay = 0.0
            began = self._clock.now()
            try:
                actor = await self._revive()
            except BusClosed:
                return

    async def _revive(self) -> S:
        """A new actor that works."""
        while True:
            if self._delay:
                await self._clock.sleep(self._delay)
            self._delay = min(max(FIRST_DELAY, self._delay * 2), LAST_DELAY)
            actor = self.actor = self._make()
            try:
                await actor.start()
                return actor
            except BusLost as error:
                log.warning("starting over", actor=self.name, reason=str(error))
                await self._discard(actor)

    async def _discard(self, actor: S) -> None:
        self.actor = None
        await actor.stop()
