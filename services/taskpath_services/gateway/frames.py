"""Frames: the packets that bring a watcher from one revision to the next, encoded, none much over a limit.

A state is encoded once for all lenses, a frame once for all clients with the same lens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from taskpath_proto.events import LogLine
from taskpath_proto.packets import (
    ExecutionError,
    InstancePacket,
    ServerPacket,
    SetTasksStatuses,
    SetWorkflowStatus,
    TaskLogLine,
    TaskLogs,
    WorkflowDescription,
)
from taskpath_services.gateway.lens import Lens
from taskpath_services.gateway.mirror import Mirror
from taskpath_services.gateway.parts import parts
from taskpath_services.gateway.pending import Pending

FRAME_BYTES: Final = 128 * 1024
"""About how many bytes of states, or of a description, or characters of log lines go into one frame."""

_encode = msgspec.json.Encoder().encode


def encode(packet: ServerPacket) -> bytes:
    """The frame of one packet."""
    return _encode(packet)


def log_frames(instance: str, path: str, lines: Sequence[LogLine], after: int) -> list[bytes]:
    """The frames with lines of a task's log.

    Args:
        instance: the id of the instance.
        path: the task.
        lines: they.
        after: the ``next`` that follows them; 0 if that is not known.
    """
    frames: list[bytes] = []
    shown: list[TaskLogLine] = []
    size = 0
    for number, line in enumerate(lines, 1):
        shown.append(TaskLogLine(time=line.time, level=line.level, text=line.text, attempt=line.attempt))
        size += len(line.text)
        if size >= FRAME_BYTES or number == len(lines):
            reached = max(0, after - (len(lines) - number))
            frames.append(encode(TaskLogs(id=instance, task_path=path, lines=shown, next=reached)))
            shown, size = [], 0
    return frames


class States:
    """The encoded states of tasks, each encoded once.

    Args:
        mirror: where they come from; it does not change while this is used for several lenses.
    """

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._encoded: dict[str, Raw] = {}

    def __getitem__(self, path: str) -> Raw:
        encoded = self._encoded.get(path)
        if encoded is None:
            encoded = self._encoded[path] = Raw(_encode(self._mirror.state(path)))
        return encoded


def change(
    mirror: Mirror, pending: Pending, lens: Lens, states: States, base: int, also: Sequence[str] = ()
) -> list[bytes]:
    """The frames of what has just changed, as it is seen through a lens.

    If nothing of it is, or if the instance is at rest, the status is said again: the revision has risen, and
    whoever waits for the one that a command was answered with has to see that it is there.

    Args:
        mirror: the instance.
        pending: what has changed.
        lens: what is seen.
        states: shared by all lenses.
        base: the revision that these clients have at least.
        also: tasks that are seen through the lens and said to have changed, too.
    """
    collapsed, shows = mirror.collapsed, lens.shows
    seen = [path for path in pending.tasks if shows(path, collapsed)]
    if also:
        seen = list(dict.fromkeys([*also, *seen]))
    removed = [path for path in pending.removed if shows(path, collapsed)]
    frames = [
        _encode(ExecutionError(id=mirror.id, task_path=path, error=error))
        for path, error in pending.failures
        if shows(path, collapsed)
    ]
    packets = _packets(
        mirror,
        base,
        states,
        seen,
        removed,
        tree=pending.tree,
        statuses=bool(seen or removed),
        status=pending.status or mirror.rests or not (seen or removed or pending.tree),
    )
    frames.extend(packets)
    return frames


def catch_up(mirror: Mirror, lens: Lens, since: int | None, *, whole: bool) -> Iterator[bytes]:
    """The frames that bring one client up to date, made while they are sent.

    Meanwhile the instance may move on. What they say of the instance as a whole is what was so when they were
    begun, for that is the revision that they carry; the states of tasks are as new as can be.

    Args:
        mirror: the instance.
        lens: what is seen.
        since: what the client has; None if that is nothing.
        whole: whether all three packets are due, as on a watch, though nothing may have changed.
    """
    mirror.renumber()
    paths: Iterable[str]
    if since is None:
        paths, removed, tree = mirror.paths(lens), [], True
    else:
        paths, removed = mirror.changed(since, lens), mirror.removed(since, lens)
        tree = whole or mirror.described_after(since)
    statuses = whole or since is None or bool(paths or removed)
    return _packets(
        mirror, since or 0, _Passing(mirror), paths, removed, tree=tree, statuses=statuses, status=True
    )


class _Passing(States):
    """States that are encoded and not kept."""

    def __getitem__(self, path: str) -> Raw:
        return Raw(_encode(self._mirror.state(path)))


def _packets(
    mirror: Mirror,
    base: int,
    states: States,
    paths: Iterable[str],
    removed: list[str],
    *,
    tree: bool,
    statuses: bool,
    status: bool,
) -> Iterator[bytes]:
    revision = mirror.revision
    before: InstancePacket | None = None
    for packet in _sequence(mirror, revision, base, states, paths, removed, tree, statuses, status):
        if before is not None:
            yield _encode(replace(before, more=True))
        before = packet
    if before is not None:
        yield _encode(before)


def _sequence(
    mirror: Mirror,
    revision: int,
    base: int,
    states: States,
    paths: Iterable[str],
    removed: Iterable[str],
    tree: bool,
    statuses: bool,
    status: bool,
) -> Iterator[InstancePacket]:
    instance = mirror.id
    standing = SetWorkflowStatus(
        id=instance, revision=revision, base_revision=base, status=mirror.status, progress=mirror.progress
    )
    if tree:
        for number, tasks in enumerate(parts(mirror.description(), FRAME_BYTES)):
            yield WorkflowDescription(
                id=instance, revision=revision, base_revision=base, tasks=tasks, continues=number > 0
            )
    if statuses:
        shown: dict[str, Raw] = {}
        gone: list[str] = []
        size = 0
        for path in removed:
            gone.append(path)
            size += len(path)
            if size >= FRAME_BYTES:
                yield SetTasksStatuses(
                    id=instance, revision=revision, base_revision=base, statuses={}, removed=gone
                )
                gone, size = [], 0
        for path in paths:
            state = shown[path] = states[path]
            size += len(path) + len(state)
            if size >= FRAME_BYTES:
                yield SetTasksStatuses(
                    id=instance, revision=revision, base_revision=base, statuses=shown, removed=gone
                )
                shown, gone, size = {}, [], 0
        yield SetTasksStatuses(
            id=instance, revision=revision, base_revision=base, statuses=shown, removed=gone
        )
    if status:
        yield standing
