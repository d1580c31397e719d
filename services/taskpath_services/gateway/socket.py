"""The WebSocket at ``/ws``: frames in, frames out, and the end of a connection."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_services.gateway.bundle import Bundle
from taskpath_services.gateway.commands import Commands
from taskpath_services.gateway.lists import Lists
from taskpath_services.gateway.metrics import Metrics
from taskpath_services.gateway.reads import Reads
from taskpath_services.gateway.session import Session
from taskpath_services.gateway.watches import Watches

MOST_BYTES: Final = 1024 * 1024
"""A larger frame closes the connection."""

HEARTBEAT_SECONDS: Final = 15.0
_PING_SECONDS: Final = 20.0
_CLOSE_SECONDS: Final = 2.0


class Sockets(Service):
    """All open connections.

    Args:
        clock: paces the heartbeats.
        commands: carry out what clients want done.
        watches: what they watch.
        lists: the lists that they watch.
        reads: for what they have missed.
        metrics: counts.
    """

    def __init__(
        self, clock: Clock, commands: Commands, watches: Watches, lists: Lists, reads: Reads, metrics: Metrics
    ) -> None:
        super().__init__("gateway sockets")
        self._clock = clock
        self._commands = commands
        self._watches = watches
        self._lists = lists
        self._reads = reads
        self._metrics = metrics
        self._open: dict[Session, web.WebSocketResponse[bool]] = {}

    async def on_start(self) -> None:
        """Begins the heartbeats."""
        self.spawn(self._beat(), "heartbeats")

    async def on_stop(self) -> None:
        """Says goodbye to every client."""
        closing = [
            asyncio.ensure_future(socket.close(code=WSCloseCode.GOING_AWAY, message=b"the gateway stops"))
            for socket in self._open.values()
        ]
        if closing:
            await asyncio.wait(closing, timeout=_CLOSE_SECONDS)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serves one client until it goes.

        Raises:
            TaskpathError: INVALID_REQUEST, if it does not ask for a WebSocket.
        """
        socket = web.WebSocketResponse(
            protocols=("taskpath",),
            timeout=_CLOSE_SECONDS,
            heartbeat=_PING_SECONDS,
            max_msg_size=MOST_BYTES + 1,  # aiohttp means the first size that is too large
            compress=False,
            decode_text=False,
        )
        if not socket.can_prepare(request):
            raise TaskpathError(
                ErrorCode.INVALID_REQUEST, "A WebSocket is expected here: an upgrade of the connection."
            )
        await socket.prepare(request)
        session = Session(self._commands, self._watches, self._lists, self._reads)
        self._open[session] = socket
        self._metrics.clients.set(len(self._open))
        writing = _write(session, socket, request)
        writer = asyncio.get_running_loop().create_task(writing, name=f"outbox {session.id}")
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    session.receive(message.data)
                elif message.type is WSMsgType.BINARY:
                    session.refuse_binary()
                await session.outbox.room()  # whoever reads no answers is asked no more
        finally:
            del self._open[session]
            self._metrics.clients.set(len(self._open))
            session.close()
            writer.cancel()
        return socket

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(HEARTBEAT_SECONDS)
            for session in list(self._open):
                session.heartbeat()


async def _write(session: Session, socket: web.WebSocketResponse[bool], request: web.Request) -> None:
    """Sends what is in the outbox until the connection is gone.

    The frames are written as they are, past the response: it would make each anew for each client.
    """

    async def send(bundle: Bundle) -> None:
        if socket.closed or (transport := request.transport) is None:
            raise ConnectionResetError("the connection is closing")
        transport.write(bundle.wire)
        await request.writer.drain()

    with suppress(ConnectionError):
        await session.outbox.run(send)
