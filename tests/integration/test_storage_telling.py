"""Storage tells that the index has changed: when it has, not too often, and again if nobody took it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from taskpath.runtime.buses.memory import MemoryBus
from taskpath_proto import topology
from taskpath_proto.events import IndexChanged
from taskpath_services.storage.telling import AGAIN, INTERVAL, Telling
from tests.support.storage import System, WatchedClock, created


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    bus = MemoryBus()
    await bus.start()
    yield bus
    await bus.stop()


async def test_it_is_told_at_the_start_and_then_not_too_often(bus: MemoryBus) -> None:
    clock = WatchedClock()
    heard = await bus.subscribe(topology.INDEX)
    telling = Telling(bus, clock)
    await telling.start()
    assert await heard.take() == [IndexChanged()]
    await clock.asleep(INTERVAL)
    for _ in range(3):
        for _ in range(50):
            telling.changed()
        clock.move(INTERVAL)
        await clock.asleep(INTERVAL)
        assert await heard.take() == [IndexChanged()]
    await telling.stop()


async def test_what_the_bus_did_not_take_is_told_again(bus: MemoryBus) -> None:
    clock = WatchedClock()
    await bus.lose()
    telling = Telling(bus, clock)
    await telling.start()
    await clock.asleep(AGAIN)
    bus.restore()
    heard = await bus.subscribe(topology.INDEX)
    clock.move(AGAIN)
    assert await heard.take() == [IndexChanged()]
    await telling.stop()


async def test_it_is_told_when_the_index_has_the_change(tmp_path: Path) -> None:
    system = System(tmp_path)
    await system.start()
    await system.clock.asleep(INTERVAL)
    heard = await system.bus.subscribe(topology.INDEX)
    taken = asyncio.ensure_future(heard.take())
    with closing(sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)) as other:
        other.execute("begin immediate")
        safe = system.publish(created())
        await system.clock.asleep(0.1)
        system.clock.move(INTERVAL)  # it is tried again, and would be told if there were anything to tell
        await system.clock.asleep(0.2)
        assert not taken.done()
        other.execute("rollback")
    system.clock.move(0.2)
    await taken
    assert await system.listed() == ["a"]
    await safe
    await system.stop()
