"""A gateway process over RabbitMQ, Redis and MariaDB: what a crowd costs it, and what others' work does.

    python -m benchmarks gateway_servers [watchers] [items]

* crowd: that many WebSockets, in another process, watch one instance with a foreach of that many items,
  once as a rollup and once item by item; with and without clients that never read. Each change has to be
  encoded once, whoever watches, and what waits for those who do not read has to stay bounded.
* others: one client watches an instance, at rest or running, while many instances of the same partition run:
  the changes of all of them may come in the same parcels.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import Final

import aiohttp
import uvloop

from benchmarks import workloads
from benchmarks.gateway_crowd import in_waves, raise_limit, stall
from benchmarks.measure import cpu, load, resident, table
from taskpath.client import Client
from tests.support.cluster import ROLES, Cluster, settings_over
from tests.support.servers import Keeper, MariaDB, RabbitMQ, Redis

WATCHERS: Final = 1_000
ITEMS: Final = 2_000
STALLED: Final = 20
OTHERS: Final = 20
MEBIBYTE: Final = 1024 * 1024
_END: Final = re.compile(r'"type":"setWorkflowStatus".*"status":"done"')


async def watch(url: str, instance: str, watchers: int, paths: str) -> None:
    """The other process: watches to the end, and prints when each saw it, in seconds after the first did."""
    raise_limit()
    ends: list[float] = []
    packets = 0

    async def one(http: aiohttp.ClientSession, ready: asyncio.Semaphore) -> None:
        nonlocal packets
        async with http.ws_connect("/ws") as opened:
            asked = {"type": "watchWorkflowInstance", "id": instance}
            await opened.send_str(json.dumps(asked | ({"paths": [paths]} if paths else {})))
            while "setWorkflowStatus" not in (await opened.receive_str()):
                pass
            ready.release()
            async for message in opened:
                packets += 1
                if _END.search(message.data):
                    ends.append(time.monotonic())
                    return

    await in_waves(url, watchers, one)
    print(json.dumps({"spread": max(ends) - min(ends), "packets": packets / watchers}), flush=True)


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
        found = re.search(rf"^{name}_total ([\d.e+]+)$", self._process.ask("/metrics"), re.MULTILINE)
        assert found is not None, name
        return float(found[1])


async def crowd(cluster: Cluster, watchers: int, items: int, paths: str, stalled: int) -> list[str]:
    """One run; the row of the table."""
    gateway = Gateway(cluster)
    async with Client(cluster.url) as client:
        instance = await client.create("fan", {"n": items})
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.gateway_servers", "--watch", cluster.url, instance.id,
            str(watchers), paths, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert child.stdout is not None
        opened = json.loads(await child.stdout.readline())["opened"]
        readers = [await stall(cluster.url, instance.id, paths) for _ in range(stalled)]
        memory, used = gateway.resident(), gateway.cpu()
        encoded, sent = (
            gateway.count("taskpath_gateway_frames_encoded"),
            gateway.count("taskpath_gateway_frames_sent"),
        )
        began = time.perf_counter()
        await client.execute(instance.id)
        seen = json.loads(await child.stdout.readline())
        took = time.perf_counter() - began
        grown, spent = gateway.resident() - memory, gateway.cpu() - used
        encoded = gateway.count("taskpath_gateway_frames_encoded") - encoded
        sent = gateway.count("taskpath_gateway_frames_sent") - sent
        await child.wait()
        for reader in readers:
            reader.close()
    return [
        "item by item" if paths else "rollup", str(stalled), f"{opened:.2f}", f"{took:.1f}", f"{spent:.2f}",
        f"{encoded:,.0f}", f"{sent:,.0f}", f"{seen['packets']:.0f}", f"{1000 * seen['spread']:.0f}",
        f"{grown:.1f}",
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
        rows = [
            await crowd(cluster, watchers, items, paths, stalled)
            for paths in ("", "#.work[*]")
            for stalled in (0, STALLED)
        ]
        table(
            f"{watchers:,} watchers of a foreach of {items:,}; {load()}",
            [
                "seen", "stalled", "opened in s", "run s", "CPU s", "encoded", "given", "packets each",
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
    if sys.argv[1:2] == ["--watch"]:
        uvloop.run(watch(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]))
    else:
        numbers = [int(text) for text in sys.argv[1:]]
        uvloop.run(main(*numbers, *(WATCHERS, ITEMS)[len(numbers) :]))
