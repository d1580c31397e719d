"""A RabbitMQ bus for a test, and what a test asks the broker behind its back."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiormq
from aiormq.abc import AbstractChannel

from taskpath.runtime.bus import Delivery, Inbox
from taskpath.runtime.buses.rabbitmq import RabbitBus
from taskpath_proto.calls import Answer
from taskpath_proto.codec import Message
from taskpath_proto.queries import ValueRead
from tests.support.servers import RabbitMQ


@asynccontextmanager
async def rabbit_bus(url: str, *, partitions: int = 1, confirm: float = 10.0) -> AsyncIterator[RabbitBus]:
    """A bus that has started."""
    bus = RabbitBus(url, name="test", partitions=partitions, confirm=confirm)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()


@asynccontextmanager
async def channel_to(url: str) -> AsyncIterator[AbstractChannel]:
    """A bare channel."""
    connection = await aiormq.connect(url)
    try:
        yield await connection.channel()
    finally:
        await connection.close()


async def queues_of(server: RabbitMQ, url: str) -> dict[str, dict[str, Any]]:
    """What the broker says of the queues of a virtual host, by name."""
    vhost = urlsplit(url).path.removeprefix("/")
    listed = await asyncio.to_thread(server.ask, "GET", f"/api/queues/{vhost}")
    return {queue["name"]: queue for queue in listed}


async def control(server: RabbitMQ, *command: str) -> None:
    """Runs rabbitmqctl."""
    await asyncio.to_thread(
        subprocess.run,
        ["/usr/lib/rabbitmq/bin/rabbitmqctl", *command],
        env=server.environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )


def message(number: int, size: int = 0) -> Message:
    """A message with a number, and a text of so many characters."""
    return Answer(call=number, body=ValueRead("x" * size))


def numbers(deliveries: Sequence[Delivery]) -> list[int]:
    """The numbers of what was taken."""
    return [one.call for delivery in deliveries for one in delivery.messages if isinstance(one, Answer)]


async def take(inbox: Inbox, count: int) -> list[Delivery]:
    """Deliveries of so many messages together."""
    taken: list[Delivery] = []
    while (missing := count - sum(len(delivery.messages) for delivery in taken)) > 0:
        taken.append(await inbox.take(missing))
    return taken
