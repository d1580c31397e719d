"""Running a workflow in a test: the real scheduler, executor and storage, in memory, without servers.

from taskpath.testing import run

async def test_the_album_is_zipped():
    result = await run(app, "album", {"album": "sea", "count": 3})
    assert result.status == "done"
    assert result.results["#.resize[2]"] == {"id": 2, "bytes": 1000}
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from taskpath.app import App
from taskpath_proto.errors import TaskpathError
from taskpath_proto.records import InstanceStatus, TaskStatus

T = TypeVar("T")


class ByPath(dict[str, T]):
    """Something of some tasks, by path. Asked for another path, it says what there is.

    Args:
        what: what it has of a task, as a message says it.
        values: what there is, by path.
        statuses: of all tasks there are.
    """

    def __init__(self, what: str, values: Mapping[str, T], statuses: Mapping[str, TaskStatus]) -> None:
        super().__init__(values)
        self._what = what
        self._statuses = statuses

    def __missing__(self, path: str) -> T:
        raise KeyError(self._why(path))

    def _why(self, path: str) -> str:
        status = self._statuses.get(path)
        if status is None:
            return f"there is no task {path!r}; there are {_some(self._statuses)}"
        return f"{path} is {status} and has no {self._what}; {_some(self) or 'no task'} has one"


class Logs(ByPath[list[str]]):
    """The texts of each task's log; a task that wrote nothing has an empty list."""

    def __missing__(self, path: str) -> list[str]:
        if path in self._statuses:
            return []
        raise KeyError(self._why(path))


class Result:
    """How a run ended, and what it left.

    Attributes:
        status: of the instance: ``done``, ``failed`` and so on.
        statuses: of each task that was reached, by path.
        results: by path, what each task has returned that is ok, as JSON makes it; of a foreach the list of
            its items' results, of a group without a function of its own the dict of its subtasks' results.
        context: what a task after the last would see.
        logs: by path, the texts that each task wrote.
        errors: by path, why each failed task failed: ``.code``, the message, and ``.info`` with ``.type`` and
            ``.traceback``.
    """

    __slots__ = ("context", "errors", "logs", "results", "status", "statuses")

    def __init__(
        self,
        status: InstanceStatus,
        statuses: Mapping[str, TaskStatus],
        results: Mapping[str, Any],
        context: dict[str, Any],
        logs: Mapping[str, list[str]],
        errors: Mapping[str, TaskpathError],
    ) -> None:
        self.status = status
        self.statuses: ByPath[TaskStatus] = ByPath("status", statuses, statuses)
        self.results: ByPath[Any] = ByPath("result", results, statuses)
        self.context = context
        self.logs = Logs("log", logs, statuses)
        self.errors: ByPath[TaskpathError] = ByPath("error", errors, statuses)

    def __repr__(self) -> str:
        failed = "".join(f", {path}: {error}" for path, error in list(self.errors.items())[:3])
        return f"<Result {self.status}: {len(self.statuses)} tasks{failed}>"


async def run(
    app: App,
    workflow: str,
    data: Any = None,
    *,
    argument: Any = ...,
    base_context: Mapping[str, Any] | None = None,
    realm: str = "default",
    timeout: float = 60,
) -> Result:
    """Creates an instance of a workflow and executes all of it.

    It returns when the instance and the app's handlers have ended. A workflow that fails is a result as
    well. Retries are waited for: give them a short ``backoff`` in tests.

    Args:
        app: the app.
        workflow: the name under which it was registered.
        data: the instance's data: JSON, or a dataclass or Struct that becomes it.
        argument: for the first task, in place of the data; ``None`` is an argument, too.
        base_context: the lowest layer of the context.
        realm: the instance's realm.
        timeout: how long all of it may take, in seconds.

    Raises:
        TaskpathError: UNKNOWN_WORKFLOW; INVALID_DATA if the data does not fit; SCHEDULER_ERROR if the
            generator fails or returns no tree.
        TimeoutError: it has not ended in time; the message says what was under way.
    """
    trial = importlib.import_module("taskpath_services.trial")
    result: Result = await trial.run(
        app,
        workflow,
        data,
        argument=argument,
        base_context=base_context,
        realm=realm,
        timeout=timeout,
    )
    return result


def _some(paths: Iterable[str]) -> str:
    found = list(paths)
    return ", ".join(found[:20]) + (", …" if len(found) > 20 else "")
