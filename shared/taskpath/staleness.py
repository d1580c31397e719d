"""Staleness: which finished tasks no longer agree with what stands before them.

Derived from the numbers of the records when something is shown, never stored (design: each record keeps
``bound``, taken from the instance's counter when the task's inputs were bound, and ``left``, taken when what
it leaves last changed). A finished task is fresh when every task before it is done and has a ``left`` smaller
than its ``bound``. *Before* means in sequence: earlier siblings of it and of its ancestors, and its
ancestors' own functions; never parallel siblings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from taskpath_proto import paths
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import TaskRecord, TaskStatus

NEVER: Final = 1 << 62
"""Greater than any counter: something before is not done, so whatever is finished is stale."""

_DONE: Final = frozenset({TaskStatus.OK, TaskStatus.SKIPPED})
_FINISHED: Final = frozenset({TaskStatus.OK, TaskStatus.SKIPPED, TaskStatus.FAILED, TaskStatus.CANCELLED})


def after(threshold: int, done: bool, left: int) -> int:
    """The threshold for what comes after a task, given the one for the task itself."""
    return max(threshold, left) if done else NEVER


def is_stale(threshold: int, finished: bool, bound: int) -> bool:
    """Whether a task is finished and not fresh, given the greatest ``left`` before it."""
    return finished and bound <= threshold


def stale_of(plan: Plan, records: Mapping[str, TaskRecord]) -> dict[str, int]:
    """How many tasks are stale: at each plain task 0 or 1, at each group the number at or under it.

    The items of a foreach are looked up in ``records``; where there is none of them (a collapsed foreach),
    they are counted by the foreach's ``bounds``.

    Args:
        plan: the instance's tree.
        records: the records at hand, by path; a task without one is untouched.
    """
    items: dict[str, list[str]] = {}
    for path in records:
        if path.endswith("]"):
            items.setdefault(path[: path.rindex("[")], []).append(path)
    stale: dict[str, int] = {}
    _sequence(plan.tasks, paths.ROOT, 0, records, items, stale)
    return stale


def _sequence(
    specs: Iterable[TaskSpec],
    above: str,
    threshold: int,
    records: Mapping[str, TaskRecord],
    items: Mapping[str, list[str]],
    stale: dict[str, int],
) -> int:
    count = 0
    for spec in specs:
        path = paths.child(above, spec.name)
        count += _visit(spec, path, threshold, records, items, stale, spec.foreach is not None)
        record = records.get(path)
        threshold = after(threshold, record.status in _DONE, record.left) if record is not None else NEVER
    return count


def _visit(
    spec: TaskSpec,
    path: str,
    threshold: int,
    records: Mapping[str, TaskRecord],
    items: Mapping[str, list[str]],
    stale: dict[str, int],
    foreach: bool,
) -> int:
    record = records.get(path)
    count = 0
    if record is None:
        stale[path] = 0
        return 0
    if not foreach and spec.subtasks is None:
        count = int(is_stale(threshold, record.status in _FINISHED, record.bound))
        stale[path] = count
        return count
    own = record.own
    if own is not None and not foreach:
        count += int(is_stale(threshold, own in _FINISHED, record.bound))
    # A function that has never run has no status in the record.
    has_own = own is not None or foreach or spec.run or (spec.condition and not path.endswith("]"))
    inner = after(threshold, own in _DONE, record.own_left) if has_own else threshold
    if foreach:
        shown = items.get(path)
        if shown is None:
            count += sum(number for bound, number in record.bounds if bound <= inner)
        else:
            for item in shown:
                count += _visit(spec, item, inner, records, items, stale, False)
    elif spec.sequential:
        count += _sequence(spec.subtasks or (), path, inner, records, items, stale)
    else:
        for subtask in spec.subtasks or ():
            child = paths.child(path, subtask.name)
            count += _visit(subtask, child, inner, records, items, stale, subtask.foreach is not None)
    stale[path] = count
    return count
