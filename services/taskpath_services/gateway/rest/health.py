"""Liveness, readiness and metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web
from prometheus_client import exposition

from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_services.gateway.metrics import Metrics
from taskpath_services.gateway.reads import Reads
from taskpath_services.gateway.rest.incoming import NoQuery
from taskpath_services.gateway.rest.route import Asked, NoBody, Reply

_READY_SECONDS: Final = 2.0


class HealthDocument(msgspec.Struct, frozen=True):
    """How the gateway is."""

    status: str


class Health:
    """Answers how the gateway is.

    Args:
        ready: whether it has started and not failed.
        reads: tell whether storage answers.
        metrics: the figures.
    """

    def __init__(self, ready: Callable[[], bool], reads: Reads, metrics: Metrics) -> None:
        self._ready = ready
        self._reads = reads
        self._metrics = metrics

    async def alive(self, asked: Asked[NoQuery, NoBody]) -> Reply[HealthDocument]:
        """``GET /healthz``: the process answers."""
        return Reply(HealthDocument("ok"))

    async def ready(self, asked: Asked[NoQuery, NoBody]) -> Reply[HealthDocument]:
        """``GET /readyz``: calls can be served, for storage answers from its records.

        Without its index all calls can be served but lists.
        """
        if not self._ready():
            raise TaskpathError(ErrorCode.UNAVAILABLE, "The gateway is not ready; try again.")
        await self._reads.partitions(_READY_SECONDS)
        return Reply(HealthDocument("ready"))

    async def metrics(self, asked: Asked[NoQuery, NoBody]) -> web.StreamResponse:
        """``GET /metrics``, for Prometheus."""
        return web.Response(
            body=exposition.generate_latest(self._metrics.registry),
            headers={"Content-Type": exposition.CONTENT_TYPE_LATEST},
        )
