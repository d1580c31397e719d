"""Liveness, readiness and metrics of a service process, over HTTP.

``/healthz`` answers as long as the event loop does. ``/readyz`` answers 200 when the service works and the
broker is connected, else 503 with the reason. ``/metrics`` is for Prometheus. The gateway, which speaks HTTP
anyway, has its own; before it can serve, this answers for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry, Gauge, Metric, exposition
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.packets import ErrorBody, ErrorResponse

LAG_SECONDS: Final = 1.0
"""How often it is measured how late the event loop is."""
_SHUTDOWN_SECONDS: Final = 1.0


class Condition(msgspec.Struct, frozen=True):
    """How the service is; the answer of ``/healthz`` and ``/readyz``."""

    status: str
    reason: str | None = None


class Health(Service):
    """Serves health and metrics.

    Args:
        host: the address to listen on.
        port: likewise; 0 takes a free one.
        clock: the time.
        unready: why the service is not ready; None when it is.
        metrics: the service's own figures, asked at each scrape.

    Raises:
        OSError: when started, if the address is taken, or none of this machine's.
    """

    def __init__(
        self,
        host: str,
        port: int,
        clock: Clock,
        unready: Callable[[], str | None],
        metrics: Callable[[], Iterable[Metric]],
    ) -> None:
        super().__init__("health")
        self._host = host
        self._port = port
        self._clock = clock
        self._unready = unready
        self._registry = CollectorRegistry()
        self._registry.register(Figures(metrics))
        ProcessCollector(registry=self._registry)
        self._lag = Gauge(
            "taskpath_event_loop_lag_seconds", "How late the event loop was", registry=self._registry
        )
        Gauge("taskpath_ready", "Whether the service is ready", registry=self._registry).set_function(
            lambda: float(unready() is None)
        )
        self._runner: web.AppRunner | None = None

    async def on_start(self) -> None:
        """Listens."""
        app = web.Application(middlewares=[self._nothing_else])
        app.router.add_get("/healthz", self._alive)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(
            app, handle_signals=False, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self.spawn(self._measure(), "lag")

    async def on_stop(self) -> None:
        """Listens no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _nothing_else(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Whoever wants something else from a service that is not ready may find it here later."""
        try:
            return await handler(request)
        except web.HTTPNotFound:
            if (reason := self._unready()) is None:
                raise
            error = ErrorInfo(ErrorCode.UNAVAILABLE, reason)
            return web.json_response(
                body=msgspec.json.encode(ErrorResponse(ErrorBody.of(error))),
                status=503,
                headers={"Retry-After": "1"},
            )

    async def _alive(self, request: web.Request) -> web.Response:
        return _answer(200, Condition("ok"))

    async def _ready(self, request: web.Request) -> web.Response:
        reason = self._unready()
        return (
            _answer(200, Condition("ready"))
            if reason is None
            else _answer(503, Condition("not ready", reason))
        )

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(
            body=exposition.generate_latest(self._registry),
            headers={"Content-Type": exposition.CONTENT_TYPE_LATEST},
        )

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self._clock.sleep(LAG_SECONDS)
            self._lag.set(max(0.0, loop.time() - began - LAG_SECONDS))


class Figures(Collector):
    """Figures that are asked for at each scrape.

    Args:
        ask: gives them.
    """

    def __init__(self, ask: Callable[[], Iterable[Metric]]) -> None:
        self._ask = ask

    def collect(self) -> Iterable[Metric]:
        """The figures as they are now."""
        return self._ask()

    def describe(self) -> Iterable[Metric]:
        """Nothing: their names are known when they are asked for."""
        return ()


def _answer(status: int, condition: Condition) -> web.Response:
    return web.json_response(body=msgspec.json.encode(condition), status=status)
