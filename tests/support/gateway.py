"""A gateway for tests: the real one, on a free port, with a small owner and storage behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.clock import ManualClock
from taskpath.runtime.settings import Settings
from taskpath_services.gateway.acquaintance import HEAR_SECONDS
from taskpath_services.gateway.service import GatewayService
from tests.support.small_system import SmallSystem, small_system


class Client:
    """A WebSocket client that takes packets one by one."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, type: str, **fields: Any) -> None:
        """Sends a packet."""
        await self.socket.send_json({"type": type, **fields})

    async def next(self) -> Any:
        """The next packet."""
        return msgspec.json.decode(await self.socket.receive_str(timeout=10))

    async def of(self, *types: str) -> list[Any]:
        """The next packets, which have these types."""
        packets = [await self.next() for _ in types]
        assert [packet["type"] for packet in packets] == list(types), packets
        return packets

    async def watch(self, id: str, **fields: Any) -> list[Any]:
        """Watches an instance; description, statuses and status."""
        await self.send("watchWorkflowInstance", id=id, requestId="w", **fields)
        return (await self.of("ack", "workflowDescription", "setTasksStatuses", "setWorkflowStatus"))[1:]

    async def silent(self) -> None:
        """Nothing has been sent before the answer to what is sent now."""
        await self.send("unwatchInstances", requestId="nothing else")
        assert await self.next() == {"type": "ack", "requestId": "nothing else"}


class Running:
    """A gateway that runs, and what is around it."""

    def __init__(
        self,
        gateway: GatewayService,
        bus: MemoryBus,
        system: SmallSystem,
        clock: ManualClock,
        http: aiohttp.ClientSession,
    ) -> None:
        self.gateway = gateway
        self.bus = bus
        self.system = system
        self.clock = clock
        self.http = http

    async def counted(self, name: str) -> float:
        """A counter of the gateway."""
        async with self.http.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        name = f"taskpath_gateway_{name}_total "
        return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))

    async def call(
        self,
        method: str,
        path: str,
        status: int = 200,
        headers: dict[str, str] | None = None,
        /,
        **body: Any,
    ) -> Any:
        """Makes a REST call and returns what it answers, which has this status."""
        json = body if method in ("POST", "PUT", "PATCH") else None
        async with self.http.request(method, f"/api/v1{path}", json=json, headers=headers) as response:
            text = await response.read()
            assert response.status == status, text
            return msgspec.json.decode(text) if text else None

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[Client]:
        """A WebSocket client that has been greeted."""
        async with self.http.ws_connect("/ws", **options) as socket:
            client = Client(socket)
            assert (await client.next())["type"] == "hello"
            yield client

    async def settle(self) -> None:
        """Everything that is under way in this process has been dealt with; time stands still."""
        for _ in range(50):
            await asyncio.sleep(0)  # noqa: TID251  (not for time: other tasks get their turns)

    async def pass_time(self, seconds: float) -> None:
        """Moves the clock, in steps small enough for whoever sleeps again."""
        while seconds > 0:
            await self.settle()
            self.clock.move(min(seconds, 0.05))
            seconds -= 0.05
        await self.settle()


@asynccontextmanager
async def running(**flags: Any) -> AsyncIterator[Running]:
    """Runs a gateway whose clock stands still."""
    clock = ManualClock()
    async with small_system(clock) as (bus, system):
        gateway = GatewayService(bus, clock, Settings.read({}, port=0, **flags))
        await gateway.start()
        clock.move(HEAR_SECONDS)
        system.announce()
        async with aiohttp.ClientSession(gateway.url) as http:
            yield Running(gateway, bus, system, clock, http)
        await gateway.stop()
