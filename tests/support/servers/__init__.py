"""Private servers on this machine: RabbitMQ, Redis, MariaDB and DynamoDB as Debian and PyPI ship them.

Each listens on free loopback ports, keeps its data in a temporary folder, and ends with whoever started
it, however that ends. The fixtures ``rabbitmq``, ``redis``, ``mariadb`` and ``dynamodb`` (fixtures.py) start
one of a kind for a test session; ``make cluster`` and the benchmarks start theirs with the same classes:

    with Keeper() as keeper:
        broker = RabbitMQ(keeper)
        broker.start()
        print(broker.url)

All methods block. In a coroutine, ``await asyncio.to_thread(broker.restart)``.
"""

from tests.support.servers.dynamodb import DynamoDB
from tests.support.servers.keeper import Keeper
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.program import Program, ProgramMissing, StartFailed
from tests.support.servers.rabbitmq import RabbitMQ
from tests.support.servers.redis import Redis

__all__ = [
    "DynamoDB",
    "Keeper",
    "MariaDB",
    "Program",
    "ProgramMissing",
    "RabbitMQ",
    "Redis",
    "StartFailed",
]
