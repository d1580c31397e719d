"""Real servers that stall: every call is answered in its time, by a 503 that says when to come again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import aiohttp
import msgspec
import pytest
import yarl

from taskpath import App, Task
from taskpath.client import Client
from taskpath_services.gateway import catching, commands, opening, service, watches
from tests.support.over_servers import over_servers
from tests.support.servers import MariaDB, Program, RabbitMQ, Redis

app: Final = App()


@app.workflow("one")
def one(data: Any) -> list[Task]:
    """One task."""
    return [Task("a", lambda arg: arg)]


TASK: Final = "/instances/{id}/tasks/%23.a"
LARGE: Final = {"workflow": "one", "data": "x" * 200_000}
CALLS: Final[list[tuple[str, str, Any]]] = [
    ("POST", "/instances", {"workflow": "one"}),
    ("POST", "/instances", LARGE),
    ("GET", "/instances", None),
    ("GET", "/instances/{id}", None),
    ("GET", "/instances/{id}?minRevision=1000", None),
    ("PATCH", "/instances/{id}", {"name": "n"}),
    ("POST", "/instances/{id}/execute", {}),
    ("POST", "/instances/{id}/cancel", {}),
    ("GET", TASK, None),
    ("GET", f"{TASK}/result", None),
    ("PUT", f"{TASK}/contextUpdaters", {"updaters": []}),
    ("GET", f"{TASK}/logs", None),
    ("GET", "/instances/{id}/events", None),
    ("DELETE", "/realms/nobody/instances", None),
    ("GET", "/workflows", None),
    ("GET", "/executors", None),
    ("GET", "/openapi.json", None),
]
UNTOUCHED: Final = {"/workflows", "/executors", "/openapi.json"}
"""What a gateway answers by itself."""
READ_FROM_RECORDS: Final = {"/instances/{id}", TASK, f"{TASK}/result", f"{TASK}/logs"}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wants to wait for so long here."""
    for module, name in (
        (service, "READ_SECONDS"), (catching, "READ_SECONDS"), (commands, "GENERATOR_SECONDS"),
        (commands, "COMMAND_SECONDS"), (watches, "OPEN_SECONDS"), (opening, "WAIT_SECONDS"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, 1.5)


@asynccontextmanager
async def system(rabbitmq: RabbitMQ, redis: Redis, mariadb: MariaDB) -> AsyncIterator[tuple[str, str]]:
    """The services, and an instance that has ended."""
    broker = rabbitmq.new_vhost()
    try:
        async with over_servers(
            app,
            broker=broker,
            records=redis.new_database(),
            index=mariadb.new_database(),
            partitions=1,
            grace=1,
        ) as url:
            async with Client(url) as client:
                instance = await client.create("one", execute=True)
                await client.wait(instance.id)
            yield url, instance.id
    finally:
        rabbitmq.remove_vhost(broker)


@contextmanager
def stalled(server: Program) -> Iterator[None]:
    """The server does nothing, and nobody is told."""
    server.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send_signal(signal.SIGCONT)


async def answers(url: str, id: str) -> dict[tuple[str, str], int]:
    """The status of each call, all made at once; whatever is refused is refused as it has to be."""

    async def call(http: aiohttp.ClientSession, method: str, path: str, body: Any) -> int:
        address = path.format(id=id)
        where = yarl.URL(f"{url}/api/v1{address}", encoded=True)
        async with http.request(method, where, json=body) as answer:
            text = await answer.read()
            if answer.status == 503:
                assert msgspec.json.decode(text)["error"]["code"] == "UNAVAILABLE", text
                assert int(answer.headers["Retry-After"]) > 0
            else:
                assert answer.status < 300, (method, path, text)
            return answer.status

    async with asyncio.timeout(20), aiohttp.ClientSession() as http:
        found = await asyncio.gather(*(call(http, *one) for one in CALLS))
    return {(method, path): status for (method, path, _), status in zip(CALLS, found, strict=True)}


async def test_the_broker_stalls(rabbitmq: RabbitMQ, redis: Redis, mariadb: MariaDB) -> None:
    async with system(rabbitmq, redis, mariadb) as (url, id):
        with stalled(rabbitmq):
            found = await answers(url, id)
        served = {path for (_, path), status in found.items() if status != 503}
        # What somebody has just watched is still at hand.
        assert served - {"/instances/{id}/events"} == UNTOUCHED


async def test_the_records_stall(rabbitmq: RabbitMQ, redis: Redis, mariadb: MariaDB) -> None:
    async with system(rabbitmq, redis, mariadb) as (url, id):
        with stalled(redis):
            found = await answers(url, id)
        served = {path for (_, path), status in found.items() if status != 503}
        assert served >= UNTOUCHED
        assert served & READ_FROM_RECORDS == set()
        assert found["GET", "/instances"] == 200
        assert found["POST", "/instances"] == 503


async def test_the_index_stalls(rabbitmq: RabbitMQ, redis: Redis, mariadb: MariaDB) -> None:
    async with system(rabbitmq, redis, mariadb) as (url, id):
        with stalled(mariadb):
            found = await answers(url, id)
        served = {path for (_, path), status in found.items() if status != 503}
        assert served >= UNTOUCHED | READ_FROM_RECORDS
        assert {found["GET", "/instances"], found["DELETE", "/realms/nobody/instances"]} == {503}
