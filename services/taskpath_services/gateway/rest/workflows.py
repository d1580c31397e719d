"""``/workflows`` and ``/executors``: who is there."""

from __future__ import annotations

from aiohttp import web

from taskpath.runtime.clock import Clock
from taskpath_proto.packets import ExecutorsDocument, WorkflowsDocument
from taskpath_services.gateway.directory import Directory
from taskpath_services.gateway.rest import incoming
from taskpath_services.gateway.rest.responses import document


class Workflows:
    """Answers what the heartbeats of executors have said.

    Args:
        directory: it has heard them.
        clock: tells who is away.
    """

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    async def workflows(self, request: web.Request) -> web.Response:
        """``GET /workflows``"""
        incoming.query(request, incoming.NoQuery)
        return document(WorkflowsDocument(items=self._directory.workflows(self._clock.now())))

    async def executors(self, request: web.Request) -> web.Response:
        """``GET /executors``"""
        incoming.query(request, incoming.NoQuery)
        return document(ExecutorsDocument(items=self._directory.executors(self._clock.now())))
