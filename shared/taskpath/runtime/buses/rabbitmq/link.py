"""A connection that comes back: it is opened, prepared, watched, and opened again when it was lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Final, TypeVar

import structlog
from aiormq import (
    AuthenticationError,
    ChannelAccessRefused,
    Connection,
    ConnectionNotAllowed,
    InvalidFrameError,
    ProbableAuthenticationError,
    TransportFactory,
)
from aiormq.abc import AbstractConnection
from aiormq.connection import TCPTransportFactory, TLSTransportFactory
from aiormq.exceptions import AMQPError
from yarl import URL

from taskpath.runtime.bus import BusClosed, BusLost
from taskpath.runtime.buses.rabbitmq.address import Address
from taskpath.runtime.service import Service
from taskpath.runtime.settings import SettingsError

T = TypeVar("T")

log = structlog.get_logger("taskpath.bus")

OPEN_SECONDS: Final = 10.0
"""How long connecting may take."""

CLOSE_SECONDS: Final = 2.0
"""How long saying goodbye may take."""

CALL_SECONDS: Final = 10.0
"""How long the broker may take to answer, when something is declared, bound or opened."""

FIRST_DELAY: Final = 0.1
LAST_DELAY: Final = 10.0
"""Seconds between two tries to connect: doubled from the first to the last, less up to a half by chance."""

_READ_BUFFER: Final = 1 << 20

# What the client says of a lost connection in a dozen lines, the link says in one.
logging.getLogger("aiormq").setLevel(logging.CRITICAL)


class Silent(BusLost):
    """The broker does not answer. The connection may live, but who knows what of it has arrived."""


async def asked(call: Awaitable[T], seconds: float | None = CALL_SECONDS) -> T:
    """The broker's answer to something that the client asks of it.

    Args:
        call: what the client does.
        seconds: how long that may take; None if it minds the time itself.

    Raises:
        Silent: it does not answer in time.
        BusLost: the connection was lost, or the broker refuses.
    """
    try:
        if seconds is None:
            return await call
        async with asyncio.timeout(seconds):
            return await call
    except asyncio.CancelledError:
        # The client cancels its own tasks when a connection ends.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BusLost("the connection to the broker was lost") from None
    except TimeoutError:
        raise Silent("the broker did not answer in time") from None
    except BusLost:
        raise
    except (AMQPError, OSError, RuntimeError, EOFError, StopAsyncIteration) as error:
        # The last is how the client tells of an end of the stream while it still greets the broker.
        raise BusLost(said(error)) from error


def said(error: BaseException) -> str:
    """What an error of the client says, in one line."""
    # Other parts may be whole messages.
    text = " ".join(str(part) for part in error.args if isinstance(part, (str, int))) or type(error).__name__
    return " ".join(text.split())[:300]


class Link(Service):
    """Keeps a connection.

    Args:
        address: of the broker.
        name: what the connection is called.
        heartbeat: in seconds.
        prepare: makes a new connection ready for use; before that nobody sees it.
        lost: is called when a connection that was ready is so no more.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        heartbeat: int,
        prepare: Callable[[Connection], Awaitable[None]] | None = None,
        lost: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(f"connection {name}")
        self._address = address
        self._url = address.url(name, heartbeat)
        self._called = name
        self._prepare = prepare
        self._lost = lost
        self._transport: _Transport | None = None
        self._first: asyncio.Future[None] | None = None
        self._there = asyncio.Event()
        self.connection: Connection | None = None
        """The connection; None while it is away."""

    async def on_start(self) -> None:
        """Connects; waits for a broker that is away.

        Raises:
            SettingsError: the broker refuses us.
        """
        self._first = asyncio.get_running_loop().create_future()
        self.spawn(self._keep(), "keep")
        await self._first

    async def on_stop(self) -> None:
        """Closes the connection in order, if that can be done in a moment."""
        connection, self.connection = self.connection, None
        self._there.set()
        if connection is not None:
            with contextlib.suppress(BusLost):
                await asked(connection.close(), CLOSE_SECONDS)
        if self._transport is not None:
            self._transport.abort()

    async def established(self) -> Connection:
        """The connection, once it is there.

        Raises:
            BusClosed: the bus was closed.
        """
        while True:
            if not self.ready:
                raise BusClosed("the bus was closed")
            if self.connection is not None:
                return self.connection
            await self._there.wait()

    def drop(self, connection: AbstractConnection, reason: str) -> None:
        """Gives a connection up, unless it is lost already; another one is opened."""
        if connection is self.connection and self._transport is not None:
            log.warning("connection given up", connection=self._called, reason=reason)
            self._transport.abort()

    async def _keep(self) -> None:
        tries = 0
        while self.ready:
            began = monotonic()
            try:
                await self._hold()
                tries = 0 if monotonic() - began > LAST_DELAY else tries + 1
            except (BusLost, _Refused) as error:
                if isinstance(error, _Refused) and self._first is not None and not self._first.done():
                    self._first.set_exception(SettingsError(f"TASKPATH_BROKER {self._address}: {error}"))
                    return
                tries += 1
                broker = str(self._address)
                log.warning("no connection", connection=self._called, broker=broker, reason=str(error))
            except Exception as error:
                # Whatever it is: without this task nobody would ever connect again.
                tries += 1
                log.error("connection failed", connection=self._called, exc_info=error)
            delay = min(FIRST_DELAY * 2 ** min(tries, 10), LAST_DELAY)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))

    async def _hold(self) -> None:
        """Opens a connection; returns when it was lost."""
        transport = self._transport = _Transport(self._url)
        connection = Connection(self._url, transport_factory=transport, limit=_READ_BUFFER)
        try:
            await self._open(connection)
            ended = asyncio.Event()
            connection.closing.add_done_callback(lambda _: ended.set())
            self.connection = connection
            self._there.set()
            if self._first is not None and not self._first.done():
                self._first.set_result(None)
            log.info("connected", connection=self._called, broker=str(self._address))
            await ended.wait()
        finally:
            was_ready = self.connection is connection
            if was_ready:
                self.connection = None
                self._there.clear()
            transport.abort()
            if was_ready and self._lost is not None:
                self._lost()
        if self.ready:
            log.warning("connection lost", connection=self._called, broker=str(self._address))

    async def _open(self, connection: Connection) -> None:
        try:
            await asked(connection.connect(), OPEN_SECONDS)
            if self._prepare is not None:
                await self._prepare(connection)
        except BusLost as error:
            if (refusal := _refusal(error.__cause__)) is not None:
                raise _Refused(refusal) from None
            raise


class _Refused(Exception):
    """The broker is there, and does not want us."""


def _refusal(cause: BaseException | None) -> str | None:
    """What the broker says if it refuses us; None if it is something else that is wrong."""
    if isinstance(cause, ProbableAuthenticationError | AuthenticationError):
        return "the broker refuses this user and password."
    if isinstance(cause, ConnectionNotAllowed | ChannelAccessRefused):
        return f"the broker refuses: {said(cause)}."
    # How the client tells of a virtual host that is not there, or not for this user.
    if isinstance(cause, InvalidFrameError) and "Connection.Close" in str(cause):
        return "the broker refuses the virtual host."
    return None


class _Transport(TransportFactory):
    """Opens the socket, and can cut it: the client has no way to give up a peer that is silent."""

    def __init__(self, url: URL) -> None:
        self._inner = TLSTransportFactory() if url.scheme == "amqps" else TCPTransportFactory()
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self._inner.create(url, **kwargs)
        self._writer = writer
        return reader, writer

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
