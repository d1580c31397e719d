"""Lines: proxies between some services and the broker, in a thread of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from tests.support.proxy import Proxy


class Line:
    """A proxy that a test can cut or stall from any thread.

    Args:
        proxy: it has started.
        loop: where it runs.
    """

    def __init__(self, proxy: Proxy, loop: asyncio.AbstractEventLoop) -> None:
        self._proxy = proxy
        self._loop = loop
        self.url = proxy.url

    def cut(self) -> None:
        """Cuts what is connected; new connections come about."""
        self._do(self._proxy.cut)

    def stall(self) -> None:
        """Passes nothing on in either direction; nobody is told."""
        self._do(self._proxy.stall)

    def go_on(self) -> None:
        """Passes on again, also what came meanwhile."""
        self._do(self._proxy.go_on)

    def _do(self, what: Callable[[], None]) -> None:
        done = threading.Event()

        def do() -> None:
            what()
            done.set()

        self._loop.call_soon_threadsafe(do)
        done.wait()


class Lines:
    """Opens lines, and keeps them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._proxies: list[Proxy] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="lines", daemon=True)
        self._thread.start()

    def to(self, url: str) -> Line:
        """A line to a server."""
        proxy = Proxy(url)
        asyncio.run_coroutine_threadsafe(proxy.start(), self._loop).result()
        self._proxies.append(proxy)
        return Line(proxy, self._loop)

    def close(self) -> None:
        """Cuts them all."""
        for proxy in self._proxies:
            asyncio.run_coroutine_threadsafe(proxy.stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
