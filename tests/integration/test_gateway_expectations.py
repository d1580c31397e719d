"""A gateway tells how long tasks usually take, and waits for nobody to do so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from taskpath_proto.calls import Query
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import ExpectedTime
from taskpath_proto.records import InstanceStatus, TaskChange, TaskStatus
from taskpath_services.gateway import expectations
from taskpath_services.gateway.expectations import AGAIN_MS, FRESH_MS
from tests.support.gateway import Running, running

ALBUM = ("default", "album")


@pytest.fixture
async def gateway() -> AsyncIterator[Running]:
    async with running() as made:
        yield made


class Asked:
    """Counts how often storage is asked, and answers as it is told."""

    def __init__(self, then: Callable[[], Awaitable[None]] | None = None) -> None:
        self.times = 0
        self._then = then

    async def __call__(self, query: Query) -> None:
        self.times += 1
        if self._then is not None:
            await self._then()


async def expected(gateway: Running, path: str = "#.list") -> int | None:
    shown = await gateway.call("GET", "/instances/i")
    duration: int | None = shown["statuses"][path].get("expectedDuration")
    return duration


async def test_it_is_in_documents_and_records(gateway: Running) -> None:
    gateway.system.create("i")
    gateway.system.expected[ALBUM] = {"#.list": ExpectedTime(1_500, 90), "#.publish": ExpectedTime(7)}
    assert await expected(gateway) == 1_500
    record = await gateway.call("GET", "/instances/i/tasks/%23.list")
    assert (record["expectedDuration"], record["expectedSpread"]) == (1_500, 90)
    record = await gateway.call("GET", "/instances/i/tasks/%23.publish.cdn")
    assert "expectedDuration" not in record
    created = await gateway.call("POST", "/instances", 201, workflow="album")
    assert created["statuses"]["#.publish"]["expectedDuration"] == 7
    assert "expectedSpread" not in created["statuses"]["#.publish"]


async def test_a_workflow_is_asked_for_once_for_a_while(gateway: Running) -> None:
    asked = gateway.system.expecting = Asked()
    gateway.system.create("i")
    assert await expected(gateway) is None
    gateway.system.expected[ALBUM] = {"#.list": ExpectedTime(5)}
    for _ in range(3):
        assert await expected(gateway) is None
    assert asked.times == 1
    gateway.clock.move(FRESH_MS / 1000)
    assert await expected(gateway) == 5
    assert asked.times == 2


async def test_storage_that_cannot_tell_is_left_alone_for_a_while(gateway: Running) -> None:
    async def refuse() -> None:
        raise TaskpathError(ErrorCode.UNAVAILABLE, "The index is away.")

    gateway.system.create("i")
    gateway.system.expected[ALBUM] = {"#.list": ExpectedTime(5)}
    assert await expected(gateway) == 5
    gateway.clock.move(FRESH_MS / 1000)
    asked = gateway.system.expecting = Asked(refuse)
    for _ in range(3):
        assert await expected(gateway) == 5
    assert asked.times == 1
    gateway.clock.move(AGAIN_MS / 1000)
    gateway.system.expecting = None
    gateway.system.expected[ALBUM] = {"#.list": ExpectedTime(9)}
    assert await expected(gateway) == 9


async def test_nobody_waits_long_for_an_answer(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expectations, "PATIENCE", 0.01)
    answer = asyncio.Event()

    async def wait() -> None:
        await answer.wait()

    asked = gateway.system.expecting = Asked(wait)
    gateway.system.create("i")
    gateway.system.expected[ALBUM] = {"#.list": ExpectedTime(5)}
    # Only the first waits at all.
    for _ in range(3):
        assert await expected(gateway) is None
        monkeypatch.setattr(expectations, "PATIENCE", 1_000)
    assert asked.times == 1
    answer.set()
    await gateway.settle()
    assert await expected(gateway) == 5


async def test_only_so_many_workflows_are_kept(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expectations, "MOST_PATHS", 3)
    asked = gateway.system.expecting = Asked()
    for realm in "abc":
        gateway.system.create(realm, realm=realm)
        gateway.system.expected[realm, "album"] = {"#.list": ExpectedTime(5), "#.publish": ExpectedTime(5)}
    for turn, realm in enumerate("aabba", 1):
        shown = await gateway.call("GET", f"/instances/{realm}")
        assert shown["statuses"]["#.list"]["expectedDuration"] == 5, turn
    assert asked.times == 3


async def test_who_watches_is_told_and_told_anew_when_it_runs_again(gateway: Running) -> None:
    gateway.system.create("i")
    async with gateway.client() as client:
        _, statuses, _ = await client.watch("i")
        assert "expectedDuration" not in statuses["statuses"]["#.list"]
        gateway.system.expected[ALBUM] = {"#.list": ExpectedTime(1_500), "#.publish": ExpectedTime(0)}
        gateway.clock.move(FRESH_MS / 1000)
        running_ = TaskChange(path="#.list", status=TaskStatus.RUNNING)
        gateway.system.change("i", running_, status=InstanceStatus.WORKING)
        seen: dict[str, int] = {}
        while len(seen) < 2:
            await gateway.pass_time(0.1)
            packet = await client.next()
            for path, state in packet.get("statuses", {}).items():
                if "expectedDuration" in state:
                    seen[path] = state["expectedDuration"]
        assert seen == {"#.list": 1_500, "#.publish": 0}
        assert packet["baseRevision"] == packet["revision"] == 2
