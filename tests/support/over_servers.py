"""The four services over the real servers, in the process of the test, each with a bus of its own.

They know nothing of each other but what goes over the broker, and a test can reach into them, as it can into
the embedded system. Services as processes of their own are in cluster.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import aiohttp

from taskpath import App
from taskpath.runtime.bus import Bus
from taskpath.runtime.buses import bus_of
from taskpath.runtime.clock import SystemClock
from taskpath.runtime.service import Service
from taskpath.runtime.settings import Settings
from taskpath_services.executor.service import ExecutorService
from taskpath_services.gateway.service import GatewayService
from taskpath_services.scheduler.service import SchedulerService
from taskpath_services.storage.service import StorageService
from taskpath_services.storage.stores import index_of, records_of

S = TypeVar("S", bound=Service)


@asynccontextmanager
async def over_servers(app: App, **flags: Any) -> AsyncIterator[str]:
    """Runs one of each service.

    Args:
        app: the workflows.
        **flags: settings, by name; broker, records and index among them.

    Yields:
        The address of the gateway.
    """
    settings = Settings.read({}, port=0, **flags)
    clock = SystemClock()
    await records_of(settings).migrate()
    await index_of(settings).migrate()
    async with AsyncExitStack() as stack:

        async def begin(name: str, make: Callable[[Bus], S]) -> S:
            bus = bus_of(settings, name=name)
            stack.push_async_callback(bus.stop)
            await bus.start()
            service = make(bus)
            stack.push_async_callback(service.stop)
            await service.start()
            return service

        await begin("storage", lambda bus: StorageService(bus, clock, settings))
        await begin("scheduler", lambda bus: SchedulerService(bus, clock, settings))
        gateway = await begin("gateway", lambda bus: GatewayService(bus, clock, settings))
        await begin("executor", lambda bus: ExecutorService(bus, clock, settings, app))
        await until_heard(gateway.url)
        yield gateway.url


async def until_heard(url: str) -> None:
    """Returns when the gateway has heard of the executor."""
    async with asyncio.timeout(10), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/api/v1/executors") as response:
                if (await response.json())["items"]:
                    return
