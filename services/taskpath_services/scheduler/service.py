"""The scheduler service: an owner for each partition."""

from __future__ import annotations

from taskpath.runtime.bus import Bus
from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath.runtime.settings import Settings
from taskpath_services.scheduler.owner import Owner


class SchedulerService(Service):
    """Owns instances: their trees, order, retries, timers and cancellation.

    Args:
        bus: the bus.
        clock: the time.
        settings: the number of partitions.
    """

    def __init__(self, bus: Bus, clock: Clock, settings: Settings) -> None:
        super().__init__("scheduler")
        self._caller = Caller(bus, clock, self.name)
        self._owners = [Owner(bus, clock, self._caller, number) for number in range(settings.partitions)]

    async def on_start(self) -> None:
        """Claims every partition."""
        await self._caller.start()
        for owner in self._owners:
            await owner.start()
            self.spawn(owner.wait(), owner.name)

    async def on_stop(self) -> None:
        """Gives every partition back."""
        for owner in self._owners:
            await owner.stop()
        await self._caller.stop()
