"""The gateway: its parts, and how they are wired."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from time import perf_counter
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from taskpath.runtime.bus import Bus
from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath.runtime.settings import Settings
from taskpath_services.gateway.access import Access
from taskpath_services.gateway.acquaintance import Acquaintance
from taskpath_services.gateway.commands import Commands
from taskpath_services.gateway.directory import Directory
from taskpath_services.gateway.errors import answering
from taskpath_services.gateway.expectations import Expectations
from taskpath_services.gateway.listener import listen
from taskpath_services.gateway.lists import Lists
from taskpath_services.gateway.metrics import Metrics
from taskpath_services.gateway.opening import Opening
from taskpath_services.gateway.pages import Pages
from taskpath_services.gateway.reads import READ_SECONDS, Reads
from taskpath_services.gateway.realms import Realms
from taskpath_services.gateway.rest.health import Health
from taskpath_services.gateway.rest.instances import Instances
from taskpath_services.gateway.rest.routes import routes
from taskpath_services.gateway.rest.tasks import Tasks
from taskpath_services.gateway.rest.workflows import Workflows
from taskpath_services.gateway.socket import Sockets
from taskpath_services.gateway.stream import Streams
from taskpath_services.gateway.values import Values
from taskpath_services.gateway.watches import Watches

_SHUTDOWN_SECONDS: Final = 5.0

_SERVED: Final = ("/api/", "/ws")
"""What is served only when the gateway is open; the others are the page, health and metrics."""


class GatewayService(Service):
    """Serves REST, WebSocket and the web page.

    Args:
        bus: where owners, storage and events are.
        clock: the time.
        settings: where it listens, and what it allows.

    Raises:
        SettingsError: when started, if it would be open to other machines.
    """

    def __init__(self, bus: Bus, clock: Clock, settings: Settings) -> None:
        super().__init__("gateway")
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._directory = Directory(clock.now())
        self._acquaintance = Acquaintance(bus, clock, self._directory)
        self._metrics = Metrics()
        self._caller = Caller(bus, clock, "gateway", READ_SECONDS)
        self._opening = Opening(self._caller, clock, settings.partitions, self._acquaintance)
        self._reads = Reads(self._caller, READ_SECONDS)
        self._expectations = Expectations(self._caller, clock)
        self._watches = Watches(
            bus, clock, settings.partitions, self._reads, self._expectations, self._metrics
        )
        self._lists = Lists(bus, clock, self._reads)
        values = Values(self._caller, settings.max_value, READ_SECONDS)
        self._values = values
        self._commands = Commands(self._caller, settings.partitions, self._acquaintance, values)
        self._sockets = Sockets(clock, self._commands, self._watches, self._lists, self._reads, self._metrics)
        self._streams = Streams(clock, self._watches, self._reads, self._metrics)
        self._parts: tuple[Service, ...] = (
            self._caller,
            self._acquaintance,
            self._opening,
            self._expectations,
            self._watches,
            self._lists,
            self._sockets,
            self._streams,
        )
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The address that it listens on, once it has started."""
        if self._listening is None or not self._listening.sockets:
            raise RuntimeError("the gateway has not started")
        host, port = self._listening.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def on_start(self) -> None:
        """Starts the parts, then listens."""
        access = Access(self._settings)
        for part in self._parts:
            await part.start()
            self.spawn(part.wait(), part.name)
        app = web.Application(
            middlewares=[_measuring(self._metrics), answering(), _guarding(access, self._opening)],
            client_max_size=self._settings.max_body,
        )
        app.on_response_prepare.append(_sharing(access))
        self._route(app)
        self._runner = web.AppRunner(
            app, handle_signals=False, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
        )
        await self._runner.setup()
        self._listening = await listen(self._runner, self._settings.host, self._settings.port)

    async def on_stop(self) -> None:
        """Takes no more, says goodbye to clients, lets answers go out, then stops the parts."""
        if self._listening is not None:
            self._listening.close()
        await self._sockets.stop()
        await self._streams.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        for part in reversed(self._parts):
            await part.stop()

    def _route(self, app: web.Application) -> None:
        realms = Realms(self._commands, self._reads, self._clock)
        calls = routes(
            Instances(self._commands, self._reads, self._expectations, self._values, realms),
            Tasks(self._commands, self._reads, self._expectations, self._values),
            Workflows(self._directory, self._acquaintance, self._clock),
            Health(lambda: self.ready and self._opening.open, self._reads, self._metrics),
            self._streams,
            version("taskpath"),
        )
        app.add_routes([call.serving() for call in calls])
        app.add_routes([web.get("/ws", self._sockets.serve), *Pages().routes()])


def _guarding(access: Access, opening: Opening) -> Middleware:
    """The middleware that asks who may come in, before anything else is looked at, and when."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        access.check(request.headers.get(hdrs.HOST, ""), origin)
        if request.method == hdrs.METH_OPTIONS and origin is not None:
            return web.Response(status=204, headers=access.preflight())
        if request.path.startswith(_SERVED):
            await opening.enter()
        return await handler(request)

    return guard


def _sharing(access: Access) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """What lets a page of an allowed origin read any answer, errors included."""

    async def share(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(access.sharing(request.headers.get(hdrs.ORIGIN)))

    return share


def _measuring(metrics: Metrics) -> Middleware:
    """The middleware that counts answers."""

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = perf_counter()
        response = await handler(request)
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unknown"
        metrics.requests.labels(request.method, route, str(response.status)).inc()
        metrics.seconds.labels(route).observe(perf_counter() - began)
        return response

    return measure
