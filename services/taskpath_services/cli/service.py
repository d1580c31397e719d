"""`taskpath gateway | scheduler | storage | executor`: one service, on the broker that the settings name."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from taskpath.runtime.bus import Bus
from taskpath.runtime.buses import bus_of
from taskpath.runtime.clock import Clock, SystemClock
from taskpath.runtime.health import Health
from taskpath.runtime.service import Service
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_proto.errors import TaskpathError
from taskpath_services.cli.serving import (
    configure_logs,
    import_app,
    on_signals,
    run_loop,
    start_failure,
)
from taskpath_services.cli.session import DONE, NOT_CARRIED_OUT, NOT_DONE, complain
from taskpath_services.storage.faults import StoreUnavailable

log = structlog.get_logger("taskpath")

PORTS: Final = {"gateway": 8080, "scheduler": 8081, "storage": 8082, "executor": 8083}
HEARTBEATS: Final = {"scheduler": 5, "storage": 5}
"""Seconds; of those whose partitions wait for another owner until the broker notices that they are gone."""
AGAIN_SECONDS: Final = 1.0
"""How long to wait before a service is made again that found a server away when it started."""
STOP_SECONDS: Final = 5.0
"""What a stop may take on top of the grace period; then the process ends without it."""

Make = Callable[[Bus, Clock], Service]


def serve(role: str, reference: str | None, flags: Mapping[str, Any]) -> int:
    """Serves until a signal or a failure; returns the exit code.

    Args:
        role: which service.
        reference: ``app.py`` or ``module:name``; only an executor imports it.
        flags: settings as they were given, by name; None for those that were not.
    """
    try:
        settings = read_settings(role, flags, os.environ)
        bus = bus_of(settings, name=role, heartbeat=HEARTBEATS.get(role))
        alone = Alone(role, settings, bus, SystemClock(), _maker(role, reference, settings))
    except (SettingsError, TaskpathError) as error:
        complain(str(error))
        return NOT_CARRIED_OUT
    configure_logs(logging.INFO)
    return run_loop(alone.run())


def read_settings(role: str, flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """The settings of a service that runs in a process of its own.

    Args:
        role: which service; its port is 8080 to 8083 if none is given.
        flags: settings as they were given, by name; None for those that were not.
        environ: the environment.

    Raises:
        SettingsError: a value is wrong, or only works where everything is one process.
    """
    port = flags.get("port") or environ.get("TASKPATH_PORT") or PORTS[role]
    settings = Settings.read(environ, **{**flags, "port": port})
    if settings.broker.startswith("memory://"):
        raise SettingsError(
            f"TASKPATH_BROKER is {settings.broker!r}, which reaches only this process; expected is a URL "
            "that begins with amqp:// or amqps:// (`taskpath up` serves everything in one process)."
        )
    if role == "storage":
        _check_shared("TASKPATH_RECORDS", settings.records, "redis://, rediss:// or dynamodb://")
        _check_shared("TASKPATH_INDEX", settings.index, "mysql://")
    return settings


def _check_shared(name: str, url: str | None, expected: str) -> None:
    """Every storage process has the same stores, so a file of this machine is none."""
    if url is None or url.startswith("sqlite:"):
        shown = "not given" if url is None else repr(url)
        raise SettingsError(
            f"{name} is {shown}; expected is a URL that begins with {expected}, for every storage process "
            "uses the same (`taskpath up` uses files)."
        )


def _maker(role: str, reference: str | None, settings: Settings) -> Make:
    """What makes the service. A process imports its own service only, and needs only that one's libraries."""
    if role == "gateway":
        from taskpath_services.gateway.access import Access
        from taskpath_services.gateway.service import GatewayService

        Access(settings)
        return lambda bus, clock: GatewayService(bus, clock, settings)
    if role == "scheduler":
        from taskpath_services.scheduler.service import SchedulerService

        return lambda bus, clock: SchedulerService(bus, clock, settings)
    if role == "storage":
        from taskpath_services.storage.service import StorageService

        return lambda bus, clock: StorageService(bus, clock, settings)
    assert reference is not None
    app = import_app(reference)
    from taskpath_services.executor.service import ExecutorService

    return lambda bus, clock: ExecutorService(bus, clock, settings, app)


class Alone:
    """A service in a process of its own, with its bus and its health.

    It waits for servers that are away when it starts, and is not ready until they are there. The gateway
    answers for its health itself; until it has started it is answered for.

    Args:
        role: which service.
        settings: where health is served, and how long a stop may take.
        bus: how the service reaches the others.
        clock: the time.
        make: the service, not started.

    Raises:
        SettingsError: the service finds one wrong.
    """

    def __init__(self, role: str, settings: Settings, bus: Bus, clock: Clock, make: Make) -> None:
        self._role = role
        self._settings = settings
        self._bus = bus
        self._clock = clock
        self._make = make
        self._service = make(bus, clock)
        self._missing: str | None = "the broker is waited for"
        self._health = self._new_health()

    async def run(self) -> int:
        """Serves until a signal or a failure; returns the exit code."""
        stop = asyncio.Event()
        on_signals(stop, self._settings.grace)
        living = asyncio.create_task(self._live(), name=self._role)
        asked = asyncio.create_task(stop.wait())
        await asyncio.wait([living, asked], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        code = self._judge(living.exception()) if living.done() else DONE
        try:
            async with asyncio.timeout(self._settings.grace + STOP_SECONDS):
                await self._stop(living)
        except TimeoutError:
            log.error("the stop takes too long", service=self._role, grace=self._settings.grace)
            os._exit(NOT_DONE)
        log.info("stopped", service=self._role)
        return code

    async def _live(self) -> None:
        await self._health.start()
        await self._bus.start()
        while not await self._started():
            await self._clock.sleep(AGAIN_SECONDS)
            self._service = self._make(self._bus, self._clock)
        self._missing = None
        log.info("serves", service=self._role, host=self._settings.host, port=self._settings.port)
        await self._service.wait()

    async def _started(self) -> bool:
        """Starts the service; false if a server that it needs is away."""
        self._missing = "the service starts"
        if self._role == "gateway":
            await self._health.stop()  # the port is the gateway's now
        try:
            await self._service.start()
        except (ConnectionError, TimeoutError, StoreUnavailable) as error:
            self._missing = f"a server is away: {error}"
            log.warning("start failed, it is tried again", service=self._role, error=str(error))
        else:
            return True
        if self._role == "gateway":
            self._health = self._new_health()
            await self._health.start()
        return False

    async def _stop(self, living: asyncio.Task[None]) -> None:
        living.cancel()
        await asyncio.wait([living])
        await self._service.stop()
        await self._bus.stop()
        await self._health.stop()

    def _judge(self, error: BaseException | None) -> int:
        if isinstance(error, (SettingsError, TaskpathError)):
            complain(str(error))
            return NOT_CARRIED_OUT
        if isinstance(error, OSError) and self._missing is not None:
            complain(start_failure(error, self._settings))
            return NOT_CARRIED_OUT
        if error is not None:
            log.error("the service has failed", service=self._role, exc_info=error)
            return NOT_DONE
        return DONE

    def _new_health(self) -> Health:
        return Health(
            self._settings.host, self._settings.port, self._clock, lambda: self._unready(), self._metrics
        )

    def _unready(self) -> str | None:
        if self._missing is not None:
            return f"The service is not ready: {self._missing}."
        if not self._bus.connected:
            return "The broker is not connected."
        return None if self._service.ready else "The service has stopped."

    def _metrics(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "taskpath_broker_connected", "Whether the broker is connected", value=float(self._bus.connected)
        )
        yield from self._service.metrics()
