"""A gateway process over RabbitMQ, Redis and MariaDB: what a crowd costs it, and what others' work does.

    python -m benchmarks gateway_servers [watchers] [items]

* memory: what the process holds for each WebSocket that watches an instance at rest.
* crowd: that many WebSockets, in another process, watch one instance with a foreach of that many items,
  once as a rollup and once item by item; with and without clients that never read. What each gets is counted
  as it comes off the wire. Each change has to be encoded once, whoever watches, and what waits for those who
  do not read has to stay bounded.
* others: one client watches an instance, at rest or running, while many instances of the same partition run:
  the changes of all of them may come in the same parcels.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import aiohttp
import uvloop

from benchmarks import workloads
from benchmarks.gateway_crowd import stall
from benchmarks.measure import cpu, load, resident, table
from benchmarks.watchers import raise_limit, watching
from taskpath.client import Client
from tests.support.cluster import ROLES, Cluster, settings_over
from tests.support.servers import Keeper, MariaDB, RabbitMQ, Redis

WATCHERS: Final = 1_000
ITEMS: Final = 2_000
STALLED: Final = 20
OTHERS: Final = 20
SOCKETS: Final = (1_000, 5_000)
MEBIBYTE: Final = 1024 * 1024


class Gateway:
    """The gateway process, measured from outside.

    Args:
        cluster: of the services.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._process = cluster.gateway[0]

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        return cpu(self._process.pid)

    def resident(self) -> float:
        """MiB of memory."""
        return resident(self._process.pid) / MEBIBYTE

    def count(self, name: str) -> float:
        """One of its counters."""
        return self._figure(f"{name}_total")

    def open(self) -> float:
        """How many WebSockets are open."""
        return self._figure("clients")

    def _figure(self, name: str) -> float:
        shown = self._process.ask("/metrics")
        found = re.search(rf"^taskpath_gateway_{name} ([\d.e+]+)$", shown, re.MULTILINE)
        assert found is not None, name
        return float(found[1])


async def memory(cluster: Cluster) -> list[list[str]]:
    """The rows of the table: with no watchers, with more and more of them, and others when they have gone."""
    gateway = Gateway(cluster)
    async with Client(cluster.url) as client, AsyncExitStack() as stack:
        instance = await client.create("fan", {"n": ITEMS})
        async with watching(cluster.url, instance.id, 1):
            empty = gateway.resident()
        rows, there = [["0", f"{empty:.1f}", ""]], 0
        for sockets in SOCKETS:
            await stack.enter_async_context(watching(cluster.url, instance.id, sockets - there))
            there, held = sockets, gateway.resident()
            rows.append([f"{there:,}", f"{held:.1f}", f"{1024 * (held - empty) / there:.1f}"])
        await stack.aclose()
        while True:
            await asyncio.sleep(0.5)
            if not gateway.open():
                break
        async with watching(cluster.url, instance.id, there):
            held = gateway.resident()
        rows.append([f"{there:,} others", f"{held:.1f}", f"{1024 * (held - empty) / there:.1f}"])
        return rows


async def crowd(cluster: Cluster, watchers: int, items: int, paths: str, stalled: int) -> list[str]:
    """One run; the row of the table."""
    gateway = Gateway(cluster)
    async with Client(cluster.url) as client:
        instance = await client.create("fan", {"n": items})
        came = gateway.count("frames_alone")
        async with watching(cluster.url, instance.id, watchers, paths) as crowd:
            readers = [await stall(cluster.url, instance.id, paths) for _ in range(stalled)]
            opened, came = crowd.opened, gateway.count("frames_alone") - came
            held, used = gateway.resident(), gateway.cpu()
            encoded, alone = gateway.count("frames_encoded"), gateway.count("frames_alone")
            began = time.perf_counter()
            await client.execute(instance.id)
            seen = await crowd.seen()
            took = time.perf_counter() - began
            grown, spent = gateway.resident() - held, gateway.cpu() - used
            encoded, alone = gateway.count("frames_encoded") - encoded, gateway.count("frames_alone") - alone
        for reader in readers:
            reader.close()
    return [
        "item by item" if paths else "rollup", str(stalled), f"{opened.seconds:.2f}",
        f"{opened.packets / watchers:.1f}", f"{opened.octets / watchers / 1024:.1f}", f"{came:,.0f}",
        f"{took:.1f}", f"{spent:.2f}", f"{seen.cpu:.2f}",
        f"{seen.packets / watchers:.1f}", f"{seen.octets / watchers / 1024:.1f}",
        f"{encoded:,.0f}", f"{alone:,.0f}", f"{100 * (1 - alone / seen.packets):.2f}",
        f"{1000 * seen.spread:.0f}", f"{grown:.1f}",
    ]  # fmt: skip


async def others(cluster: Cluster, watched: str) -> list[str]:
    """One run; the row of the table. ``watched`` is ``nothing``, ``at rest`` or ``running``."""
    gateway = Gateway(cluster)
    async with Client(cluster.url) as client, aiohttp.ClientSession(cluster.url) as http:
        instance = await client.create("chain", {"n": workloads.STEPS})
        async with http.ws_connect("/ws") as socket:
            if watched != "nothing":
                await socket.send_json({"type": "watchWorkflowInstance", "id": instance.id})
            for _ in range(1 if watched == "nothing" else 4):
                await socket.receive()
            ids = [(await client.create("fan", {"n": ITEMS})).id for _ in range(OTHERS)]
            used, memory, began = gateway.cpu(), gateway.resident(), time.perf_counter()
            if watched == "running":
                await client.execute(instance.id)
            for id in ids:
                await client.execute(id)
            # Whoever waited for their end would watch them, so the list is looked at.
            while True:
                await asyncio.sleep(0.5)
                page = await client.list(status="working")
                if not page.items:
                    break
            took = time.perf_counter() - began
            spent, grown = gateway.cpu() - used, gateway.resident() - memory
    return [
        watched,
        f"{took:.1f}",
        f"{OTHERS * ITEMS / took:,.0f}",
        f"{1000 * spent / took:.0f}",
        f"{grown:.1f}",
    ]


async def main(watchers: int, items: int) -> None:
    """Measures and prints."""
    raise_limit()
    with Keeper() as keeper:
        broker, records, index = RabbitMQ(keeper), Redis(keeper, appendfsync="everysec"), MariaDB(keeper)
        for server in (broker, records, index):
            server.start()
        settings = {**settings_over(broker, records, index), "TASKPATH_PARTITIONS": "1"}
        cluster = Cluster(keeper, Path(workloads.__file__), settings, dict.fromkeys(ROLES, 1))
        cluster.start()
        rows = await memory(cluster)
        table(f"watchers of an instance at rest; {load()}", ["sockets", "MiB", "KiB a watcher"], rows)
        rows = [
            await crowd(cluster, watchers, items, paths, stalled)
            for paths in ("", "#.work[*]")
            for stalled in (0, STALLED)
        ]
        table(
            f"{watchers:,} watchers of a foreach of {items:,}; packets and KiB are each watcher's; {load()}",
            [
                "seen", "stalled", "opened s", "packets", "KiB", "encoded",
                "run s", "CPU s", "theirs", "packets", "KiB", "encoded for all", "for one", "% for all",
                "first to last ms", "grown MiB",
            ],
            rows,
        )  # fmt: skip
        rows = [await others(cluster, watched) for watched in ("nothing", "at rest", "running")]
        table(
            f"{OTHERS} others of {ITEMS:,} tasks in the same partition; {load()}",
            ["watched", "run s", "tasks/s", "ms of CPU/s", "grown MiB"],
            rows,
        )


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    uvloop.run(main(*numbers, *(WATCHERS, ITEMS)[len(numbers) :]))
