"""What a group's result is made of: values, by name or in order. Decided from the plan and the records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import msgspec

from taskpath.inputs import has_left
from taskpath_proto import paths
from taskpath_proto.plan import TaskSpec
from taskpath_proto.values import Inline, Value
from taskpath_services.storage.records.contract import TaskResult

Shape: TypeAlias = Value | None | list["Shape"] | tuple[tuple[str, "Shape"], ...]
"""A value, nothing, the results of items in order, or the results of subtasks by name."""


def items(spec: TaskSpec | None, foreach: str, count: int, found: Mapping[str, TaskResult]) -> list[Shape]:
    """The results of a foreach's items, in their order.

    Args:
        spec: the foreach; None if the plan has it no more.
        foreach: its path.
        count: how many items it has.
        found: what is left of its items and of what is below them, by path.
    """
    return [item(spec, paths.item(foreach, index), found) for index in range(count)]


def item(spec: TaskSpec | None, path: str, found: Mapping[str, TaskResult]) -> Shape:
    """The result of one item; nothing, if it has none."""
    return _task(None if spec is None else spec.subtasks, path, found)


def _task(subtasks: Iterable[TaskSpec] | None, path: str, found: Mapping[str, TaskResult]) -> Shape:
    record = found.get(path)
    if record is None or not has_left(record, plain=subtasks is None):
        return None
    if subtasks is None:
        return record.body
    parts: list[tuple[str, Shape]] = []
    for spec in subtasks:
        below = paths.child(path, spec.name)
        child = found.get(below)
        if child is None or not has_left(child, plain=spec.subtasks is None and spec.foreach is None):
            continue
        if spec.foreach is not None:
            parts.append((spec.name, items(spec, below, child.count or 0, found)))
        else:
            parts.append((spec.name, _task(spec.subtasks, below, found)))
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
