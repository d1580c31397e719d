"""Whatever is sent to a running system: an answer of the contract, never a fault of ours, a hang, a trace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import pytest
import yarl
from hypothesis import given, settings
from hypothesis import strategies as st

from taskpath.app import load
from taskpath_services.embedded import Embedded
from tests.support.system import settings_for

T = TypeVar("T")

APP = Path(__file__).parents[1] / "contract" / "app.py"
SECONDS = 20


class Doors:
    """A running system with an instance, and an event loop to knock at its doors from."""

    def __init__(self, runner: asyncio.Runner, system: Embedded) -> None:
        self._runner = runner
        self._system = system
        self._http: aiohttp.ClientSession | None = None
        self.id = ""

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine, for a bounded time."""
        return self._runner.run(asyncio.wait_for(work, SECONDS))

    async def open(self) -> None:
        await self._system.start()
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS))
        body = {"workflow": "tree", "data": [{"name": "a", "do": "echo"}, {"name": "b", "do": "echo"}]}
        status, text = await self.call("POST", "/instances", json.dumps(body).encode())
        assert status == 201
        self.id = json.loads(text)["id"]

    async def close(self) -> None:
        assert self._http is not None
        await self._http.close()
        await self._system.stop()

    async def call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Makes a call; the status and what it says."""
        assert self._http is not None
        url = yarl.URL(f"{self._system.url}/api/v1{path}", encoded=True)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        async with self._http.request(method, url, data=body, headers=headers) as response:
            return response.status, await response.read()

    async def answers(self, method: str, path: str, body: bytes | None = None) -> int:
        """Makes a call, whose answer has to be one of the contract."""
        status, text = await self.call(method, path, body)
        assert status < 500, (method, path, body, text)
        assert b"Traceback" not in text
        if status >= 400:
            error = json.loads(text)["error"]
            assert set(error) <= {"code", "message", "path", "details"}
            assert error["message"]
            assert len(error["message"]) < 2_500
        return status

    async def talk(self, frames: list[str | bytes]) -> list[Any]:
        """Sends frames over a WebSocket, which lives; everything that comes until all are answered."""
        assert self._http is not None
        async with self._http.ws_connect(f"{self._system.url}/ws") as socket:
            for frame in frames:
                if isinstance(frame, bytes):
                    await socket.send_bytes(frame)
                else:
                    await socket.send_str(frame)
            await socket.send_json({"type": "unwatchInstances", "requestId": "the last"})
            packets = []
            while True:
                packet = json.loads(await socket.receive_str())
                packets.append(packet)
                if packet.get("requestId") == "the last":
                    return packets


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    with asyncio.Runner() as runner:
        folder = tmp_path_factory.mktemp("fuzz")
        doors = Doors(runner, Embedded(load(str(APP)), settings_for(folder, grace=1)))
        doors.run(doors.open())
        yield doors
        doors.run(doors.close())


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["#", "#.a", "#.**", "#.a[0]", "all", "stale", "run", "ignore", "tree", "$set"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(["$push", "$set", "name", "do"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
FIELDS = {
    ("POST", "/instances"): [
        "workflow", "data", "realm", "name", "baseContext", "ephemeral", "execute", "argument",
    ],
    ("POST", "/instances/{id}/execute"): ["path", "mode", "upstream", "argument"],
    ("POST", "/instances/{id}/cancel"): ["path"],
    ("PATCH", "/instances/{id}"): ["data", "name"],
    ("PUT", "/instances/{id}/tasks/%23.a/contextUpdaters"): ["updaters"],
}  # fmt: skip
calls = st.sampled_from(list(FIELDS)).flatmap(
    lambda call: st.tuples(
        st.just(call), st.dictionaries(st.sampled_from([*FIELDS[call], "other"]), values, max_size=4)
    )
)
PACKETS = {
    "watchWorkflowInstance": ["id", "since", "paths", "logs", "logsSince"],
    "unwatchWorkflowInstance": ["id"],
    "watchInstances": ["realm", "status", "workflow", "name", "limit"],
    "unwatchInstances": [],
    "executeTask": ["id", "taskPath", "mode", "upstream", "argument", "idempotencyKey"],
    "executeAllTasks": ["id", "argument", "idempotencyKey"],
    "cancel": ["id", "taskPath", "idempotencyKey"],
    "setContextUpdaters": ["id", "taskPath", "updaters", "idempotencyKey"],
    "auth": ["token"],
    "other": [],
}
packets = st.sampled_from(list(PACKETS)).flatmap(
    lambda kind: st.tuples(
        st.just(kind),
        st.dictionaries(st.sampled_from([*PACKETS[kind], "requestId", "other"]), values, max_size=5),
        st.booleans(),
    )
)
paths = st.text(max_size=30) | st.lists(
    st.sampled_from(["#", ".a", ".b", "[0]", "[*]", ".*", ".**", ".", "[", "x"]), max_size=6
).map("".join)


def dumped(value: Any) -> bytes:
    """JSON as Python writes it, which has NaN and lone surrogates."""
    return json.dumps(value).encode()


@settings(max_examples=150)
@given(call=calls)
def test_any_fields(doors: Doors, call: tuple[tuple[str, str], dict[str, Any]]) -> None:
    (method, path), body = call
    doors.run(doors.answers(method, path.replace("{id}", doors.id), dumped(body)))


@settings(max_examples=80)
@given(call=st.sampled_from(list(FIELDS)), body=st.binary(max_size=60) | values.map(dumped))
def test_any_bytes(doors: Doors, call: tuple[str, str], body: bytes) -> None:
    method, path = call
    doors.run(doors.answers(method, path.replace("{id}", doors.id), body))


@settings(max_examples=120)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    steps=st.lists(
        st.sampled_from(["instances", "tasks", "logs", "result", "execute", "cancel", "realms", "workflows"])
        | paths.map(lambda text: quote(text.encode(errors="replace"), safe="")).filter(bool),
        max_size=5,
    ),
    query=st.dictionaries(
        st.sampled_from(["paths", "minRevision", "limit", "cursor", "after", "status", "realm", "other"]),
        st.text(max_size=10) | paths | st.integers(-1, 5).map(str),
        max_size=3,
    ),
)
def test_any_address(doors: Doors, method: str, steps: list[str], query: dict[str, str]) -> None:
    asked = "&".join(f"{name}={quote(value.encode(errors='replace'))}" for name, value in query.items())
    path = "".join(f"/{step}" for step in steps)
    doors.run(doors.answers(method, f"{path}?{asked}"))


@settings(max_examples=100)
@given(path=paths, what=st.sampled_from(["", "/logs", "/result"]))
def test_any_task(doors: Doors, path: str, what: str) -> None:
    encoded = quote(path.encode(errors="replace"), safe="")
    if encoded not in ("", ".", ".."):
        doors.run(doors.answers("GET", f"/instances/{doors.id}/tasks/{encoded}{what}"))
    doors.run(doors.answers("GET", f"/instances/{doors.id}?paths={encoded}"))


@settings(max_examples=100)
@given(
    frames=st.lists(
        packets | st.text(max_size=30) | st.binary(max_size=30) | values.map(json.dumps), max_size=6
    )
)
def test_any_packets(doors: Doors, frames: list[Any]) -> None:
    sent: list[str | bytes] = []
    for frame in frames:
        if isinstance(frame, tuple):
            kind, fields, right = frame
            fields = {"type": kind, **fields, **({"id": doors.id} if right and "id" in PACKETS[kind] else {})}
            sent.append(json.dumps(fields))
        else:
            sent.append(frame.encode(errors="replace").decode() if isinstance(frame, str) else frame)
    for packet in doors.run(doors.talk(sent)):
        if packet["type"] == "appError":
            assert packet["error"]["code"] not in ("UNAVAILABLE",), (sent, packet)
            assert "Traceback" not in packet["error"]["message"]


def test_it_is_well_after_all_this(doors: Doors) -> None:
    body = {"workflow": "tree", "data": [{"name": "a", "do": "echo"}], "execute": True}
    assert doors.run(doors.answers("POST", "/instances", dumped(body))) == 201
    assert doors.run(doors.answers("GET", "/instances?limit=200")) == 200
