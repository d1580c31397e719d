"""RabbitMQ, Redis, MariaDB or storage away, and back: callers are told in time, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import time
import uuid

import aiohttp
import pytest

from taskpath.client import Client
from tests.faults.judge import Excuse, judge
from tests.faults.load import Load
from tests.faults.system import System, shown

pytestmark = pytest.mark.timeout(120)

BODIES = 300
HANG = 30.0
"""Seconds. A read is given 10, a command 15; what takes longer hangs."""


async def test_a_broker_is_killed_and_comes_back_with_its_data(system: System) -> None:
    async with system.load(may_lose=True) as load:
        await load.more(BODIES)
        since = time.monotonic()
        system.broker.kill()
        await refused(system.cluster.url, "POST", "/instances", {"workflow": "chain", "data": 1})
        await asyncio.to_thread(system.broker.start)
        await load.more(BODIES)
        excuse = Excuse(since, time.monotonic())
        await load.end()
    judge(load, excuse)


async def test_redis_is_killed_and_has_lost_nothing(system: System) -> None:
    async with system.load() as load:
        await load.more(BODIES)
        system.records.kill()
        await refused(system.cluster.url, "GET", f"/instances/{load.accepted[0].id}")
        await asyncio.to_thread(system.records.start)
        await load.more(BODIES)
        await load.end()
    judge(load)


async def test_redis_loses_its_last_second(system: System) -> None:
    """As with ``appendfsync everysec`` or ``no``, and a machine that goes down."""
    journal = system.journal
    async with system.load() as load:
        first, second = (f"{uuid.uuid4().hex}" for _ in range(2))
        made = await load.client.create("gates", {"items": [first] * 5 + [second] * 5}, execute=True)
        await asyncio.to_thread(journal.until, lambda _: len(journal.calls(made.id)) == 11)
        await load.ended("chain")
        (written,) = (system.records.folder / "appendonlydir").glob("*.incr.aof")
        kept = written.stat().st_size
        # All this is committed, and will be gone: some of it has ended, and one goes on afterwards.
        await load.more(BODIES)
        journal.open(first)
        await system.until(lambda: shown(system, made.id).count("ok") == 6)
        await load.end()
        system.records.kill()
        os.truncate(written, kept)
        await asyncio.to_thread(system.records.start)
        gaps = system.counted("storage", GAPS)
        journal.open(second)
        ended = await load.client.wait(made.id, timeout=60)
        assert ended.status == "done"
        assert system.counted("storage", GAPS) > gaps
        await system.until(lambda: not fallen(system, load))
    judge(load)
    assert len(journal.calls(made.id)) == 11


GAPS = 'taskpath_storage_events_total{outcome="gap"}'


def fallen(system: System, load: Load) -> list[str]:
    """What does not stand in the records as it was read before Redis fell back."""
    return [
        one.id
        for one in load.accepted
        if shown(system, one.id)
        != ([] if one.seen is None else [str(state.status) for state in one.seen.statuses.values()])
    ]


async def test_storage_is_away(system: System) -> None:
    async with system.load() as load:
        url, ended = system.cluster.url, (await load.ended("chain")).id
        for storage in system.cluster.storage:
            storage.kill()
        await asyncio.gather(
            refused(url, "GET", f"/instances/{ended}"),
            refused(url, "GET", "/instances"),
            # A cancel of what has ended changes nothing: nothing has to be stored before it is answered.
            refused(url, "PATCH", f"/instances/{ended}", {"name": "what cannot be stored"}),
        )
        for storage in system.cluster.storage:
            await asyncio.to_thread(storage.start)
        await load.more(BODIES)
        await load.end()
    judge(load)


async def test_mariadb_is_away(system: System) -> None:
    async with system.load() as load:
        await load.more(BODIES)
        system.index.kill()
        await refused(system.cluster.url, "GET", "/instances")
        known = load.accepted[0].id
        async with Client(system.cluster.url) as client:
            assert (await client.get(known)).id == known
            # Only lists need the index.
            made = await client.create("chain", 1, execute=True)
            assert (await client.wait(made.id, timeout=HANG)).status == "done"
        assert '"ready"' in system.cluster.gateway[1].ask("/readyz")
        await asyncio.to_thread(system.index.start)
        await load.more(BODIES)
        await load.end()
    judge(load)
    await listed_rightly(system, load)
    async with Client(system.cluster.url) as client:
        assert made.id in {item.id for item in (await client.list(workflow="chain", limit=200)).items}


async def listed_rightly(system: System, load: Load) -> None:
    """Returns when the list shows how all have ended; what it shows of how far they are may come later."""
    expected = {one.id: str(one.seen.status) for one in load.accepted if one.seen is not None}

    async def listed(client: Client) -> dict[str, str]:
        found: dict[str, str] = {}
        cursor: str | None = None
        while True:
            page = await client.list(limit=200, cursor=cursor)
            found |= {item.id: str(item.status) for item in page.items}
            cursor = page.next_cursor
            if cursor is None or expected.keys() <= found.keys():
                return found

    async with Client(system.cluster.url) as client:
        found = await listed(client)
    assert {id: found.get(id) for id in expected} == expected
    ephemeral = {one.id for one in load.accepted if one.ephemeral}
    assert not ephemeral & found.keys()


async def refused(url: str, method: str, path: str, body: object = None) -> None:
    """What is asked is answered with 503, and when to ask again."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(HANG)) as session,
        session.request(method, f"{url}/api/v1{path}", json=body) as answer,
    ):
        said = await answer.json()
        assert answer.status == 503, (method, path, said)
        assert said["error"]["code"] == "UNAVAILABLE"
        assert int(answer.headers["Retry-After"]) >= 1
