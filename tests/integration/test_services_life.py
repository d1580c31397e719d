"""How a service in a process of its own begins, waits, tells how it is, and ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.error
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily

from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.clock import SystemClock
from taskpath.runtime.service import Service
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_services.cli.service import Alone
from taskpath_services.storage.faults import StoreUnavailable
from tests.support.cluster import ServiceProcess
from tests.support.servers import Keeper, RabbitMQ

ALBUM = Path("examples/album/app.py")


class Toy(Service):
    """A service whose start and end are the test's."""

    def __init__(self, starts: Callable[[], None] | None = None) -> None:
        super().__init__("toy")
        self._starts = starts
        self.started = asyncio.Event()
        self.work: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def on_start(self) -> None:
        if self._starts is not None:
            self._starts()
        self.spawn(self._work(), "work")
        self.started.set()

    async def _work(self) -> None:
        await self.work

    def metrics(self) -> Iterable[Metric]:
        yield CounterMetricFamily("taskpath_toys", "Toys made", value=7)


@asynccontextmanager
async def running(keeper: Keeper, *toys: Toy) -> AsyncIterator[tuple[asyncio.Task[int], str]]:
    """Runs the toys, each in place of the one before that could not start."""
    settings = Settings.read({}, port=keeper.port(), grace=0.2)
    line = iter(toys)
    alone = Alone("toy", settings, MemoryBus(), SystemClock(), lambda bus, clock: next(line))
    task = asyncio.create_task(alone.run())
    try:
        yield task, f"http://127.0.0.1:{settings.port}"
    finally:
        if not task.done():
            os.kill(os.getpid(), signal.SIGTERM)
            await task


async def ask(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def test_it_serves_health_and_the_figures_of_its_service(keeper: Keeper) -> None:
    toy = Toy()
    async with running(keeper, toy) as (task, url):
        await toy.started.wait()
        assert await ask(url + "/healthz") == (200, '{"status":"ok","reason":null}')
        assert (await ask(url + "/readyz"))[0] == 200
        status, figures = await ask(url + "/metrics")
        assert status == 200
        for line in ("taskpath_toys_total 7.0", "taskpath_ready 1.0", "taskpath_broker_connected 1.0"):
            assert line in figures
        assert "process_resident_memory_bytes" in figures
        os.kill(os.getpid(), signal.SIGTERM)
        assert await task == 0
        assert not toy.ready


async def test_it_waits_for_a_store_that_is_away_when_it_starts(keeper: Keeper) -> None:
    away = asyncio.Event()

    def fails() -> None:
        away.set()
        raise StoreUnavailable("the shelf is locked")

    second = Toy()
    async with running(keeper, Toy(fails), second) as (task, url):
        await away.wait()
        status, said = await ask(url + "/readyz")
        assert status == 503
        assert "the shelf is locked" in said
        # Whoever looks for what the service will serve here is told to come again, not that there is nothing.
        async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/instances") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert (await answer.json())["error"]["code"] == "UNAVAILABLE"
        assert (await ask(url + "/healthz"))[0] == 200
        await second.started.wait()
        assert (await ask(url + "/readyz"))[0] == 200
        assert (await ask(url + "/api/v1/instances"))[0] == 404
        assert not task.done()


async def test_a_service_that_fails_ends_the_process_with_1(keeper: Keeper) -> None:
    toy = Toy()
    async with running(keeper, toy) as (task, _):
        await toy.started.wait()
        toy.work.set_exception(RuntimeError("broken"))
        assert await task == 1
        assert not toy.ready


async def test_a_setting_that_only_a_server_can_judge_ends_it_with_2(
    keeper: Keeper, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise SettingsError("TASKPATH_PARTITIONS is 3; expected is 4.")

    async with running(keeper, Toy(fails)) as (task, _):
        assert await task == 2
    assert "TASKPATH_PARTITIONS is 3; expected is 4." in capsys.readouterr().err


def test_it_waits_for_the_broker_and_ends_in_order(keeper: Keeper, rabbitmq: RabbitMQ) -> None:
    broker = rabbitmq.new_vhost()
    rabbitmq.kill()
    service = ServiceProcess(keeper, "executor", ALBUM, {"TASKPATH_BROKER": broker})
    unlucky = ServiceProcess(keeper, "scheduler", ALBUM, {"TASKPATH_BROKER": broker})
    try:
        for process in (service, unlucky):
            process.launch()
            process.wait_until(process.is_alive)
            with pytest.raises(urllib.error.HTTPError) as refused:
                process.ask("/readyz")
            assert refused.value.code == 503
            assert b"the broker is waited for" in refused.value.read()
        assert unlucky.stop() == 0
    finally:
        rabbitmq.start()
    service.wait_ready()
    assert "taskpath_broker_connected 1.0" in service.ask("/metrics")
    assert service.stop() == 0
    lines = service.log.read_text().splitlines()
    assert lines
    for line in lines:
        assert "event" in json.loads(line)
