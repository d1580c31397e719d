"""What an executor costs per no-op task, beside the bare tools of Python in the same run.

    python -m benchmarks.executor_noop [tasks]

Orders come as RunTasks of twenty, like those of a foreach, through the in-memory bus; TaskFinished are
counted.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import msgspec
import uvloop

from taskpath import App, Task, TaskContext
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.clock import SystemClock
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_proto.values import Inline
from taskpath_proto.work import Order, RunTasks, TaskFinished
from taskpath_services.executor.service import ExecutorService

PER_MESSAGE = 20
WINDOW = 20
"""How many messages are on their way at once: as an owner's window does, it keeps the executor busy."""

app = App()


async def noop_async(arg: object) -> None:
    """Nothing, on the event loop."""


async def noop_with_ctx(arg: object, ctx: TaskContext) -> object:
    """Nothing, and its argument back."""
    return arg


def noop_plain(arg: object) -> None:
    """Nothing, in a thread or a process."""


@app.workflow("noop")
def noop() -> list[Task]:
    """Nothing, in every way."""
    return [
        Task("async", noop_async, foreach=True),
        Task("ctx", noop_with_ctx, foreach=True),
        Task("thread", noop_plain, foreach=True),
        Task("process", noop_plain, foreach=True, process=True),
    ]


async def through_executor(bus: MemoryBus, name: str, tasks: int) -> float:
    """Microseconds a task."""
    reports = await bus.consume(topology.scheduler_mailbox(0))
    mailbox = topology.executor_mailbox("default")
    sent = 0

    def send() -> None:
        nonlocal sent
        count = min(PER_MESSAGE, tasks - sent)
        orders = tuple(
            Order(f"#.{name}[{number}]", number + 1, 1, Inline('{"id":7,"bytes":1000}'))
            for number in range(sent, sent + count)
        )
        sent += count
        message = RunTasks(
            f"i{name}", 0, 1, 1, "default", "noop", 1, Inline("null"), Inline("{}"), (), orders
        )
        bus.send(mailbox, message)

    begin = time.perf_counter()
    for _ in range(WINDOW):
        if sent < tasks:
            send()
    done, credit = 0, 0
    while done < tasks:
        delivery = await reports.take()
        finished = sum(isinstance(message, TaskFinished) for message in delivery.messages)
        delivery.ack()
        done += finished
        credit += finished
        while credit >= PER_MESSAGE and sent < tasks:
            credit -= PER_MESSAGE
            send()
    seconds = time.perf_counter() - begin
    await reports.close()
    return seconds / tasks * 1e6


async def feed_only(tasks: int) -> float:
    """Microseconds a task for making the orders alone."""
    begin = time.perf_counter()
    for start in range(0, tasks, PER_MESSAGE):
        orders = tuple(
            Order(f"#.x[{number}]", number + 1, 1, Inline('{"id":7,"bytes":1000}'))
            for number in range(start, start + PER_MESSAGE)
        )
        RunTasks("i", 0, 1, 1, "default", "noop", 1, Inline("null"), Inline("{}"), (), orders)
    return (time.perf_counter() - begin) / tasks * 1e6


async def bare_tasks(tasks: int) -> float:
    """Microseconds a task for ``asyncio.create_task`` with decoding of the argument and nothing else."""

    async def one() -> bytes:
        await noop_async(msgspec.json.decode('{"id":7,"bytes":1000}'))
        return b"null"

    loop = asyncio.get_running_loop()
    begin = time.perf_counter()
    for start in range(0, tasks, 200):
        waiting = [loop.create_task(one()) for _ in range(start, min(tasks, start + 200))]
        for task in waiting:
            await task
    return (time.perf_counter() - begin) / tasks * 1e6


async def bare_pool(pool: ThreadPoolExecutor | ProcessPoolExecutor, tasks: int) -> float:
    """Microseconds a task for a pool of ``concurrent.futures`` from the event loop, 200 at once."""
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(pool, noop_plain, None)
    begin = time.perf_counter()
    for start in range(0, tasks, 200):
        await asyncio.gather(
            *(loop.run_in_executor(pool, noop_plain, None) for _ in range(start, min(tasks, start + 200)))
        )
    return (time.perf_counter() - begin) / tasks * 1e6


async def main(tasks: int) -> None:
    """Measures, and prints."""
    bus = MemoryBus()
    executor = ExecutorService(bus, SystemClock(), Settings(), app)
    await executor.start()
    few = max(200, tasks // 10)

    async def best(measure: Callable[[], Awaitable[float]]) -> float:
        return min([await measure() for _ in range(3)])

    print(f"{'':22}{'executor':>10}{'bare':>10}   us a task, best of 3 ({tasks} tasks; processes {few})")
    print(f"{'making the orders':22}{'':10}{await best(lambda: feed_only(tasks)):10.1f}")
    bare = await best(lambda: bare_tasks(tasks))
    for name in ("async", "ctx"):
        cost = await best(partial(through_executor, bus, name, tasks))
        print(f"{name:22}{cost:10.1f}{bare:10.1f}")
    with ThreadPoolExecutor(16) as threads:
        bare = await best(lambda: bare_pool(threads, tasks))
    print(f"{'thread':22}{await best(lambda: through_executor(bus, 'thread', tasks)):10.1f}{bare:10.1f}")
    with ProcessPoolExecutor(Settings().processes) as processes:
        bare = await best(lambda: bare_pool(processes, few))
    print(f"{'process':22}{await best(lambda: through_executor(bus, 'process', few)):10.1f}{bare:10.1f}")
    await executor.stop()
    await bus.stop()


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(count))
