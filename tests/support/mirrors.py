"""A mirror of an instance, and clients that read what it tells."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import InstanceRecord, TaskRecord, TaskStatus
from taskpath_services.gateway import frames
from taskpath_services.gateway.lens import Lens
from taskpath_services.gateway.mirror import Mirror
from tests.support.changes import changed

PLAN = Plan(
    tasks=(
        TaskSpec(name="list"),
        TaskSpec(name="resize", foreach="photos", subtasks=(TaskSpec(name="small"),)),
        TaskSpec(name="zip", run=False, subtasks=(TaskSpec(name="a"), TaskSpec(name="b"))),
    )
)
OK, QUEUED, RUNNING, FAILED = TaskStatus.OK, TaskStatus.QUEUED, TaskStatus.RUNNING, TaskStatus.FAILED


def mirror(*records: TaskRecord, lenses: tuple[Lens, ...] = (), items: tuple[TaskRecord, ...] = ()) -> Mirror:
    """The mirror of an instance at revision 10, with these records."""
    return Mirror(InstanceRecord(id="i", epoch=1, revision=10, plan=PLAN), records, lenses, items)


event = partial(changed, id="i")


class Reader:
    """A client as the contract describes one."""

    def __init__(self) -> None:
        self.revision = 0
        self.statuses: dict[str, Any] = {}
        self.tasks: list[Any] = []
        self.status: str | None = None

    def read(self, made: Any) -> None:
        """Takes frames that belong together."""
        packets = [msgspec.json.decode(frame) for frame in made]
        moving = [packet for packet in packets if packet["type"] != "executionError"]
        for packet in moving:
            assert packet["baseRevision"] <= self.revision
            assert packet.get("more", False) == (packet is not moving[-1])
            match packet["type"]:
                case "workflowDescription" if packet.get("continues", False):
                    extend(self.tasks, packet["tasks"])
                case "workflowDescription":
                    self.tasks = packet["tasks"]
                case "setTasksStatuses":
                    for gone in packet.get("removed", ()):
                        for path in [
                            p for p in self.statuses if p == gone or p.startswith((f"{gone}.", f"{gone}["))
                        ]:
                            del self.statuses[path]
                    self.statuses.update(packet["statuses"])
                case "setWorkflowStatus":
                    self.status = packet["status"]
        if moving:
            self.revision = moving[-1]["revision"]


def extend(tasks: list[Any], more: list[Any]) -> None:
    """Puts a further part of a description to those before."""
    for task in more:
        if tasks and tasks[-1]["path"] == task["path"]:
            extend(tasks[-1]["children"], task["children"])
        else:
            tasks.append(task)


def whole(mirrored: Mirror, lens: Lens) -> Reader:
    """A client that was just sent everything."""
    reader = Reader()
    reader.read(frames.catch_up(mirrored, lens, None, whole=True))
    return reader
