"""A gateway that has just come: what it makes sure of, and what callers see meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.clock import ManualClock
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_proto import topology
from taskpath_proto.events import AnnounceYourself
from taskpath_proto.queries import AskPartitions
from taskpath_services.gateway.acquaintance import HEAR_SECONDS
from taskpath_services.gateway.directory import AWAY_MS
from taskpath_services.gateway.service import GatewayService
from taskpath_services.scheduler.service import SchedulerService
from tests.support.gateway import Running, running
from tests.support.small_system import SmallSystem

ALBUM = {"workflow": "album"}


@asynccontextmanager
async def young(**flags: Any) -> AsyncIterator[Running]:
    """A gateway that has just started, on a bus with nobody else."""
    clock, bus = ManualClock(), MemoryBus()
    await bus.start()
    gateway = GatewayService(bus, clock, Settings.read({}, port=0, **flags))
    await gateway.start()
    async with aiohttp.ClientSession(gateway.url) as http:
        yield Running(gateway, bus, SmallSystem(bus), clock, http)
    await gateway.stop()
    await bus.stop()


async def status(gateway: Running, path: str) -> int:
    async with gateway.http.get(path) as answer:
        return answer.status


async def test_it_waits_for_storage_and_is_not_ready_before() -> None:
    async with young() as gateway:
        gateway.system.announce()
        await gateway.settle()
        assert (await status(gateway, "/healthz"), await status(gateway, "/readyz")) == (200, 503)
        early = asyncio.ensure_future(gateway.call("GET", "/instances"))
        await gateway.settle()
        assert not early.done()
        async with gateway.system.running():
            assert await early == {"items": [], "nextCursor": None}
            assert await status(gateway, "/readyz") == 200


async def test_who_waits_too_long_for_storage_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taskpath_services.gateway.opening.WAIT_SECONDS", 0.0)
    async with young() as gateway:
        answer = await gateway.call("GET", "/instances", 503)
        assert answer["error"]["code"] == "UNAVAILABLE"
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await gateway.http.ws_connect("/ws")
        assert refused.value.status == 503
        assert refused.value.headers is not None
        assert refused.value.headers["Retry-After"]


async def test_another_number_of_partitions_ends_gateway_and_scheduler() -> None:
    async with young(partitions=3) as gateway:
        async with gateway.system.running():
            with pytest.raises(SettingsError) as wrong:
                await gateway.gateway.wait()
            scheduler = SchedulerService(gateway.bus, gateway.clock, Settings(partitions=3))
            with pytest.raises(SettingsError, match="TASKPATH_PARTITIONS is 3; expected is 4"):
                await scheduler.start()
        assert str(wrong.value).startswith("TASKPATH_PARTITIONS is 3; expected is 4")


async def test_storage_is_asked_again_until_it_answers() -> None:
    async with young() as gateway:
        await gateway.bus.lose()
        await gateway.settle()
        gateway.bus.restore()
        async with gateway.system.running():
            gateway.system.announce()
            await gateway.pass_time(HEAR_SECONDS + 1)
            await gateway.system.heard(AskPartitions)
            assert await status(gateway, "/readyz") == 200


async def test_a_workflow_may_yet_become_known_in_the_first_moment() -> None:
    async with young() as gateway, gateway.system.running():
        early = asyncio.ensure_future(gateway.call("POST", "/instances", 201, **ALBUM))
        listed = asyncio.ensure_future(gateway.call("GET", "/workflows"))
        await gateway.settle()
        gateway.system.announce("e1", "other")
        assert [workflow["name"] for workflow in (await listed)["items"]] == ["other"]
        assert not early.done()
        gateway.system.announce("e2", "album")
        assert (await early)["workflow"] == "album"


async def test_after_that_moment_it_is_unknown() -> None:
    async with young() as gateway, gateway.system.running():
        gateway.system.announce("e1", "other")
        early = asyncio.ensure_future(gateway.call("POST", "/instances", 404, **ALBUM))
        await gateway.settle()
        assert not early.done()
        await gateway.pass_time(HEAR_SECONDS)
        assert (await early)["error"]["code"] == "UNKNOWN_WORKFLOW"


async def test_without_executors_it_is_ready_in_a_moment() -> None:
    async with young() as gateway, gateway.system.running():
        await gateway.system.heard(AskPartitions)
        assert await status(gateway, "/readyz") == 503
        await gateway.pass_time(HEAR_SECONDS)
        assert await status(gateway, "/readyz") == 200
        answer = await gateway.call("POST", "/instances", 503, **ALBUM)
        assert answer["error"]["code"] == "NO_EXECUTOR"


async def test_executors_are_asked_to_announce_themselves_at_the_start_and_after_a_lost_connection() -> None:
    clock, bus = ManualClock(), MemoryBus()
    await bus.start()
    heard = await bus.subscribe(topology.EXECUTORS)
    gateway = GatewayService(bus, clock, Settings(port=0))
    await gateway.start()
    assert await heard.take() == [AnnounceYourself()]
    await bus.lose()
    bus.restore()
    heard = await bus.subscribe(topology.EXECUTORS)
    assert await heard.take() == [AnnounceYourself()]
    await gateway.stop()
    await bus.stop()


async def test_after_a_lost_connection_executors_have_a_moment_to_be_heard_again() -> None:
    async with running() as gateway:
        await gateway.bus.lose()
        await gateway.pass_time(AWAY_MS / 1000 + 1)
        gateway.bus.restore()
        await gateway.system.open()
        await gateway.settle()
        early = asyncio.ensure_future(gateway.call("POST", "/instances", 201, **ALBUM))
        await gateway.settle()
        assert not early.done()
        gateway.system.announce()
        await early


async def test_who_cannot_be_heard_is_not_said_to_be_away() -> None:
    async with running() as gateway:
        await gateway.call("POST", "/instances", 201, **ALBUM)
        await gateway.pass_time(AWAY_MS / 1000 + 1)
        answer = await gateway.call("POST", "/instances", 503, **ALBUM)
        assert answer["error"]["code"] == "NO_EXECUTOR", "the broker answers, and nobody is heard"
        await gateway.bus.lose()
        answer = await gateway.call("POST", "/instances", 503, **ALBUM)
        assert answer["error"]["code"] == "UNAVAILABLE"
        assert "broker" in answer["error"]["message"]
