"""The private servers that other tests run on."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import (
    DynamoDB,
    Keeper,
    MariaDB,
    Program,
    ProgramMissing,
    RabbitMQ,
    Redis,
    StartFailed,
)
from tests.support.servers.ports import Port
from tests.support.servers.program import find_program


@pytest.mark.parametrize("kind", ["rabbitmq", "redis", "mariadb", "dynamodb"])
def test_it_is_killed_and_comes_back_on_the_same_port(kind: str, request: pytest.FixtureRequest) -> None:
    server: Program = request.getfixturevalue(kind)
    first = server.pid
    server.kill()
    assert not server.running
    with pytest.raises(OSError, match="refused"):
        server.is_ready()
    server.start()
    assert server.pid != first
    assert server.is_ready()


def test_what_is_stopped_ends_in_order(keeper: Keeper) -> None:
    server = Redis(keeper)
    assert server.stop() is None
    server.start()
    assert server.stop() == 0
    assert not server.running
    assert server.stop() is None


def test_places_of_ones_own(rabbitmq: RabbitMQ, redis: Redis, mariadb: MariaDB, dynamodb: DynamoDB) -> None:
    vhosts = {rabbitmq.new_vhost().rpartition("/")[2] for _ in range(2)}
    assert len(vhosts) == 2
    assert {vhost["name"] for vhost in rabbitmq.ask("GET", "/api/vhosts")} >= {"/", *vhosts}
    assert redis.new_database() != redis.new_database()
    assert dynamodb.new_table() != dynamodb.new_table()
    first, second = mariadb.new_database(), mariadb.new_database()
    assert first != second
    names = mariadb.execute("SHOW DATABASES").split()
    assert first.rpartition("/")[2] in names
    assert second.rpartition("/")[2] in names


def test_ports_are_not_given_twice() -> None:
    ports = [Port() for _ in range(50)]
    assert len({port.number for port in ports}) == 50
    for port in ports:
        port.release()


def test_a_program_that_is_missing_is_named() -> None:
    with pytest.raises(
        ProgramMissing, match="no-such-server is needed and not installed: apt-get install it"
    ):
        find_program("no-such-server", "it")


class Failing(Program):
    def command(self) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit('it cannot')"]

    def is_ready(self) -> bool:
        return False


def test_a_start_that_fails_says_why(keeper: Keeper) -> None:
    with pytest.raises(StartFailed, match=r"(?s)failing ended with 1 before it was ready.*it cannot"):
        Failing(keeper, "failing").start()


STARTER = """
import json, sys
from tests.support.servers import Keeper, Redis
keeper = Keeper()
server = Redis(keeper)
server.start()
print(json.dumps({"pid": server.pid, "root": str(keeper.root)}), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_servers_end_with_whoever_started_them(how: signal.Signals) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert starter.stdout is not None
    said = json.loads(starter.stdout.readline())
    server = os.pidfd_open(said["pid"])
    try:
        starter.send_signal(how)
        starter.communicate()
        signalled = _ends_within(server, 30.0)
    finally:
        os.close(server)
    assert signalled


def _ends_within(pidfd: int, seconds: float) -> bool:
    return bool(select.select([pidfd], [], [], seconds)[0])
