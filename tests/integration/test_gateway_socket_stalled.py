"""Who reads nothing from the WebSocket of a real gateway."""

from __future__ import annotations

import asyncio
import socket as sockets
from typing import Any

import msgspec

from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.records import (
    TaskChange,
    TaskStatus,
)
from tests.support.gateway import Running

OK, QUEUED, RUNNING, FAILED = TaskStatus.OK, TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.FAILED


async def test_a_reader_that_stalls_is_encoded_nothing_for_and_delays_nobody(gateway: Running) -> None:
    gateway.system.create("i")
    message = "x" * 30_000
    async with gateway.client() as reader:
        await reader.watch("i")
        stalled = await _stalled_watcher(gateway, "i")
        sessions = list(gateway.gateway._sockets._open)
        assert len(sessions) == 2
        encoded, alone = await gateway.counted("frames_encoded"), await gateway.counted("frames_alone")
        packets = 0
        for number in range(400):
            gateway.system.change(
                "i",
                TaskChange(
                    path="#.list",
                    status=FAILED,
                    duration=number,
                    error=ErrorInfo(ErrorCode.EXECUTION_FAILED, message),
                ),
            )
            gateway.system.write("i", "#.list", message)
            await gateway.pass_time(0.1)
            while (packet := await reader.next())["type"] != "setTasksStatuses":
                packets += packet["type"] != "heartbeat"
            assert packet["statuses"]["#.list"]["duration"] == number
            packets += 1
        assert max(session.outbox._size for session in sessions) < 600 * 1024
        assert await gateway.counted("frames_encoded") - encoded == packets, "once for both of them"
        assert await gateway.counted("frames_alone") == alone, "nothing is made before it can be sent"
        last = await _drain(stalled, "duration", 399)
        assert last["statuses"]["#.list"]["duration"] == 399
        stalled.close()


async def _stalled_watcher(gateway: Running, id: str) -> sockets.socket:
    """A client that asks for an instance and its logs and then reads nothing."""
    loop = asyncio.get_running_loop()
    host, port = gateway.gateway.url.removeprefix("http://").split(":")
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await loop.sock_connect(raw, (host, int(port)))
    await loop.sock_sendall(
        raw,
        f"GET /ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode(),
    )
    text = msgspec.json.encode(
        {"type": "watchWorkflowInstance", "id": id, "logs": True, "requestId": "stalled"}
    )
    await loop.sock_sendall(raw, bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    seen = b""
    while b"setWorkflowStatus" not in seen:
        seen += await loop.sock_recv(raw, 4096)
    return raw


async def _drain(raw: sockets.socket, field: str, value: int) -> Any:
    """Reads frames until one says this; that it came after log lines were dropped is checked on the way."""
    loop = asyncio.get_running_loop()
    buffer = b""
    dropped = 0

    async def read(count: int) -> bytes:
        nonlocal buffer
        while len(buffer) < count:
            async with asyncio.timeout(10):
                buffer += await loop.sock_recv(raw, 1 << 20)
        part, buffer = buffer[:count], buffer[count:]
        return part

    while True:
        head = await read(2)
        length = head[1]
        if length == 126:
            length = int.from_bytes(await read(2), "big")
        elif length == 127:
            length = int.from_bytes(await read(8), "big")
        payload = await read(length)
        if head[0] & 0x0F != 1:
            continue
        packet = msgspec.json.decode(payload)
        dropped += packet.get("dropped", 0)
        if packet["type"] == "setTasksStatuses" and packet["statuses"].get("#.list", {}).get(field) == value:
            assert dropped > 100
            return packet
