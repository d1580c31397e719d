"""Getting to know the executors: all are asked to announce themselves, and for a moment that is waited for.

A gateway that has just come knows nobody. Until whoever is there has had time to say so, a workflow that is
not known may yet be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from taskpath.runtime.bus import Bus, BusClosed, BusLost
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.codec import Message
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import AnnounceYourself, ExecutorAnnounced, ExecutorBeat, WorkflowAnnouncement
from taskpath_services.gateway.directory import Directory
from taskpath_services.gateway.errors import UNREACHABLE
from taskpath_services.gateway.hearing import Hearing

HEAR_SECONDS: Final = 2.0
"""How long executors have to announce themselves when they were asked."""

PROBE_SECONDS: Final = 2.0
"""How long the broker has to answer when it is in doubt whether it does."""


class Acquaintance(Service):
    """Fills the directory, and finds workflows in it.

    Args:
        bus: where announcements are heard.
        clock: tells how long ago they were asked for.
        directory: of who is there.
    """

    def __init__(self, bus: Bus, clock: Clock, directory: Directory) -> None:
        super().__init__("gateway acquaintance")
        self._bus = bus
        self._clock = clock
        self._directory = directory
        self._hearing = Hearing(self.name, bus, clock, self._take, self._ask, topology.ANNOUNCEMENTS)
        self._asked_at = clock.now()
        self._waiting: set[asyncio.Future[None]] = set()
        self._met = False
        self._answered: asyncio.Future[bool] | None = None

    async def on_start(self) -> None:
        """Listens, then asks who is there."""
        await self._hearing.start()
        self.spawn(self._hearing.wait(), "hearing")
        self._ask()

    async def on_stop(self) -> None:
        """Listens no more."""
        await self._hearing.stop()

    @property
    def made(self) -> bool:
        """Whether somebody was heard, or would have been by now."""
        return self._met or self._patience() <= 0

    async def find(self, name: str) -> WorkflowAnnouncement:
        """The workflow of this name, if somebody serves it now, or says so in a moment.

        Raises:
            TaskpathError: UNKNOWN_WORKFLOW, if it was never announced; NO_EXECUTOR, if all who did are away;
                UNAVAILABLE, if nobody can be heard.
        """
        while True:
            try:
                return self._directory.find(name, self._clock.now())
            except TaskpathError as error:
                if await self._heard():
                    continue
                if error.code is ErrorCode.NO_EXECUTOR and not await self._reachable():
                    raise TaskpathError(ErrorCode.UNAVAILABLE, UNREACHABLE) from None
                raise

    async def make(self) -> None:
        """Returns when :attr:`made`."""
        while not self.made:
            await self._heard()

    async def _heard(self) -> bool:
        """Returns when there is something new; false if that is not waited for any more."""
        left = self._patience()
        if left <= 0:
            return False
        heard = asyncio.get_running_loop().create_future()
        self._waiting.add(heard)
        late = asyncio.ensure_future(self._clock.sleep(left))
        try:
            await asyncio.wait({heard, late}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(heard)
            late.cancel()
        return True

    async def _reachable(self) -> bool:
        """Whether the broker answers. If it does not, that nobody is heard says nothing."""
        if not self._bus.connected:
            return False
        answered = self._answered
        if answered is None or answered.done():
            answered = self._answered = asyncio.get_running_loop().create_future()
            self.spawn(self._probe(answered), "probe")
        await asyncio.wait({answered}, timeout=PROBE_SECONDS)
        return answered.done() and answered.result()

    async def _probe(self, answered: asyncio.Future[bool]) -> None:
        try:
            await self._bus.depth(topology.scheduler_mailbox(0))
        except (BusLost, BusClosed):
            answered.set_result(False)
        else:
            answered.set_result(True)

    def _patience(self) -> float:
        """For how many seconds from now an announcement is waited for."""
        return HEAR_SECONDS - (self._clock.now() - self._asked_at) / 1000

    def _ask(self, reason: str | None = None) -> None:
        self._asked_at = self._clock.now()
        # Not waited for: if it does not arrive, they announce themselves in their own time.
        self._bus.publish(AnnounceYourself(), topology.EXECUTORS)

    def _take(self, messages: Sequence[Message]) -> None:
        now = self._clock.now()
        for message in messages:
            if isinstance(message, ExecutorAnnounced):
                self._directory.hear(message, now)
                self._met = True
            elif isinstance(message, ExecutorBeat):
                self._directory.hear_beat(message, now)
        for heard in self._waiting:
            if not heard.done():
                heard.set_result(None)
