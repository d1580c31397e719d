"""Answering an owner's wish for a plan."""

from __future__ import annotations

from taskpath.runtime.bus import BusClosed
from taskpath.runtime.service import Service
from taskpath_proto.errors import TaskpathError
from taskpath_proto.work import ExpandPlan, PlanExpanded
from taskpath_services.executor.reports import Held, Reports
from taskpath_services.executor.trees import Trees
from taskpath_services.executor.values import Values


class Expansions(Service):
    """Calls generators for owners and reports the plans.

    Args:
        trees: calls the generators.
        values: reads the data.
        reports: sends the plans.
    """

    def __init__(self, trees: Trees, values: Values, reports: Reports) -> None:
        super().__init__("expansions")
        self._trees = trees
        self._values = values
        self._reports = reports

    def take(self, request: ExpandPlan, held: Held) -> None:
        """Reports the plan, or why there is none.

        Args:
            request: the request.
            held: settled when the report is confirmed.
        """
        self.spawn(self._expand(request, held), "expansion")

    async def _expand(self, request: ExpandPlan, held: Held) -> None:
        try:
            data = await self._values.read(request.id, request.data, 0)
            tree = await self._trees.tree((request.id, request.workflow, request.data), data.json)
        except BusClosed:
            return  # the request was not acknowledged: it comes back
        except TaskpathError as error:
            report = PlanExpanded(
                id=request.id, epoch=request.epoch, command=request.command, error=error.info
            )
        else:
            report = PlanExpanded(id=request.id, epoch=request.epoch, command=request.command, plan=tree.plan)
        self._reports.send(request.partition, report, held)
