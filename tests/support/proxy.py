"""What stands between a client and a server, so that a test can cut or stall real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Passes bytes on, until the test says otherwise.

    Attributes:
        refusing: whether new connections are closed at once.
        accepted: how many connections have been let through.
        tried: is set when somebody has tried to connect.
        cut_short: for each of the next connections, after how many bytes from the server it ends.

    Args:
        target: the URL of the server.
    """

    def __init__(self, target: str) -> None:
        self.refusing = False
        self.accepted = 0
        self.tried = asyncio.Event()
        self.cut_short: list[int] = []
        self._target = urlsplit(target)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()

    @property
    def url(self) -> str:
        """The server's URL, with the proxy's address in place of its own."""
        assert self._server is not None
        user, at, _ = self._target.netloc.rpartition("@")
        port = self._server.sockets[0].getsockname()[1]
        return urlunsplit(self._target._replace(netloc=f"{user}{at}127.0.0.1:{port}"))

    async def start(self) -> None:
        """Listens on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Cuts everything and listens no more."""
        self.cut()
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Cuts what is connected."""
        for writer in list(self._writers):
            writer.transport.abort()
        self.go_on()

    def stall(self) -> None:
        """Passes nothing on any more; nobody is told."""
        self._flowing.clear()

    def go_on(self) -> None:
        """Passes on again."""
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tried.set()
        if self.refusing:
            writer.transport.abort()
            return
        self.accepted += 1
        most = self.cut_short.pop(0) if self.cut_short else None
        try:
            there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, back}
        self._writers |= both
        try:
            await asyncio.gather(self._pass(reader, back), self._pass(there, writer, most))
        finally:
            self._writers -= both
            for end in both:
                end.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None = None
    ) -> None:
        try:
            while most != 0 and (data := await reader.read(most or 65_536)):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
                most = None if most is None else most - len(data)
            writer.write_eof()
        except OSError:
            writer.transport.abort()


@asynccontextmanager
async def proxy_to(target: str) -> AsyncIterator[Proxy]:
    """A proxy to a server."""
    proxy = Proxy(target)
    await proxy.start()
    yield proxy
    await proxy.stop()
