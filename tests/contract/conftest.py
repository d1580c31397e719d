"""The system under test, which ``TASKPATH_TEST_SYSTEM`` names: started for each test, used from outside."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeAlias

import aiohttp
import pytest

from taskpath.client import Client
from tests.contract.systems import SYSTEMS
from tests.contract.world import World

APP = Path(__file__).with_name("app.py")

Start: TypeAlias = Callable[..., Awaitable[World]]


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", "contract(*rows): the rows of the contract that a test shows")


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a system with these settings: ``await start(max_body=1024)``; it stops with the test."""
    name = os.environ.get("TASKPATH_TEST_SYSTEM", "embedded")
    if name not in SYSTEMS:
        pytest.fail(f"TASKPATH_TEST_SYSTEM is {name!r}; expected is one of {', '.join(SYSTEMS)}")
    async with AsyncExitStack() as stack:

        async def begin(**settings: object) -> World:
            started = SYSTEMS[name](APP, tmp_path / "system", **{"grace": 2, **settings})
            url = await stack.enter_async_context(started)
            client = await stack.enter_async_context(Client(url))
            http = await stack.enter_async_context(aiohttp.ClientSession(url))
            world = World(url, client, http, tmp_path)
            stack.callback(world.go)
            return world

        yield begin


@pytest.fixture
async def system(start: Start) -> World:
    """A system with the usual settings."""
    return await start()
