"""The listener: where connections come in, and what those are told that speak no proper HTTP."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Final

from aiohttp import web

from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_services.gateway.errors import response

_NO_LOG: Final = logging.getLogger("taskpath.gateway.access")
_NO_LOG.disabled = True  # requests are counted, not logged

_QUOTED: Final = re.compile(r":\s*(b'|bytearray|\n).*", re.DOTALL)


class Connection(web.RequestHandler):
    """One connection. What cannot be read as HTTP gets an error like any other, and no line in the log."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what never reached the application."""
        if status >= 500 or request.writer.output_size > 0:
            return super().handle_error(request, status, exc, message)
        what = " ".join(_QUOTED.sub("", message or "").split())[:200].rstrip(".") or "it cannot be read"
        info = ErrorInfo(
            ErrorCode.INVALID_REQUEST, f"The request is no proper HTTP: {what[:1].lower()}{what[1:]}."
        )
        refused = response(info, status)
        refused.force_close()
        return refused


async def listen(runner: web.AppRunner, host: str, port: int) -> asyncio.Server:
    """Listens for connections.

    Args:
        runner: of the application; it has been set up.
        host: the address to listen on.
        port: likewise; 0 for any that is free.

    Raises:
        OSError: the address is taken, or none of this machine's.
    """
    server = runner.server
    if server is None:
        raise RuntimeError("the runner has not been set up")
    loop = asyncio.get_running_loop()

    def connect() -> Connection:
        return Connection(server, loop=loop, access_log=_NO_LOG, auto_decompress=False)

    return await loop.create_server(connect, host, port, backlog=1024)
