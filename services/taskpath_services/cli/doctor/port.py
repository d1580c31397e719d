"""The gateway's port, and the page behind it."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
import msgspec

from taskpath.runtime.settings import Settings
from taskpath_services.cli.doctor.findings import Finding, note, ok, wrong
from taskpath_services.gateway.pages import PAGE

_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)


async def port_and_page(settings: Settings, holder: str | None) -> AsyncIterator[Finding]:
    """The port, and the page behind it."""
    shown = f"TASKPATH_PORT is '{settings.port}'"
    # A name that cannot be looked up must not keep the other checks waiting.
    trouble = None if settings.port == 0 else await asyncio.to_thread(_bind, settings)
    if trouble is None:
        yield ok("port", f"{shown}; {'any' if settings.port == 0 else 'it'} is free.")
        if holder is not None and settings.port != 0:
            message = f"The server with process {holder} listens elsewhere; name its address with --port."
            yield note("port", message)
        if (PAGE / "index.html").is_file():
            yield ok("page", "The web page's files are there.")
        else:
            yield wrong("page", f"The web page's files are not in {str(PAGE)!r}.")
        return
    if trouble.errno != errno.EADDRINUSE:
        reason = (trouble.strerror or str(trouble)).lower()
        message = f"{shown} and TASKPATH_HOST {settings.host!r}: nothing can listen there: {reason}."
        yield wrong("port", message)
        return
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{settings.port}"
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        version = await _version(session, url)
        if version is None:
            yield wrong("port", f"{shown}, which another program uses; a free one is expected.")
            return
        yield ok("port", f"{shown}; Taskpath {version} answers at {url}.")
        yield await _fetch(session, f"{url}/readyz", "server", "It is ready.", "It is not ready")
        yield await _fetch(
            session, f"{url}/", "page", f"The web page is at {url}/.", "The web page is not there"
        )


def _bind(settings: Settings) -> OSError | None:
    """Why nothing can listen; None if it can."""
    try:
        for family, kind, _, _, address in socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        ):
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as error:
        return error
    return None


async def _version(session: aiohttp.ClientSession, url: str) -> str | None:
    """The version of the Taskpath that answers; None if none does."""
    try:
        async with session.get(f"{url}/api/v1/openapi.json") as response:
            info = msgspec.json.decode(await response.read(), type=_Document).info
    except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return info.version if info.title == "Taskpath" else None


async def _fetch(session: aiohttp.ClientSession, url: str, check: str, fine: str, trouble: str) -> Finding:
    try:
        async with session.get(url) as response:
            if response.status == 200:
                return ok(check, fine)
            return wrong(check, f"{trouble}: it answers {response.status}.")
    except (aiohttp.ClientError, TimeoutError) as error:
        return wrong(check, f"{trouble}: {str(error) or 'it does not answer'}.")


class _Info(msgspec.Struct):
    title: str
    version: str


class _Document(msgspec.Struct):
    info: _Info
