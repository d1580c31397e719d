"""``/workflows`` and ``/executors``: who is there."""

from __future__ import annotations

from taskpath.runtime.clock import Clock
from taskpath_proto.packets import ExecutorsDocument, WorkflowsDocument
from taskpath_services.gateway.acquaintance import Acquaintance
from taskpath_services.gateway.directory import Directory
from taskpath_services.gateway.rest.incoming import NoQuery
from taskpath_services.gateway.rest.route import Asked, NoBody, Reply


class Workflows:
    """Answers what the heartbeats of executors have said.

    Args:
        directory: it has heard them.
        acquaintance: tells when there was time for that.
        clock: tells who is away.
    """

    def __init__(self, directory: Directory, acquaintance: Acquaintance, clock: Clock) -> None:
        self._directory = directory
        self._acquaintance = acquaintance
        self._clock = clock

    async def workflows(self, asked: Asked[NoQuery, NoBody]) -> Reply[WorkflowsDocument]:
        """``GET /workflows``"""
        await self._acquaintance.make()
        return Reply(WorkflowsDocument(items=self._directory.workflows(self._clock.now())))

    async def executors(self, asked: Asked[NoQuery, NoBody]) -> Reply[ExecutorsDocument]:
        """``GET /executors``"""
        return Reply(ExecutorsDocument(items=self._directory.executors(self._clock.now())))
