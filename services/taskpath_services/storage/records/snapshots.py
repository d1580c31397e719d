"""Whole changes: all there is of an instance, whatever was stored before.

What a whole change does not name is gone: tasks with their logs and values, and fields of tasks. Three things
stay, because an owner does not have them all: the logs of tasks that it names, the values beside the records
that they still refer to, and the instance's plan, data and base context if it says nothing of them.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from taskpath_proto.events import InstanceChanged
from taskpath_proto.records import TaskChange


def completed(event: InstanceChanged) -> InstanceChanged:
    """The whole change with one change a task, each of which says *none* of the values that it has not."""
    changes: dict[str, TaskChange] = {}
    for change in event.tasks:
        known = changes.get(change.path)
        changes[change.path] = change if known is None else _merged(known, change)
    return msgspec.structs.replace(event, tasks=[_without_values(change) for change in changes.values()])


def _merged(earlier: TaskChange, later: TaskChange) -> TaskChange:
    fields = {name: getattr(later, name) for name in later.__struct_fields__}
    return msgspec.structs.replace(
        earlier, **{name: value for name, value in fields.items() if value is not UNSET}
    )


def _without_values(change: TaskChange) -> TaskChange:
    return msgspec.structs.replace(
        change,
        body=None if change.body is UNSET else change.body,
        argument=None if change.argument is UNSET else change.argument,
        updaters=None if change.updaters is UNSET else change.updaters,
        items=None if change.items is UNSET else change.items,
    )
