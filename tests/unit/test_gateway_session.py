"""A session by itself: what does not need a socket."""

from __future__ import annotations

import asyncio
import gc
import warnings

from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import SystemClock
from taskpath_services.gateway.acquaintance import Acquaintance
from taskpath_services.gateway.commands import Commands
from taskpath_services.gateway.directory import Directory
from taskpath_services.gateway.expectations import Expectations
from taskpath_services.gateway.lists import Lists
from taskpath_services.gateway.metrics import Metrics
from taskpath_services.gateway.reads import Reads
from taskpath_services.gateway.session import Session
from taskpath_services.gateway.values import Values
from taskpath_services.gateway.watches import Watches


def session() -> Session:
    bus, clock = MemoryBus(), SystemClock()
    caller = Caller(bus, clock, "test")
    reads = Reads(caller)
    acquaintance = Acquaintance(bus, clock, Directory(clock.now()))
    commands = Commands(caller, 1, acquaintance, Values(caller, 1_000_000, 1.0))
    watches = Watches(bus, clock, 1, reads, Expectations(caller, clock), Metrics())
    return Session(commands, watches, Lists(bus, clock, reads), reads)


async def test_a_session_that_ends_before_its_work_has_begun_leaves_nothing_unawaited() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        short = session()
        short.receive(b'{"type":"watchInstances"}')
        others = asyncio.all_tasks() - {asyncio.current_task()}
        short.close()
        await asyncio.gather(*others, return_exceptions=True)
        del short, others
        gc.collect()
    assert [str(one.message) for one in heard] == []
