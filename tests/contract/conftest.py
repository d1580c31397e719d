"""The systems under test: started for each test, used from outside.

Each test runs once for each system, or for the one that ``TASKPATH_TEST_SYSTEM`` names.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeAlias

import aiohttp
import pytest

from taskpath.client import Client
from tests.contract.systems import SYSTEMS, System
from tests.contract.world import World

APP = Path(__file__).with_name("app.py")

Start: TypeAlias = Callable[..., Awaitable[World]]


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", "contract(*rows): the rows of the contract that a test shows")
    config.addinivalue_line("markers", "embedded: a test of what only the embedded system has")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that starts a system once for each of them."""
    if "begin_system" not in metafunc.fixturenames:
        return
    name = os.environ.get("TASKPATH_TEST_SYSTEM")
    if name is not None and name not in SYSTEMS:
        pytest.fail(f"TASKPATH_TEST_SYSTEM is {name!r}; expected is one of {', '.join(SYSTEMS)}")
    names = [name] if name is not None else list(SYSTEMS)
    if metafunc.definition.get_closest_marker("embedded") is not None:
        names = ["embedded"]
    metafunc.parametrize("begin_system", names, indirect=True)


@pytest.fixture
def begin_system(request: pytest.FixtureRequest) -> System:
    """What starts the system under test."""
    return SYSTEMS[request.param](request)


@pytest.fixture
async def start(begin_system: System, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a system with these settings: ``await start(max_body=1024)``; it stops with the test."""
    async with AsyncExitStack() as stack:

        async def begin(**settings: object) -> World:
            started = begin_system(APP, tmp_path / "system", **{"grace": 2, **settings})
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
