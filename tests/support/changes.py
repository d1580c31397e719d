"""Changes of instances, as an owner publishes them."""

from __future__ import annotations

from taskpath_proto.events import InstanceChanged
from taskpath_proto.records import InstanceChange, TaskChange


def changed(
    revision: int,
    *tasks: TaskChange,
    base: int | None = None,
    epoch: int = 1,
    id: str = "a",
    partition: int = 0,
    removed: tuple[str, ...] = (),
    instance: InstanceChange | None = None,
    whole: bool = False,
) -> InstanceChanged:
    """A change that follows the revision before it, or another one."""
    return InstanceChanged(
        id=id,
        partition=partition,
        epoch=epoch,
        revision=revision,
        base_revision=revision - 1 if base is None else base,
        tasks=list(tasks),
        removed=list(removed),
        instance=instance,
        whole=whole,
    )
