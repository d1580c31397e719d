"""The servers as fixtures: one of a kind for a test session, started when the first test asks for it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.servers.dynamodb import CREDENTIALS, DynamoDB
from tests.support.servers.keeper import Keeper
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.rabbitmq import RabbitMQ
from tests.support.servers.redis import Redis

# The credentials of whoever runs the tests are not those of the tests.
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ.update(CREDENTIALS)


@pytest.fixture(scope="session")
def keeper() -> Iterator[Keeper]:
    """Ends every server and service process of this session, and removes their data."""
    with Keeper() as keeper:
        yield keeper


@pytest.fixture(scope="session")
def rabbitmq(keeper: Keeper) -> RabbitMQ:
    """RabbitMQ; ``new_vhost()`` for a place of one's own."""
    server = RabbitMQ(keeper)
    server.start()
    return server


@pytest.fixture(scope="session")
def redis(keeper: Keeper) -> Redis:
    """Redis; ``new_database()`` for a place of one's own."""
    server = Redis(keeper)
    server.start()
    return server


@pytest.fixture(scope="session")
def mariadb(keeper: Keeper) -> MariaDB:
    """MariaDB; ``new_database()`` for a place of one's own."""
    server = MariaDB(keeper)
    server.start()
    return server


@pytest.fixture(scope="session")
def dynamodb(keeper: Keeper) -> DynamoDB:
    """DynamoDB; ``new_table()`` for a place of one's own."""
    server = DynamoDB(keeper)
    server.start()
    return server
