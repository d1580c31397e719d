"""A running system, seen from outside: REST, WebSocket and the Python client.

Every answer over REST is held against the description that the system gives of itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yarl

from taskpath.client import Client
from tests.contract.description import Description
from tests.support.events import Event, events

API = "/api/v1"
STATE = ("workflowDescription", "setTasksStatuses", "setWorkflowStatus")


class Socket:
    """A WebSocket that takes packets one by one."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, type: str, **fields: Any) -> None:
        """Sends a packet."""
        await self.socket.send_str(msgspec.json.encode({"type": type, **fields}).decode())

    async def next(self) -> Any:
        """The next packet."""
        return msgspec.json.decode(await self.socket.receive_str(timeout=20))

    async def until(self, type: str, **fields: Any) -> Any:
        """The next packet of a type that has these fields; what comes before it is passed over."""
        while True:
            packet = await self.next()
            if packet["type"] == type and all(packet.get(name) == value for name, value in fields.items()):
                return packet

    async def ask(self, type: str, **fields: Any) -> Any:
        """Sends a packet with a request id, and returns what answers it: ack or appError."""
        await self.send(type, requestId="ask", **fields)
        while (packet := await self.next()).get("requestId") != "ask":
            pass
        return packet

    async def watch(self, id: str, **fields: Any) -> list[Any]:
        """Watches an instance; returns description, statuses and status, the only packets that come."""
        answer = await self.ask("watchWorkflowInstance", id=id, **fields)
        assert answer["type"] == "ack", answer
        packets = [await self.next() for _ in STATE]
        assert tuple(packet["type"] for packet in packets) == STATE
        return packets

    async def until_at_rest(self, id: str) -> list[Any]:
        """The packets of an instance until it does not work any more."""
        packets = []
        while True:
            packet = await self.next()
            if packet.get("id") == id:
                packets.append(packet)
                status = packet.get("status")
                if packet["type"] == "setWorkflowStatus" and status != "working" and not packet.get("more"):
                    return packets

    async def statuses(self, path: str, status: str) -> Any:
        """The state of a task, as soon as it has this status."""
        while True:
            packet = await self.until("setTasksStatuses")
            state = packet["statuses"].get(path)
            if state is not None and state["status"] == status:
                return state


def merged(packets: list[Any]) -> dict[str, Any]:
    """The states that packets lead to."""
    states: dict[str, Any] = {}
    for packet in packets:
        states |= packet.get("statuses", {})
    return states


class World:
    """A running system and the ways into it.

    Attributes:
        url: of its gateway.
        client: of it.
        http: a session with it.
        folder: where tests and tasks leave each other signs.
    """

    def __init__(self, url: str, client: Client, http: aiohttp.ClientSession, folder: Path) -> None:
        self.url = url
        self.client = client
        self.http = http
        self.folder = folder
        self._description: Description | None = None

    async def describe(self) -> Description:
        """The system's description of its own API."""
        if self._description is None:
            async with self.http.get(f"{API}/openapi.json") as response:
                assert response.status == 200
                self._description = Description.of(await response.read())
        return self._description

    async def call(
        self,
        method: str,
        path: str,
        status: int = 200,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Any:
        """Makes a call and returns what it answers, which has this status and is as it is described.

        Args:
            method: of HTTP.
            path: under ``/api/v1``, percent-encoded, with the query; another one that begins with ``//`` is
                taken from the root.
            status: what is expected.
            body: sent as JSON, if it is not None.
            headers: further headers.
            raw: sent as it is, in place of a body.
        """
        address = path[1:] if path.startswith("//") else API + path
        data = msgspec.json.encode(body) if body is not None else raw
        sent = {"Content-Type": "application/json", **(headers or {})} if data is not None else headers
        url = yarl.URL(self.url + address, encoded=True)
        async with self.http.request(method, url, data=data, headers=sent) as response:
            text = await response.read()
            assert response.status == status, text
            (await self.describe()).check(method, address.partition("?")[0], response, text)
            return msgspec.json.decode(text) if text else None

    async def refused(self, method: str, path: str, status: int, code: str, body: Any = None) -> Any:
        """Makes a call that is refused; returns the error, which has this code and one sentence."""
        error = (await self.call(method, path, status, body))["error"]
        assert error["code"] == code, error
        assert "Traceback" not in error["message"]
        return error

    async def create(self, tasks: Sequence[Any], **fields: Any) -> Any:
        """Creates an instance of the workflow ``tree`` with these tasks."""
        return await self.call("POST", "/instances", 201, {"workflow": "tree", "data": tasks, **fields})

    async def run(self, tasks: Sequence[Any], **fields: Any) -> Any:
        """Creates an instance, executes it and waits for its end; the instance as it is then."""
        created = await self.create(tasks, execute=True, **fields)
        return await self.ended(created["id"])

    async def execute(self, id: str, path: str = "#", **fields: Any) -> Any:
        """Executes, waits for the end, and returns the instance as it is then."""
        await self.start(id, path, **fields)
        return await self.ended(id)

    async def start(self, id: str, path: str = "#", **fields: Any) -> int:
        """Executes; the revision."""
        answer = await self.call("POST", f"/instances/{id}/execute", 202, {"path": path, **fields})
        self.client._note(id, answer["revision"])
        revision: int = answer["revision"]
        return revision

    async def ended(self, id: str) -> Any:
        """The instance, when it has come to rest."""
        done = await self.client.wait(id, timeout=30)
        return await self.call("GET", f"/instances/{id}?minRevision={done.revision}")

    async def learnt(self, id: str, path: str) -> Any:
        """The state of a task, when it is known how long it usually takes: a moment after it took so long."""
        async with asyncio.timeout(30):
            while True:
                state = (await self.call("GET", f"/instances/{id}"))["statuses"][path]
                if "expectedDuration" in state:
                    return state

    async def task(self, id: str, path: str) -> Any:
        """The record of a task."""
        return await self.call("GET", task_url(id, path))

    def hold(self, name: str, **more: Any) -> dict[str, Any]:
        """The description of a task that waits until the test says go."""
        return {"name": name, "do": "hold", "folder": str(self.folder), **more}

    async def held(self, socket: Socket, path: str) -> None:
        """Waits until a task holds; the socket watches its instance."""
        await socket.statuses(path, "running")

    def go(self) -> None:
        """Lets every task go that holds, and those that come."""
        (self.folder / "go").touch()

    @asynccontextmanager
    async def socket(self, **options: Any) -> AsyncIterator[Socket]:
        """A WebSocket that has been greeted."""
        async with self.http.ws_connect("/ws", max_msg_size=1024 * 1024 + 1, **options) as socket:
            opened = Socket(socket)
            assert (await opened.next())["type"] == "hello"
            yield opened

    @asynccontextmanager
    async def events(
        self, id: str, query: str = "", last: int | None = None
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """The server-sent events of an instance."""
        headers = {} if last is None else {"Last-Event-ID": str(last)}
        async with self.http.get(f"{API}/instances/{id}/events{query}", headers=headers) as response:
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            yield events(response)


def task_url(id: str, path: str, below: str = "") -> str:
    """The address of a task."""
    encoded = "".join(
        char if char.isalnum() and char.isascii() else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in path
    )
    return f"/instances/{id}/tasks/{encoded}{below}"
