"""Opening: what a gateway makes sure of before it lets anybody in."""

from __future__ import annotations

import asyncio
from typing import Final

from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import Clock
from taskpath.runtime.partitions import agree
from taskpath.runtime.service import Service
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_services.gateway.acquaintance import Acquaintance

WAIT_SECONDS: Final = 10.0
"""How long who comes early waits at the door."""


class Opening(Service):
    """Asks storage how many partitions there are. Until it has said so, every command might go astray.

    If it says another number than the settings do, this fails with a SettingsError.

    Args:
        caller: asks.
        clock: the time.
        partitions: how many there are by the settings.
        acquaintance: with the executors.
    """

    def __init__(self, caller: Caller, clock: Clock, partitions: int, acquaintance: Acquaintance) -> None:
        super().__init__("gateway opening")
        self._caller = caller
        self._clock = clock
        self._partitions = partitions
        self._acquaintance = acquaintance
        self._agreed = asyncio.Event()

    async def on_start(self) -> None:
        """Begins to ask."""
        self.spawn(self._agree(), "partitions")

    @property
    def open(self) -> bool:
        """Whether calls can be served."""
        return self._agreed.is_set() and self._acquaintance.made

    async def enter(self) -> None:
        """Lets a caller in, who waits if need be.

        Raises:
            TaskpathError: UNAVAILABLE.
        """
        if self._agreed.is_set():
            return
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._agreed.wait()
        except TimeoutError:
            raise TaskpathError(
                ErrorCode.UNAVAILABLE, "The gateway has just started and waits for storage; try again."
            ) from None

    async def _agree(self) -> None:
        await agree(self._caller, self._clock, self._partitions)
        self._agreed.set()
