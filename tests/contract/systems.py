"""The systems that the contract's tests run against: the same tests, by settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from taskpath.app import load
from tests.support.over_servers import over_servers
from tests.support.servers import MariaDB, RabbitMQ, Redis
from tests.support.system import embedded

System: TypeAlias = Callable[..., AbstractAsyncContextManager[str]]
"""Starts a system that serves an app, with its data in a folder and these settings; gives its address."""


def _embedded(request: pytest.FixtureRequest) -> System:
    @asynccontextmanager
    async def start(app: Path, folder: Path, **settings: Any) -> AsyncIterator[str]:
        async with embedded(load(str(app)), folder, **settings) as system:
            yield system.url

    return start


def _servers(request: pytest.FixtureRequest) -> System:
    broker: RabbitMQ = request.getfixturevalue("rabbitmq")
    records: Redis = request.getfixturevalue("redis")
    index: MariaDB = request.getfixturevalue("mariadb")

    @asynccontextmanager
    async def start(app: Path, folder: Path, **settings: Any) -> AsyncIterator[str]:
        usual: dict[str, Any] = {
            "broker": broker.new_vhost(),
            "records": records.new_database(),
            "index": index.new_database(),
            "partitions": 2,
        }
        try:
            async with over_servers(load(str(app)), **{**usual, **settings}) as url:
                yield url
        finally:
            broker.remove_vhost(usual["broker"])

    return start


SYSTEMS: Final[Mapping[str, Callable[[pytest.FixtureRequest], System]]] = {
    "embedded": _embedded,
    "servers": _servers,
}
"""By name. ``TASKPATH_TEST_SYSTEM`` names the one to test; without it, it is all of them."""
