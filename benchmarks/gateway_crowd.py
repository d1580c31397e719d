"""A thousand watchers of one instance, and one among them who does not read.

    python -m benchmarks gateway_crowd [watchers] [turns]

The watchers are real connections in a process of their own. Each change carries the time at which it was
published, so that every watcher can tell how old it is when it arrives (by the machine's monotonic clock).
The one who does not read also wants log lines, which come all the time: what waits for it has to stay
bounded, and nobody else may be later because of it. Turns with and without it alternate, each the first as
often as the other; ages are those of all turns together. Over real servers: gateway_servers.py.
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
from benchmarks.measure import load, median, percentile, resident, spread, table
from benchmarks.watchers import now, raise_limit, request, watching
from taskpath_proto import topology
from taskpath_proto.events import LogLine, LogsWritten
from taskpath_proto.records import InstanceStatus, TaskChange, TaskStatus
from taskpath_services.cli.serving import collect_seldom
from taskpath_services.gateway.service import GatewayService

WATCHERS: Final = 1_000
TURNS: Final = 6
CHANGES: Final = 60
PAUSE: Final = 0.1
LINES: Final = 20


class Turns:
    """What the turns of one kind have shown."""

    def __init__(self) -> None:
        self.ages: list[float] = []
        self.late: list[float] = []
        self.opened: list[float] = []
        self.cpu: list[float] = []
        self.theirs: list[float] = []
        self.waiting = 0
        self.grown: list[float] = []

    def row(self, stalled: bool) -> list[str]:
        """The row of the table."""
        return [
            "yes" if stalled else "no",
            f"{median(self.opened):.2f}",
            f"{percentile(self.ages, 0.5):.1f}",
            f"{percentile(self.ages, 0.99):.1f}",
            spread(self.late, 1),
            f"{median(self.cpu):.0f}",
            f"{median(self.theirs):.0f}",
            f"{self.waiting / 1024:,.0f}",
            f"{median(self.grown) / 1024 / 1024:.1f}",
        ]


async def turn(turns: Turns, watchers: int, *, stalled: bool) -> None:
    """One turn."""
    async with gateway() as (bus, url, service), watching(url, "i", watchers, timed=True) as crowd:
        reader = await stall(url, "i", "") if stalled else None
        before, worked, began = resident(os.getpid()), time.process_time(), time.perf_counter()
        for number in range(CHANGES):
            last = number == CHANGES - 1
            change = TaskChange(path="#.map", status=TaskStatus.RUNNING, execution_time=now())
            status = InstanceStatus.DONE if last else InstanceStatus.WORKING
            bus.publish(event(number + 2, [change], status), topology.instance_key("i"))
            first = number * LINES + 1
            lines = [LogLine(0, "info", "x" * 8_000, 1, n) for n in range(first, first + LINES)]
            bus.publish(LogsWritten("i", 0, "#.map", lines), topology.instance_key("i"))
            await asyncio.sleep(PAUSE)
            turns.waiting = max(turns.waiting, _waiting(service))
        took = time.perf_counter() - began
        turns.cpu.append((time.process_time() - worked) / took * 1000)
        seen = await crowd.seen()
        turns.grown.append(resident(os.getpid()) - before)
        if reader is not None:
            reader.close()
    assert len(seen.ages) == watchers * CHANGES, len(seen.ages)
    turns.opened.append(crowd.opened.seconds)
    turns.theirs.append(seen.cpu / took * 1000)
    turns.ages += seen.ages
    turns.late.append(percentile(seen.ages, 0.99))


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


async def main(watchers: int, turns: int) -> None:
    """Measures and prints."""
    raise_limit()
    collect_seldom()  # as a command does that serves
    kinds = {False: Turns(), True: Turns()}
    for number in range(turns):
        for stalled in (False, True) if number % 2 == 0 else (True, False):
            await turn(kinds[stalled], watchers, stalled=stalled)
    table(
        f"{watchers:,} watchers, {CHANGES} changes, {1 / PAUSE:.0f}/s ({len(PLAN.tasks)} task); {load()}",
        [
            "one stalled", "opened in s", "p50 ms", "p99 ms", "p99 of a turn", "ms of processor/s", "theirs",
            "waiting for one, KiB", "grown, MiB",
        ],
        [seen.row(stalled) for stalled, seen in kinds.items()],
    )  # fmt: skip


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    uvloop.run(main(*numbers, *(WATCHERS, TURNS)[len(numbers) :]))
