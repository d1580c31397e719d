"""A description in parts: a tree of many tasks, cut so that each part fits into a packet. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec
from msgspec.structs import replace

from taskpath_proto.packets import TaskNode

_encode = msgspec.json.Encoder().encode


def parts(tasks: Sequence[TaskNode], most: int) -> Iterator[list[TaskNode]]:
    """The tree in parts, in tree order; put together by path they are the whole.

    A part begins with the tasks above its first one, which the parts before have as well.

    Args:
        tasks: those at the root.
        most: about how many bytes a part has when it is encoded.
    """
    if len(_encode(tasks)) <= most:
        yield list(tasks)
        return
    roots: list[TaskNode] = []
    above: list[TaskNode] = []
    size = 0
    for depth, task in _walk(tasks, 0):
        del above[depth:]
        alone = replace(task, children=[])
        weight = len(_encode(alone))
        if size and size + weight > most:
            yield roots
            above = [replace(shell, children=[]) for shell in above]
            for upper, lower in pairwise(above):
                upper.children.append(lower)
            roots = above[:1]
            size = sum(len(_encode(shell)) for shell in above)
        (above[-1].children if above else roots).append(alone)
        above.append(alone)
        size += weight
    yield roots


def _walk(tasks: Sequence[TaskNode], depth: int) -> Iterator[tuple[int, TaskNode]]:
    for task in tasks:
        yield depth, task
        yield from _walk(task.children, depth + 1)
