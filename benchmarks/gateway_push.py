"""What it costs a gateway to follow one instance: changes per second, and processor time at a given rate.

    python -m benchmarks.gateway_push [tasks]

Changes come through the in-memory bus as an owner sends them, twenty tasks an event, those of a foreach that
is small enough to be shown item by item and those of one that is not. Watchers are real WebSockets, read in
the same process, so a part of the cost with watchers is theirs.
"""

from __future__ import annotations

import asyncio
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import msgspec
import uvloop

from benchmarks.measure import table
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.caller import answer
from taskpath.runtime.clock import SystemClock
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_proto.calls import Call, Response
from taskpath_proto.events import InstanceChanged
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.queries import AskPartitions, ExpectedTimes, InstanceView, Partitions, ReadExpected
from taskpath_proto.records import (
    InstanceChange,
    InstanceProgress,
    InstanceRecord,
    InstanceStatus,
    Rollup,
    TaskChange,
    TaskStatus,
)
from taskpath_services.gateway.service import GatewayService

PER_EVENT = 20
RATE = 12_000
PLAN = Plan(tasks=(TaskSpec(name="map", foreach="list"),))
LIMIT_SECONDS = 60
SETTINGS = Settings(port=0)


@asynccontextmanager
async def gateway() -> AsyncIterator[tuple[MemoryBus, str, GatewayService]]:
    """A gateway, its address, and a storage that has one instance at revision 1."""
    bus = MemoryBus()
    inbox = await bus.consume(topology.QUERIES)

    async def store() -> None:
        while True:
            delivery = await inbox.take()
            for call in delivery.messages:
                assert isinstance(call, Call)
                response: Response
                match call.body:
                    case AskPartitions():
                        response = Partitions(SETTINGS.partitions)
                    case ReadExpected():
                        response = ExpectedTimes()
                    case _:
                        response = InstanceView(instance=InstanceRecord(id="i", revision=1, plan=PLAN))
                await bus.send(call.reply_to, answer(call, response))
            delivery.ack()

    storing = asyncio.ensure_future(store())
    service = GatewayService(bus, SystemClock(), SETTINGS)
    await service.start()
    try:
        yield bus, service.url, service
    finally:
        await service.stop()
        storing.cancel()
        await bus.stop()


async def run(tasks: int, items: int, watchers: int, rate: int = 0) -> tuple[float, float, float, int]:
    """Follows that many changes of tasks of a foreach with so many items.

    Args:
        tasks: how many changes.
        items: how many items.
        watchers: how many clients watch.
        rate: how many changes come in a second; 0 for as many as can be.

    Returns:
        Changes of tasks per second; ms of processor time per second; ms from the last change to the last
        packet; packets a watcher.
    """
    async with gateway() as (bus, url, _), aiohttp.ClientSession(url) as http, AsyncExitStack() as stack:
        ended = 0
        packets = 0
        all_ended = asyncio.Event()

        async def read(socket: aiohttp.ClientWebSocketResponse) -> None:
            nonlocal ended, packets
            async for message in socket:
                packets += 1
                if '"status":"done"' in message.data:
                    ended += 1
                    if ended == watchers:
                        all_ended.set()

        for _ in range(watchers):
            socket = await stack.enter_async_context(http.ws_connect("/ws"))
            await socket.send_str(msgspec.json.encode({"type": "watchWorkflowInstance", "id": "i"}).decode())
            for _ in range(5):
                await socket.receive()
            reading = asyncio.ensure_future(read(socket))
            stack.callback(reading.cancel)
        events = _events(tasks, items)
        began, worked = time.perf_counter(), time.process_time()
        for number, event in enumerate(events):
            bus.publish(event, topology.instance_key("i"))
            if rate:
                await asyncio.sleep(max(0.0, began + number * PER_EVENT / rate - time.perf_counter()))
            elif number % 5 == 4:
                await asyncio.sleep(0)
        published = time.perf_counter()
        if watchers:
            async with asyncio.timeout(LIMIT_SECONDS):
                await all_ended.wait()
        took = time.perf_counter() - began
        late = (time.perf_counter() - published) * 1000
        share = (time.process_time() - worked) / took * 1000
        return tasks / took, share, late, packets // max(1, watchers)


def _events(tasks: int, items: int) -> list[InstanceChanged]:
    events = [event(2, [TaskChange(path="#.map", status=TaskStatus.RUNNING, count=items)])]
    for start in range(0, tasks, PER_EVENT):
        changes = [
            TaskChange(
                path=f"#.map[{number % items}]",
                status=TaskStatus.OK,
                bound=3,
                left=number + 4,
                attempt=1,
                execution_time=1_700_000_000_000 + number,
                duration=1,
            )
            for number in range(start, min(tasks, start + PER_EVENT))
        ]
        rollup = Rollup(total=items, ok=min(items, start), inactive=max(0, items - start))
        changes.append(TaskChange(path="#.map", rollup=rollup))
        last = start + PER_EVENT >= tasks
        events.append(
            event(len(events) + 2, changes, InstanceStatus.DONE if last else InstanceStatus.WORKING)
        )
    return events


def event(
    revision: int, tasks: list[TaskChange], status: InstanceStatus = InstanceStatus.WORKING
) -> InstanceChanged:
    """The change that leads to a revision."""
    return InstanceChanged(
        id="i",
        partition=0,
        epoch=1,
        revision=revision,
        base_revision=revision - 1,
        tasks=tasks,
        instance=InstanceChange(status=status, progress=InstanceProgress(total=revision)),
    )


async def memory(items: int) -> float:
    """What a gateway holds, in KiB, of a watched instance after all items of its foreach have changed."""
    async with (
        gateway() as (bus, url, _),
        aiohttp.ClientSession(url) as http,
        http.ws_connect("/ws") as socket,
    ):
        await socket.send_str('{"type":"watchWorkflowInstance","id":"i"}')
        for _ in range(5):
            await socket.receive()
        tracemalloc.start()
        for event in _events(items, items):
            bus.publish(event, topology.instance_key("i"))
            await asyncio.sleep(0)
        async for message in socket:
            if '"status":"done"' in message.data:
                break
        await asyncio.sleep(0)
        held = tracemalloc.take_snapshot().filter_traces(
            [tracemalloc.Filter(True, "*/gateway/*"), tracemalloc.Filter(True, "*/taskpath_proto/*")]
        )
        tracemalloc.stop()
        return sum(trace.size for trace in held.traces) / 1024


async def main(tasks: int) -> None:
    """Measures and prints."""
    unlimited: list[list[str]] = []
    paced: list[list[str]] = []
    for items in (1_000, 100_000):
        for watchers in (0, 1, 100):
            if watchers:
                fast, _, late, packets = await run(tasks, items, watchers)
                unlimited.append([f"{items:,}", str(watchers), f"{fast:,.0f}", f"{late:.1f}", str(packets)])
            _, share, late, packets = await run(RATE * 3, items, watchers, RATE)
            paced.append([f"{items:,}", str(watchers), f"{share:.0f}", f"{late:.1f}", str(packets)])
    head = ["foreach of", "watchers", "changes/s", "last packet, ms", "packets each"]
    table("As many changes as can be", head, unlimited)
    head[2] = "ms of processor time/s"
    table(f"{RATE:,} changes/s", head, paced)
    held = [[f"{items:,}", f"{await memory(items):,.0f}"] for items in (2_000, 20_000, 100_000)]
    table("Held for a watched instance", ["foreach of", "KiB"], held)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 40_000))
