"""The tree of an instance, walked and described. Pure: a plan, and how many items each foreach has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from taskpath_proto import paths
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.packets import TaskNode
from taskpath_proto.paths import Pattern
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import TaskRecord
from taskpath_services.gateway.reads import COLLAPSED

_MOST_DESCRIPTION: Final = 2_000


def describe(plan: Plan, records: Mapping[str, TaskRecord]) -> list[TaskNode]:
    """The tree as watchers get it; a foreach once, without its items.

    Args:
        plan: the tree.
        records: tell how many items each foreach has.
    """
    return _describe(plan.tasks, paths.ROOT, records)


def _describe(specs: Iterable[TaskSpec], above: str, records: Mapping[str, TaskRecord]) -> list[TaskNode]:
    nodes: list[TaskNode] = []
    for spec in specs:
        path = paths.child(above, spec.name)
        foreach = spec.foreach is not None
        record = records.get(path)
        below = f"{path}[*]" if foreach else path
        nodes.append(
            TaskNode(
                name=spec.name,
                description=_short(spec.description),
                path=path,
                children=_describe(spec.subtasks or (), below, records),
                foreach=foreach,
                count=record.count if record is not None and foreach else None,
            )
        )
    return nodes


def _short(description: str) -> str:
    if len(description) <= _MOST_DESCRIPTION:
        return description
    return description[: _MOST_DESCRIPTION - 1] + "…"


def walk(plan: Plan, records: Mapping[str, TaskRecord]) -> Iterator[str]:
    """The paths of all tasks in tree order, without what is below a collapsed foreach.

    Args:
        plan: the tree.
        records: tell how many items each foreach has.
    """
    return _walk(plan.tasks, paths.ROOT, records)


def _walk(specs: Iterable[TaskSpec], above: str, records: Mapping[str, TaskRecord]) -> Iterator[str]:
    for spec in specs:
        path = paths.child(above, spec.name)
        yield path
        if spec.foreach is None:
            if spec.subtasks:
                yield from _walk(spec.subtasks, path, records)
            continue
        count = _count(path, records)
        if count <= COLLAPSED:
            for index in range(count):
                yield from walk_item(spec, paths.item(path, index), records)


def walk_item(spec: TaskSpec, item: str, records: Mapping[str, TaskRecord]) -> Iterator[str]:
    """The paths of an item of the foreach ``spec`` and of all tasks below it, likewise."""
    yield item
    if spec.subtasks:
        yield from _walk(spec.subtasks, item, records)


def foreaches(
    specs: Iterable[TaskSpec], above: str, records: Mapping[str, TaskRecord]
) -> Iterator[tuple[TaskSpec, str]]:
    """The foreaches that a walk through these tasks comes by, with their paths.

    Args:
        specs: the tasks.
        above: the path that they stand at.
        records: tell how many items each foreach has.
    """
    for spec in specs:
        path = paths.child(above, spec.name)
        if spec.foreach is None:
            yield from foreaches(spec.subtasks or (), path, records)
            continue
        yield spec, path
        count = _count(path, records)
        if spec.subtasks and count <= COLLAPSED:
            for index in range(count):
                yield from foreaches(spec.subtasks, paths.item(path, index), records)


def could_match(plan: Plan, pattern: Pattern) -> bool:
    """Whether the tree has, or may come to have, a task that the pattern stands for. ``#`` is the root."""
    seen: set[tuple[int, bool, int]] = set()
    steps = pattern.steps

    def below(specs: Iterable[TaskSpec], at: int) -> bool:
        return any(task(spec, at) for spec in specs)

    def task(spec: TaskSpec, at: int) -> bool:
        step = steps[at]
        if step == "**":
            return reach(spec, False, at + 1) or inside(spec, False, at)
        return step in ("*", spec.name) and reach(spec, False, at + 1)

    def inside(spec: TaskSpec, item: bool, at: int) -> bool:
        """What is below a task, or below an item, against the steps from ``at``."""
        key = (id(spec), item, at)
        if key in seen:
            return False
        seen.add(key)
        if spec.foreach is not None and not item:
            step = steps[at]
            if step == "**":
                return reach(spec, True, at + 1) or inside(spec, True, at)
            return step.startswith("[") and reach(spec, True, at + 1)
        return below(spec.subtasks or (), at)

    def reach(spec: TaskSpec, item: bool, at: int) -> bool:
        return at == len(steps) or inside(spec, item, at)

    return not steps or below(plan.tasks, 0)


def check_pattern(instance: str, plan: Plan, pattern: Pattern) -> None:
    """Lets a pattern pass that can stand for a task.

    Raises:
        TaskpathError: CANNOT_FIND_TASK.
    """
    if not could_match(plan, pattern):
        raise TaskpathError(
            ErrorCode.CANNOT_FIND_TASK,
            f"The instance {instance!r} can have no task that {pattern.text!r} stands for.",
            path=pattern.text,
        )


def _count(path: str, records: Mapping[str, TaskRecord]) -> int:
    record = records.get(path)
    return (record.count or 0) if record is not None else 0
