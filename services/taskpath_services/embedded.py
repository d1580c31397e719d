"""The embedded system: the four services in one process, on a bus in memory, with SQLite in a folder.

The folder's lock is the fence: one process at a time has it. What was accepted is on disk before it is
answered, so the system survives ``kill -9``: what was done does not run again, what was under way starts
again.
"""

from __future__ import annotations

import fcntl
import os
from types import TracebackType
from typing import IO

from taskpath.app import App
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.clock import Clock, SystemClock
from taskpath.runtime.service import Service
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_services.executor.service import ExecutorService
from taskpath_services.gateway.service import GatewayService
from taskpath_services.scheduler.service import SchedulerService
from taskpath_services.storage.service import StorageService


class Embedded(Service):
    """Everything in one process.

    Args:
        app: the workflows.
        settings: where the data is, and where the gateway listens.
        clock: the time; the machine's if not given.

    Raises:
        SettingsError: when started, if another process has the data folder, or a setting is wrong.
    """

    def __init__(self, app: App, settings: Settings | None = None, clock: Clock | None = None) -> None:
        super().__init__("embedded")
        self.settings = settings if settings is not None else Settings.read()
        self._lock_file: IO[str] | None = None
        clock = clock if clock is not None else SystemClock()
        bus = MemoryBus()
        self._bus = bus
        self._storage = StorageService(bus, clock, self.settings)
        self._executor = ExecutorService(bus, clock, self.settings, app)
        self._scheduler = SchedulerService(bus, clock, self.settings)
        self._gateway = GatewayService(bus, clock, self.settings)

    @property
    def url(self) -> str:
        """The address of the gateway."""
        return self._gateway.url

    async def on_start(self) -> None:
        """Locks the data folder and starts the services: those first whose answers the others need."""
        self._lock_folder()
        await self._bus.start()
        for service in (self._storage, self._gateway, self._executor, self._scheduler):
            await service.start()
            self.spawn(service.wait(), service.name)

    async def on_stop(self) -> None:
        """Stops taking calls, lets executors finish, then closes what keeps the state."""
        for service in (self._gateway, self._executor, self._scheduler, self._storage):
            await service.stop()
        await self._bus.stop()
        self._unlock_folder()

    async def __aenter__(self) -> Embedded:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _lock_folder(self) -> None:
        folder = self.settings.data
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise SettingsError(
                f"TASKPATH_DATA is {str(folder)!r}, which another server (process {holder}) uses; "
                "expected is a folder of its own."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock_file = file

    def _unlock_folder(self) -> None:
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None
