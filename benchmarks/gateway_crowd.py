"""A thousand watchers of one instance, and one among them who does not read.

    python -m benchmarks.gateway_crowd [watchers]

The watchers are real WebSockets in a process of their own. Each change carries the time at which it was
published, so that every watcher can tell how old it is when it arrives (by the machine's monotonic clock).
The one who does not read also wants log lines, which come all the time: what waits for it has to stay
bounded, and nobody else may be later because of it. Over real servers: gateway_servers.py.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import aiohttp
import uvloop

from benchmarks.gateway_push import PLAN, event, gateway
from benchmarks.measure import percentile, table
from taskpath_proto import topology
from taskpath_proto.events import LogLine, LogsWritten
from taskpath_proto.records import InstanceStatus, TaskChange, TaskStatus
from taskpath_services.gateway.service import GatewayService

WATCHERS: Final = 1_000
CHANGES: Final = 60
PAUSE: Final = 0.1
WAVE: Final = 100
LINES: Final = 20
_TIME: Final = re.compile(r'"executionTime":(\d+)')


def now() -> int:
    """Microseconds of the machine's monotonic clock."""
    return time.monotonic_ns() // 1000


async def watch(url: str, watchers: int) -> None:
    """The other process: watches, and prints how old each change was, in ms."""
    raise_limit()
    ages: list[float] = []

    async def one(http: aiohttp.ClientSession, ready: asyncio.Semaphore) -> None:
        async with http.ws_connect("/ws") as opened:
            await opened.send_str('{"type":"watchWorkflowInstance","id":"i"}')
            for _ in range(5):
                await opened.receive()
            ready.release()
            async for message in opened:
                if (found := _TIME.search(message.data)) is not None:
                    ages.append((now() - int(found[1])) / 1000)
                if '"status":"done"' in message.data:
                    return

    await in_waves(url, watchers, one)
    print(json.dumps({"ages": [round(age, 3) for age in ages]}), flush=True)


async def in_waves(
    url: str, watchers: int, one: Callable[[aiohttp.ClientSession, asyncio.Semaphore], Awaitable[None]]
) -> None:
    """Has so many watch to the end; prints how long it took until all did, in seconds.

    Args:
        url: of the gateway.
        watchers: how many.
        one: watches, and releases the semaphore when it does.
    """
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as http:
        ready = asyncio.Semaphore(0)
        began = time.perf_counter()
        tasks = []
        for start in range(0, watchers, WAVE):
            count = min(WAVE, watchers - start)
            tasks += [asyncio.ensure_future(one(http, ready)) for _ in range(count)]
            for _ in range(count):
                await ready.acquire()
        print(json.dumps({"opened": time.perf_counter() - began}), flush=True)
        await asyncio.gather(*tasks)


async def crowd(watchers: int, *, stalled: bool) -> list[str]:
    """One run; the row of the table."""
    async with gateway() as (bus, url, service):
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.gateway_crowd",
            "--watch",
            url,
            str(watchers),
            stdout=asyncio.subprocess.PIPE,
            limit=64 * 1024 * 1024,
        )
        assert child.stdout is not None
        opened = json.loads(await child.stdout.readline())["opened"]
        reader = await stall(url, "i", "") if stalled else None
        before, worked, began = _resident(), time.process_time(), time.perf_counter()
        most = 0
        for number in range(CHANGES):
            last = number == CHANGES - 1
            change = TaskChange(path="#.map", status=TaskStatus.RUNNING, execution_time=now())
            status = InstanceStatus.DONE if last else InstanceStatus.WORKING
            bus.publish(event(number + 2, [change], status), topology.instance_key("i"))
            first = number * LINES + 1
            lines = [LogLine(0, "info", "x" * 8_000, 1, n) for n in range(first, first + LINES)]
            bus.publish(LogsWritten("i", 0, "#.map", lines), topology.instance_key("i"))
            await asyncio.sleep(PAUSE)
            most = max(most, _waiting(service))
        share = (time.process_time() - worked) / (time.perf_counter() - began) * 1000
        ages = json.loads(await child.stdout.readline())["ages"]
        grown = _resident() - before
        await child.wait()
        if reader is not None:
            reader.close()
    assert len(ages) == watchers * CHANGES, len(ages)
    return [
        "yes" if stalled else "no",
        f"{opened:.2f}",
        f"{percentile(ages, 0.5):.1f}",
        f"{percentile(ages, 0.99):.1f}",
        f"{max(ages):.1f}",
        f"{share:.0f}",
        f"{most / 1024:,.0f}",
        f"{grown / 1024 / 1024:.1f}",
    ]


async def stall(url: str, instance: str, paths: str) -> socket.socket:
    """A client that watches an instance, or what a pattern names of it, wants log lines, and never reads."""
    host, port = url.removeprefix("http://").split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((host, int(port)))
    raw.sendall(
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    asked = {"type": "watchWorkflowInstance", "id": instance, "logs": True}
    payload = json.dumps(asked | ({"paths": [paths]} if paths else {})).encode()
    raw.sendall(bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
    await asyncio.sleep(0.2)
    return raw


def _waiting(service: GatewayService) -> int:
    """The most bytes that wait for any one client."""
    return max((session.outbox._size for session in service._sockets._open), default=0)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def raise_limit() -> None:
    """Lets this process open as many files as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def main(watchers: int) -> None:
    """Measures and prints."""
    raise_limit()
    rows = [await crowd(watchers, stalled=stalled) for stalled in (False, True, False, True)]
    table(
        f"{watchers:,} watchers, {CHANGES} changes, {1 / PAUSE:.0f}/s ({len(PLAN.tasks)} task)",
        [
            "one stalled", "opened in s", "p50 ms", "p99 ms", "max ms", "ms of processor/s",
            "waiting for one, KiB", "grown, MiB",
        ],
        rows,
    )  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--watch"]:
        uvloop.run(watch(sys.argv[2], int(sys.argv[3])))
    else:
        uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else WATCHERS))
