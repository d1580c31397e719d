"""Watchers in a process of their own, who cost little: reading is to take no time from what is measured.

Each is a real connection with the packets of a WebSocket on it, but no more of a client than that. It counts
packets and bytes as they come off the wire, and looks only for what it is asked to find.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, cast

import msgspec
import uvloop

WAVE: Final = 100
_PING: Final = 0x89
_TIME: Final = re.compile(rb'"executionTime":(\d+)')
_STATUS: Final = b'{"type":"setWorkflowStatus"'
_DONE: Final = b'"status":"done"'


class Opened(msgspec.Struct):
    """What it took until all had the first state.

    Attributes:
        seconds: from the first connection on.
        packets: that all of them got.
        octets: likewise, as they are on the wire.
    """

    seconds: float
    packets: int
    octets: int


class Seen(msgspec.Struct):
    """What they saw after that, to the end.

    Attributes:
        packets: that all of them got.
        octets: likewise, as they are on the wire.
        spread: seconds between the first and the last of them to see the end.
        cpu: seconds of processor time that they took.
        ages: how old each change was when it came, in ms, if its time was told by :func:`now`.
    """

    packets: int
    octets: int
    spread: float
    cpu: float
    ages: list[float]


def now() -> int:
    """Microseconds of the machine's monotonic clock."""
    return time.monotonic_ns() // 1000


def raise_limit() -> None:
    """Lets this process and those that it starts open as many files as they may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def request(url: str, instance: str, paths: str, *, logs: bool = False) -> tuple[str, int, bytes]:
    """Host and port of a gateway, and what a client says to watch an instance.

    Args:
        url: of the gateway.
        instance: its id.
        paths: a pattern; empty for all.
        logs: whether log lines are wanted as well.
    """
    host, port = url.removeprefix("http://").split(":")
    asked = {"type": "watchWorkflowInstance", "id": instance, "logs": logs}
    payload = json.dumps(asked | ({"paths": [paths]} if paths else {})).encode()
    return (
        host,
        int(port),
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        + bytes([0x81, 0xFE, *len(payload).to_bytes(2, "big"), 0, 0, 0, 0])
        + payload,
    )


class _Watcher(asyncio.Protocol):
    """One of them.

    Args:
        said: what it says to begin with.
        timed: whether changes tell when they were made.
    """

    def __init__(self, said: bytes, *, timed: bool) -> None:
        loop = asyncio.get_running_loop()
        self._said = said
        self._timed = timed
        self._rest = b""
        self._greeted = False
        self._transport: asyncio.Transport | None = None
        self.watching: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[float] = loop.create_future()
        self.packets = self.octets = 0
        self.ages: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._said)

    def data_received(self, data: bytes) -> None:
        at = now()
        if self._rest:
            data = self._rest + data
        if not self._greeted:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._greeted = True
        taken = 0
        for kind, start, taken in _frames(data):
            if kind == _PING:
                self._answer(data[start:taken])
                continue
            self.packets += 1
            if self._timed and (found := _TIME.search(data, start, taken)) is not None:
                self.ages.append((at - int(found[1])) / 1000)
            if data.startswith(_STATUS, start):
                if not self.watching.done():
                    self.watching.set_result(None)
                elif data.find(_DONE, start, taken) >= 0 and not self.ended.done():
                    self.ended.set_result(time.monotonic())
        self.octets += taken
        self._rest = data[taken:]

    def connection_lost(self, error: Exception | None) -> None:
        for future in (self.watching, self.ended):
            if not future.done():
                future.set_exception(error or ConnectionError("the gateway has closed a connection"))

    def close(self) -> None:
        """Goes."""
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, ping: bytes) -> None:
        if self._transport is not None:
            self._transport.write(bytes([0x8A, 0x80 | len(ping), 0, 0, 0, 0]) + ping)


def _frames(data: bytes) -> Iterator[tuple[int, int, int]]:
    """First byte, start and end of the payload of each frame that is there as a whole."""
    at, there = 0, len(data)
    while there - at >= 2:
        start, size = at + 2, data[at + 1]
        if size >= 126:
            start += 2 if size == 126 else 8
            size = int.from_bytes(data[at + 2 : start], "big")
        if there < start + size:
            return
        yield data[at], start, start + size
        at = start + size


async def _watch(url: str, instance: str, paths: str, watchers: int, *, timed: bool) -> None:
    raise_limit()
    host, port, said = request(url, instance, paths)
    loop = asyncio.get_running_loop()
    all_of_them: list[_Watcher] = []
    began = time.perf_counter()
    for start in range(0, watchers, WAVE):
        wave = [_Watcher(said, timed=timed) for _ in range(min(WAVE, watchers - start))]
        for watcher in wave:
            await loop.create_connection(partial(_itself, watcher), host, port)
        for watcher in wave:
            await watcher.watching
        all_of_them += wave
    packets, octets = _counted(all_of_them)
    _say(Opened(time.perf_counter() - began, packets, octets))
    worked = time.process_time()
    ends = [await watcher.ended for watcher in all_of_them]
    worked = time.process_time() - worked
    later = _counted(all_of_them)
    ages = [round(age, 3) for watcher in all_of_them for age in watcher.ages]
    _say(Seen(later[0] - packets, later[1] - octets, max(ends) - min(ends), worked, ages))
    for watcher in all_of_them:
        watcher.close()


def _itself(watcher: _Watcher) -> _Watcher:
    return watcher


def _counted(watchers: list[_Watcher]) -> tuple[int, int]:
    return sum(watcher.packets for watcher in watchers), sum(watcher.octets for watcher in watchers)


def _say(what: msgspec.Struct) -> None:
    print(msgspec.json.encode(what).decode(), flush=True)


class Watchers:
    """Those of the other process.

    Attributes:
        opened: what it took until all had the first state.
    """

    def __init__(self, opened: Opened, said: asyncio.StreamReader) -> None:
        self.opened: Final = opened
        self._said = said

    async def seen(self) -> Seen:
        """What they saw; returns when all have seen the end."""
        return msgspec.json.decode(await self._said.readline(), type=Seen)


@asynccontextmanager
async def watching(
    url: str, instance: str, watchers: int, paths: str = "", *, timed: bool = False
) -> AsyncIterator[Watchers]:
    """Has so many watch an instance, who have its state by then.

    Args:
        url: of the gateway.
        instance: the id of the instance.
        watchers: how many.
        paths: a pattern of what they see; empty for all.
        timed: whether changes tell when they were made, as their ``executionTime``.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from benchmarks.watchers import main; main()",
        url, instance, str(watchers), paths, "timed" if timed else "",
        stdout=asyncio.subprocess.PIPE, limit=64 * 1024 * 1024,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        opened = msgspec.json.decode(await process.stdout.readline(), type=Opened)
        yield Watchers(opened, process.stdout)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def main() -> None:
    """The other process."""
    url, instance, watchers, paths, timed = sys.argv[1:]
    work: Any = _watch(url, instance, paths, int(watchers), timed=bool(timed))
    uvloop.run(work)
