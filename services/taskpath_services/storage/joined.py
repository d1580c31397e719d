"""What a group's result is made of: values, by name or in order. Decided from the plan and the records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import msgspec

from taskpath_proto import paths
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import Inline, Value
from taskpath_services.storage.records.contract import ItemRecord

Shape: TypeAlias = Value | None | list["Shape"] | tuple[tuple[str, "Shape"], ...]
"""A value, nothing, the results of items in order, or the results of subtasks by name."""


def spec_at(plan: Plan, path: str) -> TaskSpec | None:
    """The task of the plan at a path, whichever items are on the way."""
    spec: TaskSpec | None = None
    siblings: Iterable[TaskSpec] = plan.tasks
    for step in paths.split(path):
        if isinstance(step, int):
            continue
        spec = next((candidate for candidate in siblings if candidate.name == step), None)
        if spec is None:
            return None
        siblings = spec.subtasks or ()
    return spec


def items(spec: TaskSpec | None, foreach: str, count: int, found: Mapping[str, ItemRecord]) -> list[Shape]:
    """The results of a foreach's items.

    Args:
        spec: the foreach; None if the plan has it no more.
        foreach: its path.
        count: how many items it has.
        found: the records at and below its items, by path.
    """
    subtasks = None if spec is None else spec.subtasks
    return [_task(subtasks, paths.item(foreach, index), found) for index in range(count)]


def _task(subtasks: Iterable[TaskSpec] | None, path: str, found: Mapping[str, ItemRecord]) -> Shape:
    record = found.get(path)
    if record is None or record.status is TaskStatus.SKIPPED:
        return None
    if subtasks is None:
        return record.body
    parts: list[tuple[str, Shape]] = []
    for spec in subtasks:
        below = paths.child(path, spec.name)
        child = found.get(below)
        if child is None or child.status is TaskStatus.SKIPPED:
            continue
        if spec.foreach is not None:
            if child.count is not None:
                parts.append((spec.name, items(spec, below, child.count, found)))
            continue
        shape = _task(spec.subtasks, below, found)
        if shape is not None:
            parts.append((spec.name, shape))
    return tuple(parts)


def leaves(shape: Shape) -> Iterator[Value]:
    """The values in a shape."""
    if shape is None:
        return
    if isinstance(shape, list):
        for part in shape:
            yield from leaves(part)
    elif isinstance(shape, tuple):
        for _, part in shape:
            yield from leaves(part)
    else:
        yield shape


def text(shape: Shape, texts: Mapping[Value, str]) -> str:
    """The JSON text of a shape, given the texts of its values that are not inline."""
    if shape is None:
        return "null"
    if isinstance(shape, Inline):
        return shape.json
    if isinstance(shape, list):
        return f"[{','.join([text(part, texts) for part in shape])}]"
    if isinstance(shape, tuple):
        return f"{{{','.join([_name(name) + text(part, texts) for name, part in shape])}}}"
    return texts[shape]


def _name(name: str) -> str:
    return msgspec.json.encode(name).decode() + ":"
