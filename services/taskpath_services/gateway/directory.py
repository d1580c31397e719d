"""Who is there: the executors that announce themselves, and the workflows that they serve."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import ExecutorAnnounced, ExecutorBeat, WorkflowAnnouncement
from taskpath_proto.packets import ExecutorView, WorkflowView

AWAY_MS: Final = 15_000
"""An executor that was not heard of for so long is away."""

MOST_NAMED: Final = 10
"""If there are no more workflows, all of them are named to who has asked for another."""

_FORGET_MS: Final = 10 * 60_000
_MOST_EXECUTORS: Final = 10_000
_MOST_WORKFLOWS: Final = 10_000


class Directory:
    """What the heartbeats of executors say. Times in ms since epoch.

    Args:
        now: since when heartbeats are listened to.
    """

    def __init__(self, now: int) -> None:
        self._began = now
        self._executors: dict[str, tuple[ExecutorAnnounced, int]] = {}
        self._workflows: dict[str, WorkflowAnnouncement] = {}

    def hear(self, announced: ExecutorAnnounced, now: int) -> None:
        """Takes a heartbeat in."""
        if announced.executor not in self._executors:
            self._forget(now)
            if len(self._executors) >= _MOST_EXECUTORS:
                return
        self._executors[announced.executor] = (announced, now)
        for workflow in announced.workflows:
            if workflow.name in self._workflows or len(self._workflows) < _MOST_WORKFLOWS:
                self._workflows[workflow.name] = workflow

    def hear_beat(self, beat: ExecutorBeat, now: int) -> None:
        """Takes the small heartbeat in: of an executor that is known, nothing else has changed."""
        if (known := self._executors.get(beat.executor)) is None:
            return
        if beat.gone:
            del self._executors[beat.executor]
        else:
            announced = msgspec.structs.replace(known[0], running=beat.running)
            self._executors[beat.executor] = (announced, now)

    def find(self, name: str, now: int) -> WorkflowAnnouncement:
        """The workflow of this name, if somebody serves it now.

        Raises:
            TaskpathError: UNKNOWN_WORKFLOW, if it was never announced; NO_EXECUTOR, if all who did are away.
        """
        workflow = self._workflows.get(name)
        if workflow is None:
            if not self._executors and now - self._began < AWAY_MS:
                raise TaskpathError(ErrorCode.NO_EXECUTOR, "No executor has been heard of yet; try again.")
            raise TaskpathError(
                ErrorCode.UNKNOWN_WORKFLOW,
                f"There is no workflow {name!r}; {self._named()}.",
            )
        if not any(self._serving(name, now)):
            raise TaskpathError(
                ErrorCode.NO_EXECUTOR, f"Every executor that serves the workflow {name!r} is away; try again."
            )
        return workflow

    def _named(self) -> str:
        """Which workflows there are, or where to find them."""
        if len(self._workflows) > MOST_NAMED:
            return "GET /api/v1/workflows lists them"
        return f"there is {', '.join(sorted(self._workflows)) or 'none'}"

    def workflows(self, now: int) -> list[WorkflowView]:
        """The known workflows by name, with the executors that serve each now."""
        return [
            WorkflowView(
                name=name,
                description=workflow.description,
                queue=workflow.queue,
                schema=workflow.schema,
                executors=sorted(self._serving(name, now)),
            )
            for name, workflow in sorted(self._workflows.items())
        ]

    def executors(self, now: int) -> list[ExecutorView]:
        """The executors that were heard of in the last minutes, by id."""
        self._forget(now)
        return [
            ExecutorView(
                id=executor,
                status=self._status(announced, heard, now),
                queues=list(announced.queues),
                workflows=[workflow.name for workflow in announced.workflows],
                running=announced.running,
                concurrency=announced.concurrency,
                started_at=announced.started,
                last_heartbeat=heard,
            )
            for executor, (announced, heard) in sorted(self._executors.items())
        ]

    def _serving(self, workflow: str, now: int) -> Iterator[str]:
        for executor, (announced, heard) in self._executors.items():
            if self._status(announced, heard, now) == "serving" and any(
                served.name == workflow for served in announced.workflows
            ):
                yield executor

    @staticmethod
    def _status(announced: ExecutorAnnounced, heard: int, now: int) -> str:
        if now - heard >= AWAY_MS:
            return "away"
        return "leaving" if announced.leaving else "serving"

    def _forget(self, now: int) -> None:
        old = [name for name, (_, heard) in self._executors.items() if now - heard >= _FORGET_MS]
        for name in old:
            del self._executors[name]
