"""What a message costs on RabbitMQ, beside bare aio-pika in the same run.

    python -m benchmarks bus [--uvloop] [--runs 3] [--url amqp://...]

One process sends reports to a quorum queue and takes them out again; without ``--url`` it starts a broker.
*One at a time* waits for each confirm; *100 at once* is what 100 senders do who each wait for theirs. CPU is
this process's, without the broker's.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import aio_pika
import uvloop

from benchmarks.measure import median, spread, table
from taskpath.runtime.bus import BusClosed, BusLost, Inbox
from taskpath.runtime.buses.rabbitmq import RabbitBus
from taskpath.runtime.caller import Caller, answer
from taskpath.runtime.clock import SystemClock
from taskpath_proto import topology
from taskpath_proto.calls import Call
from taskpath_proto.codec import decode_parcel, encode_message, join_parcel
from taskpath_proto.events import InstanceDeleted
from taskpath_proto.queries import ReadValue, ValueRead
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import Inline
from taskpath_proto.work import TaskFinished
from tests.support.servers import Keeper, RabbitMQ

MAILBOX = topology.executor_mailbox("bench")
ALONE, TOGETHER, AT_ONCE = 1_500, 20_000, 100

REPORT = TaskFinished(
    id="0123456789abcdef01234567",
    epoch=1_700_000_000_000,
    command=123_456,
    path="#.import.resize[17]",
    status=TaskStatus.OK,
    execution_time=1_700_000_000_000,
    duration=12,
    executor="executor-7f9c:1:abcdef",
    result=Inline('{"width":640,"height":480}'),
)

Figures = dict[str, list[float]]


async def timed(figures: Figures, name: str, count: int, work: Awaitable[None]) -> None:
    """Notes how many messages a second passed, and the CPU that each took, in µs."""
    began, cpu = time.perf_counter(), time.process_time()
    await work
    figures.setdefault(name, []).append(count / (time.perf_counter() - began))
    figures.setdefault(f"{name} cpu", []).append((time.process_time() - cpu) / count * 1e6)


async def one_by_one(count: int, send: Callable[[], Awaitable[object]]) -> None:
    """Waits for each."""
    for _ in range(count):
        await send()


async def at_once(count: int, send: Callable[[], Awaitable[object]]) -> None:
    """As many senders, each of whom waits for its own."""

    async def sender() -> None:
        for _ in range(count // AT_ONCE):
            await send()

    await asyncio.gather(*(sender() for _ in range(AT_ONCE)))


async def bare(url: str, figures: Figures) -> None:
    """aio-pika as its documentation shows it."""
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=200)
        queue = await channel.declare_queue(MAILBOX, durable=True, arguments={"x-queue-type": "quorum"})
        exchange = channel.default_exchange

        async def send() -> None:
            body = join_parcel([encode_message(REPORT)])
            await exchange.publish(aio_pika.Message(body, delivery_mode=2), MAILBOX)

        async def take(count: int) -> None:
            async with queue.iterator() as messages:
                async for message in messages:
                    decode_parcel(message.body)
                    await message.ack()
                    count -= 1
                    if count == 0:
                        return

        await timed(figures, "aio-pika, one at a time", ALONE, one_by_one(ALONE, send))
        await timed(figures, "aio-pika, taken, one each", ALONE, take(ALONE))
        count = TOGETHER // 4
        await timed(figures, "aio-pika, 100 at once", count, at_once(count, send))
        await take(count)


async def drain(inbox: Inbox, count: int) -> None:
    """Takes so many messages out."""
    while count > 0:
        delivery = await inbox.take()
        count -= len(delivery.messages)
        delivery.ack()


async def gathered(url: str, figures: Figures) -> None:
    """The bus."""
    bus = RabbitBus(url, name="bench", partitions=1)
    await bus.start()

    def send() -> Awaitable[None]:
        return bus.send(MAILBOX, REPORT)

    await timed(figures, "bus, one at a time", ALONE, one_by_one(ALONE, send))
    inbox = await bus.consume(MAILBOX)
    await timed(figures, "bus, taken, one each", ALONE, drain(inbox, ALONE))
    await inbox.close()
    await timed(figures, "bus, 100 at once", TOGETHER, at_once(TOGETHER, send))
    figures.setdefault("parcels", []).append(await bus.depth(MAILBOX))
    inbox = await bus.consume(MAILBOX)
    await timed(figures, "bus, taken, in parcels", TOGETHER, drain(inbox, TOGETHER))
    await inbox.close()

    storage = await bus.consume(topology.storage_mailbox(0), exclusive=True)
    watched = await bus.subscribe(topology.instance_key("i0"))

    async def events() -> None:
        for round_ in range(20):
            changes = [InstanceDeleted(f"i{number}", 0, 1, round_) for number in range(200)]
            for each in [
                bus.publish(
                    change, topology.storage_mailbox(0), topology.instance_key(change.id), "instances"
                )
                for change in changes
            ]:
                await each
        await drain(storage, 4_000)

    await timed(figures, "bus, events of 200 instances", 4_000, events())
    await watched.close()
    await timed(figures, "bus, questions and answers", 500, asking(bus, 500))
    await bus.stop()


async def asking(bus: RabbitBus, count: int) -> None:
    """Turns of request and reply, one after the other."""
    caller = Caller(bus, SystemClock(), "bench")
    await caller.start()
    queries = await bus.consume(topology.QUERIES)

    async def serve() -> None:
        try:
            while True:
                delivery = await queries.take()
                delivery.ack()
                for message in delivery.messages:
                    if isinstance(message, Call):
                        await bus.send(message.reply_to, answer(message, ValueRead("1")))
        except (BusClosed, BusLost):
            return

    serving = asyncio.ensure_future(serve())
    for _ in range(count):
        await caller.ask(topology.QUERIES, ReadValue("i", Inline("1")), ValueRead)
    await queries.close()
    await serving
    await caller.stop()


async def measure(url: str, runs: int) -> Figures:
    """Both, interleaved."""
    figures: Figures = {}
    for _ in range(runs):
        await bare(url, figures)
        await gathered(url, figures)
    return figures


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--url")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        url = arguments.url
        if url is None:
            server = RabbitMQ(stack.enter_context(Keeper()))
            server.start()
            url = server.url
        loop_factory = uvloop.new_event_loop if arguments.uvloop else None
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            figures = runner.run(measure(url, arguments.runs))
    rows = [
        (name, spread(values), f"{median(figures[f'{name} cpu']):.0f}")
        for name, values in figures.items()
        if f"{name} cpu" in figures
    ]
    table("messages on a quorum queue", ("", "messages/s", "µs CPU each"), rows)
    print(f"\n{TOGETHER:,} messages of {AT_ONCE} senders were {median(figures['parcels']):,.0f} parcels")


if __name__ == "__main__":
    main()
