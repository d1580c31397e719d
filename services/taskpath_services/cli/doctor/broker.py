"""RabbitMQ: whether it is reached, lets us do what we need, and keeps every message."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

import aiormq
from aiormq.abc import AbstractConnection
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    ConnectionNotAllowed,
    InvalidFrameError,
    ProbableAuthenticationError,
)

from taskpath.runtime.buses.rabbitmq.address import Address
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_services.cli.doctor.findings import Finding, note, ok, wrong
from taskpath_services.cli.doctor.management import policies

CHECK: Final = "broker"
OLDEST: Final = (3, 10)
OPEN_SECONDS: Final = 5.0


async def broker(settings: Settings, management: str | None) -> AsyncIterator[Finding]:
    """Checks the broker.

    Args:
        settings: its address, and how many partitions there are.
        management: where its management API is, if not at its usual port.
    """
    address = Address(settings.broker)
    connection: AbstractConnection | None = None
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            connection = await aiormq.connect(address.url("doctor", 10))
        version = str(getattr(connection, "server_properties", {}).get("version", "0"))
        yield _version(address, version)
        yield await _permissions(connection, address)
        for finding in await _mailboxes(connection, address, settings.partitions):
            yield finding
    except (AuthenticationError, ProbableAuthenticationError):
        yield wrong(CHECK, f"{address} refuses the user or the password.")
        return
    except (ConnectionNotAllowed, InvalidFrameError):
        # The client expects no other answer when it opens a virtual host.
        yield wrong(CHECK, f"{address}: there is no such virtual host, or its user may not use it.")
        return
    except TimeoutError:
        yield wrong(CHECK, f"{address} has not answered within {OPEN_SECONDS:g} s.")
        return
    except (AMQPError, OSError, EOFError, RuntimeError) as error:
        yield wrong(CHECK, f"{address} cannot be reached: {_reason(error)}.")
        return
    finally:
        if connection is not None:
            with suppress(AMQPError, OSError, RuntimeError, TimeoutError):
                async with asyncio.timeout(2):
                    await connection.close()
    async for finding in policies(address, settings, management, version):
        yield finding


def _version(address: Address, version: str) -> Finding:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        return wrong(CHECK, f"{address} is RabbitMQ {version}; at least 3.10 is expected.")
    return ok(CHECK, f"RabbitMQ {version} answers at {address}.")


async def _permissions(connection: AbstractConnection, address: Address) -> Finding:
    """Tries what every service does, with a queue that goes with this connection."""
    queue = f"{address.prefix}reply.doctor.{uuid.uuid4().hex[:12]}"
    channel = await connection.channel()
    step = "make queues"
    try:
        await channel.queue_declare(queue, exclusive=True, auto_delete=True)
        step = "write to queues"
        await channel.basic_publish(b"", routing_key=queue)
        step = "read from queues"
        await channel.basic_get(queue, no_ack=True)
    except ChannelAccessRefused as error:
        return wrong(CHECK, f"Its user may not {step} of this virtual host: {_reason(error)}.")
    await channel.close()
    return ok(CHECK, "Its user may make, write to and read from queues.")


async def _mailboxes(connection: AbstractConnection, address: Address, partitions: int) -> list[Finding]:
    """Whether the mailboxes of the partitions are there, no more of them, and each is read."""
    unread: list[str] = []
    waiting = missing = 0
    for partition in range(partitions):
        for name in (topology.scheduler_mailbox(partition), topology.storage_mailbox(partition)):
            there = await _look(connection, address.prefix + name)
            if there is None:
                missing += 1
                continue
            messages, consumers = there
            waiting += messages
            if not consumers:
                unread.append(name)
    found: list[Finding] = []
    beyond = topology.scheduler_mailbox(partitions)
    if await _look(connection, address.prefix + beyond) is not None:
        found.append(
            wrong(
                CHECK,
                f"There is a mailbox {beyond}, and TASKPATH_PARTITIONS is {partitions}: it began with "
                "more, or it is left over and can be deleted.",
            )
        )
    if missing:
        found.append(
            note(CHECK, f"{missing} mailboxes are not there yet; the services make them when they start.")
        )
    if unread:
        found.append(
            note(
                CHECK,
                f"Nobody reads {', '.join(unread)}: run {_readers(unread)}, or wait until they have started.",
            )
        )
    if not missing and not unread:
        found.append(
            ok(CHECK, f"The mailboxes of {partitions} partitions are read; {waiting} parcels wait in them.")
        )
    return found


def _readers(unread: list[str]) -> str:
    names = [name for name in ("scheduler", "storage") if any(one.startswith(name) for one in unread)]
    return " and ".join(f"`taskpath {name}`" for name in names)


async def _look(connection: AbstractConnection, queue: str) -> tuple[int, int] | None:
    """How many messages and consumers a queue has; None if there is no such queue."""
    # The broker closes a channel on which something was asked for that is not there.
    channel = await connection.channel()
    try:
        there: Any = await channel.queue_declare(queue, passive=True)
    except ChannelNotFoundEntity:
        return None
    await channel.close()
    return there.message_count or 0, there.consumer_count or 0


def _reason(error: BaseException) -> str:
    text = " ".join(str(part) for part in error.args if isinstance(part, (str, int))) or type(error).__name__
    return " ".join(text.split())[:300].rstrip(".")
