"""Server-sent events, read as the standard says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import msgspec


class Event(NamedTuple):
    """One event: the last id that was sent up to it, and the packet that it brings."""

    id: str
    packet: Any


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    """The events of a stream, until it ends."""
    last, data = "", list[bytes]()
    async for raw in response.content:
        line = raw.rstrip(b"\n")
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line and data:
            yield Event(last, msgspec.json.decode(b"\n".join(data)))
            data = []
        elif name == b"data":
            data.append(value)
        elif name == b"id":
            last = value.decode()
