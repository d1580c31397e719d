"""Answering an owner's wish for a plan."""

from __future__ import annotations

import asyncio
from hashlib import blake2b

from taskpath import updaters
from taskpath.encoding import NotJSON, encode
from taskpath.runtime.bus import BusClosed
from taskpath.runtime.service import Service
from taskpath.updaters import UpdaterError
from taskpath_proto import paths
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.values import Value
from taskpath_proto.work import ExpandPlan, PlanExpanded
from taskpath_services.executor.holding import Held
from taskpath_services.executor.reports import Reports
from taskpath_services.executor.trees import Trees
from taskpath_services.executor.values import Values, decode


class Expansions(Service):
    """Calls generators for owners and reports the plans.

    Args:
        trees: calls the generators.
        values: reads the data, and stores what an updater makes of it.
        reports: sends the plans.
        max_value: how large data may be, in bytes.
    """

    def __init__(self, trees: Trees, values: Values, reports: Reports, max_value: int) -> None:
        super().__init__("expansions")
        self._trees = trees
        self._values = values
        self._reports = reports
        self._max_value = max_value

    @property
    def idle(self) -> bool:
        """Whether no generator runs."""
        return not self._tasks

    def take(self, request: ExpandPlan, held: Held) -> None:
        """Reports the plan, or why there is none.

        Args:
            request: the request.
            held: settled when the report is confirmed.
        """
        self.spawn(self._expand(request, held), "expansion")

    async def _expand(self, request: ExpandPlan, held: Held) -> None:
        try:
            report = await self._plan(request)
        except BusClosed:
            return  # the request was not acknowledged: it comes back
        except TaskpathError as error:
            report = PlanExpanded(
                id=request.id, epoch=request.epoch, command=request.command, error=error.info
            )
        self._reports.send(request.partition, report, held.settle)

    async def _plan(self, request: ExpandPlan) -> PlanExpanded:
        instance, workflow = request.id, request.workflow
        text = (await self._values.read(instance, request.data, 0)).json
        data: Value | None = None
        if request.updater is None:
            tree = await self._trees.tree((instance, workflow, request.data), text)
        else:
            updater = (await self._values.read(instance, request.updater, 0)).json
            text = await asyncio.to_thread(updated, text, updater, self._max_value)
            tree = await self._trees.grow(workflow, text)
            # The version is the content's own number: what the owner refuses afterwards must not stand in the
            # way of what it accepts under the same number.
            version = int.from_bytes(blake2b(text.encode(), digest_size=6).digest(), "big")
            data = await self._values.put(instance, paths.ROOT, "data", version, text)
            # Trees go by data, so this one is used if the owner takes the update, and else forgotten.
            self._trees.keep((instance, workflow, data), tree)
        return PlanExpanded(
            id=instance, epoch=request.epoch, command=request.command, plan=tree.plan, data=data
        )


def updated(data: str, updater: str, most: int) -> str:
    """The data, as JSON text, that an updater makes of it.

    Args:
        data: JSON text.
        updater: JSON text.
        most: how large data may be, in bytes.

    Raises:
        TaskpathError: INVALID_REQUEST if the updater does not fit the data, TOO_LARGE if the result is too
        large.
    """
    try:
        text = encode(updaters.apply(decode(data), decode(updater)))
    except UpdaterError as error:
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST, f"The data cannot be updated: {error}", details={"place": error.path}
        ) from None
    except NotJSON as error:
        raise TaskpathError(ErrorCode.INVALID_REQUEST, f"The data cannot be updated: {error}.") from None
    size = len(text.encode())
    if size > most:
        raise TaskpathError(
            ErrorCode.TOO_LARGE, f"The updated data has {size} bytes as JSON; at most {most} are allowed."
        )
    return text
