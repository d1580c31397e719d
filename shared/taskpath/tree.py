"""A workflow's tree: what its generator returned, checked as a whole, and as the plain data of a plan."""

from __future__ import annotations

from typing import Final

from taskpath.task import Task, tasks_of
from taskpath_proto import paths
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.paths import MAX_LEVELS, MAX_PATH_BYTES
from taskpath_proto.plan import Handler, Plan, TaskSpec

MAX_TASKS: Final = 1_000_000
"""How many tasks an instance may have."""

_ITEM_BYTES: Final = len("[999999]")


def tree_of(returned: object) -> tuple[Task, ...]:
    """The root list that a generator returned.

    Raises:
        TaskpathError: SCHEDULER_ERROR, if it is no list of tasks, has duplicate names or exceeds a limit.
    """
    tasks = tasks_of(returned, "What the generator returned", 1)
    left = _check(tasks, paths.ROOT, 1, 1, MAX_TASKS)
    if left < 0:
        raise TaskpathError(ErrorCode.SCHEDULER_ERROR, f"The tree has more than {MAX_TASKS} tasks.")
    return tasks


def _check(tasks: tuple[Task, ...], parent: str, size: int, level: int, left: int) -> int:
    """How many tasks are left of the allowance ``left``; negative when it is used up."""
    left -= len(tasks)
    if left < 0:
        return left
    seen: set[str] = set()
    for task in tasks:
        path = paths.child(parent, task.name)
        if task.name in seen:
            raise TaskpathError(
                ErrorCode.SCHEDULER_ERROR,
                f"Two tasks are named {path}; names of siblings must differ.",
                path=path,
            )
        seen.add(task.name)
        here = size + 1 + len(task.name.encode())
        below = level + 1
        if task.foreach is not None:
            here += _ITEM_BYTES
            below += 1
        if here > MAX_PATH_BYTES:
            raise TaskpathError(
                ErrorCode.SCHEDULER_ERROR,
                f"A path has at most {MAX_PATH_BYTES} bytes, and that of the task {path[:80]}… has {here}.",
            )
        if below - 1 > MAX_LEVELS:
            raise TaskpathError(
                ErrorCode.SCHEDULER_ERROR,
                f"The tree is too deep at {path[:80]}…; at most {MAX_LEVELS} levels are allowed "
                "(the items of a foreach are one).",
            )
        if task.subtasks:
            left = _check(task.subtasks, path, here, below, left)
            if left < 0:
                return left
    return left


def plan_of(tasks: tuple[Task, ...], queue: str, handlers: tuple[Handler, ...] = ()) -> Plan:
    """The plan of a tree: everything but the functions.

    Args:
        tasks: the root list.
        queue: the queue of tasks that name none.
        handlers: the kinds of handlers that the app has.
    """
    return Plan(tasks=tuple(map(_spec, tasks)), queue=queue, handlers=handlers)


def _spec(task: Task) -> TaskSpec:
    return TaskSpec(
        name=task.name,
        description=task.description,
        run=task.run is not None,
        condition=task.condition is not None,
        context_var=task.context_var,
        context_vars=task.context_vars,
        dest=task.dest,
        subtasks=None if task.subtasks is None else tuple(map(_spec, task.subtasks)),
        sequential=task.sequential,
        foreach=task.foreach,
        max_parallel=task.max_parallel,
        retry=None if task.retry is None else task.retry.spec,
        timeout=None if task.timeout is None else float(task.timeout),
        queue=task.queue,
    )


def queues_of(plan: Plan) -> set[str]:
    """The queues that a plan's tasks name."""
    queues = {plan.queue}
    waiting = [plan.tasks]
    while waiting:
        for spec in waiting.pop():
            if spec.queue is not None:
                queues.add(spec.queue)
            if spec.subtasks:
                waiting.append(spec.subtasks)
    return queues
