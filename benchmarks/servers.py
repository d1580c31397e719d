"""The four services as processes of their own over RabbitMQ, Redis and MariaDB, through the client.

    python -m benchmarks servers [--quick] [--only fan,chains,step,latency,work,costs,memory] [--executors 1]
    python -m benchmarks servers --peers FOLDER --peers-python PYTHON

Servers, services and load share the cores of this machine; the load average beside a figure counts them, too.
What is run is in workloads.py; with 1 and with 2 executors, in turns. Besides:

* costs: messages and bytes on the broker and CPU by process for a task of a fan-out of 10,000 and of chains;
* memory: of each service with 10,000 idle instances, and with one instance of 100,000 tasks;
* start: seconds from the start of a process until it is ready.

``--peers`` names a folder with scripts that run the same workloads on other systems (see peers.py); they run
in turns with ours, on the same servers.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks import peers, workloads
from benchmarks.measure import cpu, load, median, percentile, resident, spread, table
from taskpath.client import Client
from tests.support.cluster import ROLES, Cluster, settings_over
from tests.support.servers import Keeper, MariaDB, Program, RabbitMQ, Redis

STATISTICS_SECONDS: Final = 6.0
"""The broker counts what it has done every 5 s."""

MEASURES: Final = ("fan", "chains", "step", "latency", "work", "costs", "memory")

Figures = dict[str, list[float]]


class System:
    """Servers and services, one of each but for the executors, of which there are two.

    Args:
        keeper: ends them when the run ends.
    """

    def __init__(self, keeper: Keeper) -> None:
        self.broker = RabbitMQ(keeper)
        self.records = Redis(keeper, appendfsync="everysec")
        self.index = MariaDB(keeper)
        servers: tuple[Program, ...] = (self.broker, self.records, self.index)
        for server in servers:
            server.launch()
        for server in servers:
            server.wait_ready()
        self._keeper = keeper
        self.cluster = self._new()

    def _new(self) -> Cluster:
        return Cluster(
            self._keeper,
            Path(workloads.__file__),
            settings_over(self.broker, self.records, self.index),
            {role: 2 if role == "executor" else 1 for role in ROLES},
        )

    def start(self) -> dict[str, float]:
        """Starts the services one after the other; gives by role how many seconds one took."""
        took: dict[str, float] = {}
        self.cluster.migrate()
        # A gateway that starts when there is no executor waits for one.
        for process in sorted(self.cluster, key=lambda process: process.role == "gateway"):
            began = time.perf_counter()
            process.start()
            took.setdefault(process.role, time.perf_counter() - began)
        self.cluster.wait_ready()
        return took

    def renew(self) -> None:
        """Stops the services, and starts others that have nothing."""
        self.cluster.stop()
        self.cluster = self._new()
        self.start()

    async def have(self, executors: int) -> None:
        """Starts or stops the second executor."""
        second = self.cluster.executor[1]
        if executors == 1:
            await asyncio.to_thread(second.stop)
        elif not second.running:
            await asyncio.to_thread(second.start)
            await asyncio.to_thread(self.cluster.wait_ready)

    def processes(self) -> dict[str, list[int]]:
        """The ids of what runs, by what it is."""
        found = defaultdict(list)
        for process in self.cluster:
            if process.running:
                found[process.role].append(process.pid)
        found["RabbitMQ"].append(self.broker.pid)
        found["Redis"].append(self.records.pid)
        found["MariaDB"].append(self.index.pid)
        return found

    def cpu(self) -> dict[str, float]:
        """The CPU used so far, in seconds."""
        return {name: sum(map(cpu, pids)) for name, pids in self.processes().items()}

    def memory(self) -> dict[str, float]:
        """The memory of each service, in bytes."""
        return {name: sum(map(resident, pids)) for name, pids in self.processes().items() if name in ROLES}

    def traffic(self) -> dict[str, float]:
        """What the broker has passed so far: messages by kind of mailbox, and bytes that came in."""
        vhost = self.cluster.settings["TASKPATH_BROKER"].rpartition("/")[2]
        passed: dict[str, float] = defaultdict(float)
        for queue in self.broker.ask("GET", f"/api/queues/{vhost}"):
            kind = queue["name"].split(".")[0]
            passed[f"to {kind}"] += queue.get("message_stats", {}).get("publish", 0)
        for connection in self.broker.ask("GET", f"/api/vhosts/{vhost}/connections"):
            passed["bytes"] += connection.get("recv_oct", 0)
        return passed


async def interleaved(
    system: System, executors: list[int], repeats: int, measure: Callable[[], Coroutine[Any, Any, float]]
) -> dict[int, list[float]]:
    """A measure by number of executors, in turns."""
    figures: dict[int, list[float]] = {number: [] for number in executors}
    for _ in range(repeats):
        for number in executors:
            await system.have(number)
            figures[number].append(await measure())
    return figures


async def fan_out(
    system: System, client: Client, executors: list[int], sizes: list[int], repeats: int
) -> None:
    """Tasks/s by size and executors."""
    rates: dict[tuple[int, int], list[float]] = defaultdict(list)
    for round_ in range(repeats):
        for number in executors:
            await system.have(number)
            for size in sizes:
                if size < 100_000 or round_ < 2:
                    rates[size, number].append(await workloads.fan_out(client, size))
    header = ["items", *(f"{number} executors" for number in executors)]
    rows = [[f"{size:,}", *(spread(rates[size, number]) for number in executors)] for size in sizes]
    table(f"fan-out, tasks/s; {load()}", header, rows)


async def latency(system: System, client: Client, executors: list[int], number: int) -> None:
    """Ms from an execute to its ``ok`` packet, and to its answer."""
    rows = []
    for count in executors:
        await system.have(count)
        seen, answered = await workloads.latencies(client, number)
        for name, times in (("ok packet", seen), ("answer", answered)):
            p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
            rows.append([str(count), name, f"{p50:.2f}", f"{p99:.2f}", str(len(times))])
    table(f"execute → …, ms; {load()}", ["executors", "", "p50", "p99", "n"], rows)


async def costs(system: System, client: Client, size: int) -> None:
    """What a task costs."""
    await system.have(1)
    rows: dict[str, list[str]] = defaultdict(list)
    works: dict[str, tuple[int, Coroutine[Any, Any, float]]] = {
        f"fan-out of {size:,}": (size + 2, workloads.fan_out(client, size)),
        "50 chains of 20": (workloads.CHAINS * workloads.LENGTH, workloads.chains(client)),
        "one chain of 100": (workloads.STEPS, workloads.step(client)),
    }
    for tasks, work in works.values():
        await asyncio.sleep(STATISTICS_SECONDS)
        traffic, used, own = system.traffic(), system.cpu(), time.process_time()
        await work
        own = time.process_time() - own
        after = system.cpu()
        spent = {name: after[name] - seconds for name, seconds in used.items()} | {"client": own}
        await asyncio.sleep(STATISTICS_SECONDS)
        passed = system.traffic()
        for name, seconds in spent.items():
            rows[f"CPU of {name}, µs"].append(f"{seconds / tasks * 1e6:,.0f}")
        rows["CPU of all, µs"].append(f"{sum(spent.values()) / tasks * 1e6:,.0f}")
        for name in ("to executor", "to scheduler", "to storage"):
            rows[f"messages {name}"].append(f"{(passed[name] - traffic[name]) / tasks:.3f}")
        rows["bytes to the broker"].append(f"{(passed['bytes'] - traffic['bytes']) / tasks:,.0f}")
    table(f"what a task costs; {load()}", ["", *works], [[name, *values] for name, values in rows.items()])


def bare(number: int) -> float:
    """Seconds for so many items of work in a pool of two processes."""
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(workloads.busy, range(4)))
        began = time.perf_counter()
        list(pool.map(workloads.busy, range(number)))
        return time.perf_counter() - began


async def work(system: System, client: Client, number: int, repeats: int) -> None:
    """How near to a bare pool of processes we are with tasks that take their time."""
    figures: Figures = defaultdict(list)
    for _ in range(repeats):
        for executors, process in ((1, True), (2, False), (2, True)):
            await system.have(executors)
            await workloads.run(client, "work", 4, process=process)
            name = f"{executors} executors, {'processes' if process else 'threads'}"
            figures[name].append(await workloads.run(client, "work", number, process=process))
        figures["a pool of 2 processes"].append(await asyncio.to_thread(bare, number))
    rows = [[name, spread(values, 2)] for name, values in figures.items()]
    table(f"{number:,} tasks of 20 ms CPU, s; {load()}", ["", "s"], rows)


async def memory(system: System, client: Client, idle: int, size: int) -> None:
    """The memory of each service, and what idle instances cost."""
    await system.have(1)
    await workloads.run(client, "fan", 200)
    stages = {"at first": system.memory()}

    async def create(number: int) -> None:
        for _ in range(number):
            await client.create("chain", {"n": 1})

    began = time.perf_counter()
    await asyncio.gather(*[create(idle // 50) for _ in range(50)])
    rate = idle / (time.perf_counter() - began)
    stages[f"{idle:,} idle instances"] = system.memory()
    used, began = system.cpu(), time.perf_counter()
    await asyncio.sleep(10)
    idling = {name: after - used[name] for name, after in system.cpu().items()}
    seconds = time.perf_counter() - began
    await workloads.run(client, "fan", size)
    stages[f"after {size:,} tasks"] = system.memory()
    _, before, after = stages.values()
    rows = [
        [
            role,
            *(f"{values[role] / 1e6:,.0f}" for values in stages.values()),
            f"{(after[role] - before[role]) / size:,.0f}",
            f"{idling[role] / seconds:.1%}",
        ]
        for role in ROLES
    ]
    header = ["", *stages, "bytes a task", "CPU when idle"]
    table(f"memory, MB; created at {rate:,.0f}/s; {load()}", header, rows)


async def side_by_side(system: System, client: Client, others: list[peers.Peer], rounds: int) -> None:
    """Ours and others, in turns."""
    await system.have(2)
    ours: Figures = defaultdict(list)
    for _ in range(rounds):
        seen, _ = await workloads.latencies(client, 200)
        ours["p50, ms"].append(percentile(seen, 0.5))
        ours["step, ms"].append(await workloads.step(client))
        ours["chains, tasks/s"].append(await workloads.chains(client))
        for size in peers.SIZES:
            ours[f"fan-out {size:,}, tasks/s"].append(await workloads.fan_out(client, size))
        for peer in others:
            await asyncio.to_thread(peer.run)
    rows = []
    for name, values in ours.items():
        row = [name, spread(values, 2 if name.endswith("ms") else 0)]
        for peer in others:
            theirs = peer.figures.get(name)
            if not theirs:
                row += ["–", "–"]
                continue
            ratio = median(values) / median(theirs)
            row += [spread(theirs, 2 if name.endswith("ms") else 0), f"{ratio:.2f}"]
        rows.append(row)
    header = ["", "ours", *(cell for peer in others for cell in (peer.name, "ours : it"))]
    table(f"side by side, on the same servers; {load()}", header, rows)


async def measure(system: System, wanted: list[str], options: argparse.Namespace) -> None:
    """Measures what is wanted."""
    quick = options.quick
    executors = [int(number) for number in options.executors.split(",")]
    repeats = 1 if quick else 3
    async with Client(system.cluster.url) as client:
        for number in executors:
            await system.have(number)
            for size in (2_000, 10_000):
                await workloads.run(client, "fan", size)
        if "fan" in wanted:
            sizes = [200, 2_000, 10_000] if quick else [200, 2_000, 10_000, 100_000]
            await fan_out(system, client, executors, sizes, repeats)
        for name, title, digits, what in (
            ("chains", "50 chains of 20 at once, tasks/s", 0, workloads.chains),
            ("step", "one chain of 100, ms per step", 2, workloads.step),
        ):
            if name in wanted:
                rates = await interleaved(system, executors, repeats, lambda: what(client))  # noqa: B023
                rows = [[str(number), spread(values, digits)] for number, values in rates.items()]
                table(f"{title}; {load()}", ["executors", title.rpartition(", ")[2]], rows)
        if "latency" in wanted:
            await latency(system, client, executors, 100 if quick else 500)
        if "work" in wanted:
            await work(system, client, 50 if quick else 500, 1 if quick else 2)
        if "costs" in wanted:
            await costs(system, client, 2_000 if quick else 10_000)
        if options.peers is not None:
            found = peers.find(options.peers, options.peers_python, system.broker, system.records)
            await side_by_side(system, client, found, 1 if quick else 3)
    if "memory" in wanted:
        await asyncio.to_thread(system.renew)
        async with Client(system.cluster.url) as client:
            await memory(system, client, 1_000 if quick else 10_000, 10_000 if quick else 100_000)


def main() -> None:
    """Starts everything, and measures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller and fewer runs")
    parser.add_argument("--only", default=",".join(MEASURES), help="which measures, separated by commas")
    parser.add_argument("--executors", default="1,2", help="how many, in turns: 1, 2 or 1,2")
    parser.add_argument("--peers", type=Path, help="a folder with other systems' scripts")
    parser.add_argument("--peers-python", type=Path, help="the Python that has their libraries")
    parser.add_argument(
        "--logs", type=Path, help="a folder for the logs of servers and services, which stays"
    )
    options = parser.parse_args()
    wanted = options.only.split(",")
    if unknown := set(wanted) - {*MEASURES, ""}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    before = load()
    with Keeper(options.logs) as keeper:
        system = System(keeper)
        times = [[role, f"{seconds:.2f}"] for role, seconds in system.start().items()]
        table(f"from start to ready, s; {before} before that", ["", "s"], times)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(measure(system, wanted, options))
        system.cluster.stop()


if __name__ == "__main__":
    main()
