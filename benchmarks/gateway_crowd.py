"""A thousand watchers of one instance, and one among them who does not read.

    python -m benchmarks.gateway_crowd [watchers]

The watchers are real WebSockets in a process of their own. Each change carries the time at which it was
published, so that every watcher can tell how old it is when it arrives (by the machine's monotonic clock).
The one who does not read also wants log lines, which come all the time: what waits for it has to stay
bounded, and nobody else may be later because of it. Over real servers: gateway_servers.py.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from typing import Final

import uvloop

from benchmarks.gateway_push import PLAN, event, gateway
from benchmarks.measure import percentile, resident, table
from benchmarks.watchers import now, raise_limit, request, watching
from taskpath_proto import topology
from taskpath_proto.events import LogLine, LogsWritten
from taskpath_proto.records import InstanceStatus, TaskChange, TaskStatus
from taskpath_services.gateway.service import GatewayService

WATCHERS: Final = 1_000
CHANGES: Final = 60
PAUSE: Final = 0.1
LINES: Final = 20


async def crowd(watchers: int, *, stalled: bool) -> list[str]:
    """One run; the row of the table."""
    async with gateway() as (bus, url, service), watching(url, "i", watchers, timed=True) as crowd:
        reader = await stall(url, "i", "") if stalled else None
        before, worked, began = resident(os.getpid()), time.process_time(), time.perf_counter()
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
        took = time.perf_counter() - began
        share = (time.process_time() - worked) / took * 1000
        seen = await crowd.seen()
        ages = seen.ages
        grown = resident(os.getpid()) - before
        if reader is not None:
            reader.close()
    assert len(ages) == watchers * CHANGES, len(ages)
    return [
        "yes" if stalled else "no",
        f"{crowd.opened.seconds:.2f}",
        f"{percentile(ages, 0.5):.1f}",
        f"{percentile(ages, 0.99):.1f}",
        f"{max(ages):.1f}",
        f"{share:.0f}",
        f"{seen.cpu / took * 1000:.0f}",
        f"{most / 1024:,.0f}",
        f"{grown / 1024 / 1024:.1f}",
    ]


async def stall(url: str, instance: str, paths: str) -> socket.socket:
    """A client that watches an instance, or what a pattern names of it, wants log lines, and never reads."""
    host, port, said = request(url, instance, paths, logs=True)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((host, port))
    raw.sendall(said)
    await asyncio.sleep(0.2)
    return raw


def _waiting(service: GatewayService) -> int:
    """The most bytes that wait for any one client."""
    return max((session.outbox._size for session in service._sockets._open), default=0)


async def main(watchers: int) -> None:
    """Measures and prints."""
    raise_limit()
    rows = [await crowd(watchers, stalled=stalled) for stalled in (False, True, False, True)]
    table(
        f"{watchers:,} watchers, {CHANGES} changes, {1 / PAUSE:.0f}/s ({len(PLAN.tasks)} task)",
        [
            "one stalled", "opened in s", "p50 ms", "p99 ms", "max ms", "ms of processor/s", "theirs",
            "waiting for one, KiB", "grown, MiB",
        ],
        rows,
    )  # fmt: skip


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else WATCHERS))
