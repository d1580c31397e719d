"""Trees: what generators return, kept to find a task's functions by its path."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from taskpath.app import App, Workflow
from taskpath.runtime.clock import Clock
from taskpath.task import Task
from taskpath.tree import plan_of, queues_of, tree_of
from taskpath_proto import paths
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.plan import Handler, Plan
from taskpath_proto.values import Inline, Value
from taskpath_services.executor.author_calls import AuthorCalls
from taskpath_services.executor.outcome import message_of

MAX_CACHED: Final = 200_000
"""How much the cached trees weigh together, in tasks (the one used last is kept, whatever its size)."""
_TREE_WEIGHT: Final = 50
_BYTES_A_TASK: Final = 500
_LARGE: Final = 1_000
"""A list of more tasks is made a tree of in a thread."""

_INDEX = re.compile(r"\[\d+\]")


class Tree:
    """An instance's tree as its generator made it.

    Args:
        workflow: whose generator.
        tasks: the root list.
        handlers: the kinds of handlers that the app has.
    """

    __slots__ = ("_tasks", "plan", "workflow")

    def __init__(
        self, workflow: Workflow, tasks: tuple[Task, ...], handlers: tuple[Handler, ...] = ()
    ) -> None:
        self.workflow = workflow
        self.plan: Plan = plan_of(tasks, workflow.queue, handlers)
        self._tasks: dict[str, Task] = {}
        waiting = [(paths.ROOT, tasks)]
        while waiting:
            parent, children = waiting.pop()
            for task in children:
                path = paths.child(parent, task.name)
                self._tasks[path] = task
                if task.subtasks:
                    waiting.append((path, task.subtasks))

    def __len__(self) -> int:
        return len(self._tasks)

    def find(self, path: str) -> Task | None:
        """The task at a path; for an item, the task that all items are made from."""
        task = self._tasks.get(path)
        if task is None and "[" in path:
            stem = path[: path.rfind("[")] if path.endswith("]") else path
            task = self._tasks.get(stem) or self._tasks.get(_INDEX.sub("", stem))
        return task

    def missing(self, path: str) -> TaskpathError:
        """The error for a path that is not in the tree."""
        above = paths.parent(_INDEX.sub("", path))
        while above is not None and above != paths.ROOT and above not in self._tasks:
            above = paths.parent(above)
        return TaskpathError(
            ErrorCode.CANNOT_FIND_TASK,
            f"The workflow {self.workflow.name!r} has no task {path} in the code that this executor runs; "
            "it was renamed or removed since the instance was created.",
            path=path,
            details={"workflow": self.workflow.name, "path": path, "exists": above or paths.ROOT},
        )


TreeKey: TypeAlias = tuple[str, str, Value]


class Trees:
    """Calls generators and keeps what they return.

    Args:
        app: the workflows.
        clock: for the generators' time limit.
        serve: called with the queues that a new tree names, before anyone gets the tree.
    """

    def __init__(self, app: App, clock: Clock, serve: Callable[[set[str]], Awaitable[None]]) -> None:
        self._app = app
        self._calls = AuthorCalls(clock)
        self._serve = serve
        self._cache: OrderedDict[TreeKey, Tree] = OrderedDict()
        self._size = 0
        self._growing: dict[TreeKey, asyncio.Task[Tree]] = {}

    def cached(self, key: TreeKey) -> Tree | None:
        """The tree for instance, workflow and data, if it is there."""
        tree = self._cache.get(key)
        if tree is not None:
            self._cache.move_to_end(key)
        return tree

    async def tree(self, key: TreeKey, data: str) -> Tree:
        """The tree for instance, workflow and data; its generator is called once for all who ask.

        Args:
            key: the instance's id, the workflow's name, and the data's value.
            data: the data's JSON text.

        Raises:
            TaskpathError: UNKNOWN_WORKFLOW, INVALID_DATA, or SCHEDULER_ERROR if the generator fails.
            BusClosed: the executor is stopping.
        """
        tree = self.cached(key)
        if tree is not None:
            return tree
        task = self._growing.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._grow(key, data), name="generator")
            self._growing[key] = task
        return await asyncio.shield(task)

    async def grow(self, workflow: str, data: str) -> Tree:
        """The tree for workflow and data, made now and not kept; its queues are served.

        Args:
            workflow: its name.
            data: its JSON text.

        Raises:
            TaskpathError: as for :meth:`tree`.
        """
        tree = await grow(self._app, workflow, data, self._call)
        await self._serve(queues_of(tree.plan))
        return tree

    def keep(self, key: TreeKey, tree: Tree) -> None:
        """Keeps a tree for those who will ask for it."""
        if key not in self._cache:
            self._cache[key] = tree
            self._size += _weight(key, tree)
            while self._size > MAX_CACHED and len(self._cache) > 1:
                self._size -= _weight(*self._cache.popitem(last=False))

    async def _grow(self, key: TreeKey, data: str) -> Tree:
        try:
            tree = await self.grow(key[1], data)
        finally:
            self._growing.pop(key, None)
        self.keep(key, tree)
        return tree

    async def _call(self, workflow: Workflow, arguments: tuple[Any, ...]) -> Any:
        return await self._calls.call(workflow.generator, arguments, is_async=workflow.is_async)

    async def close(self) -> None:
        """Ends what is being generated."""
        tasks = list(self._growing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._calls.close()


def _weight(key: TreeKey, tree: Tree) -> int:
    data = key[2]
    return _TREE_WEIGHT + len(tree) + (len(data.json) // _BYTES_A_TASK if isinstance(data, Inline) else 0)


def _tree(workflow: Workflow, returned: object, handlers: tuple[Handler, ...]) -> Tree:
    return Tree(workflow, tree_of(returned), handlers)


async def grow(
    app: App, name: str, data: str, call: Callable[[Workflow, tuple[Any, ...]], Awaitable[Any]]
) -> Tree:
    """Calls a workflow's generator and checks what it returns.

    Args:
        app: the workflows.
        name: of the workflow.
        data: its JSON text.
        call: calls the generator with these arguments, and gives what comes of it.

    Raises:
        TaskpathError: UNKNOWN_WORKFLOW, INVALID_DATA, or SCHEDULER_ERROR if the generator fails.
    """
    workflow = app.workflows.get(name)
    if workflow is None:
        raise TaskpathError(
            ErrorCode.UNKNOWN_WORKFLOW,
            f"This executor has no workflow {name!r}.",
            details={"workflow": name, "known": sorted(app.workflows)[:20]},
        )
    arguments = (workflow.data_from(data),) if workflow.arity else ()
    try:
        returned = await call(workflow, arguments)
        if isinstance(returned, (list, tuple, dict)) and len(returned) > _LARGE:
            return await asyncio.to_thread(_tree, workflow, returned, app.handled)
        return _tree(workflow, returned, app.handled)
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        problem = message_of(error)
        path = error.info.path if isinstance(error, TaskpathError) else None
        details: dict[str, Any] = {"workflow": name, "type": type(error).__name__}
        if path is not None:
            details["task"] = path
        raise TaskpathError(
            ErrorCode.SCHEDULER_ERROR,
            f"The generator of workflow {name!r} failed: {problem.rstrip('.')}.",
            path=path,
            details=details,
        ) from error
