"""Log lines: where those stand that are written now, and those that a client has missed.

An event does not say at which position of the log its lines stand. Storage adds the lines of events in their
order and leaves repeats out, and so does this: from a position that is known, it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from taskpath_proto.events import LogLine, LogsWritten
from taskpath_proto.queries import LogsView
from taskpath_services.gateway.frames import log_frames
from taskpath_services.gateway.outbox import Outbox
from taskpath_services.gateway.reads import Reads
from taskpath_services.gateway.viewer import Viewer

_PAGE: Final = 500
_MOST_TAILS: Final = 10_000
_MOST_WAITING: Final = 1_000
_BEYOND: Final = 1 << 53


class Written(NamedTuple):
    """New lines of a task, and the ``next`` that follows them."""

    path: str
    lines: Sequence[LogLine]
    after: int


class _Tail:
    """The end of a log: the position of its last line, and the number of the last line of each attempt."""

    __slots__ = ("position", "seen")

    def __init__(self, position: int, seen: dict[int, int]) -> None:
        self.position = position
        self.seen = seen

    def add(self, lines: Sequence[LogLine]) -> list[LogLine]:
        """Adds lines; those that are new."""
        fresh: list[LogLine] = []
        for line in lines:
            if line.n > self.seen.get(line.attempt, 0):
                self.seen[line.attempt] = line.n
                fresh.append(line)
        self.position += len(fresh)
        return fresh


class LogTails:
    """The ends of the logs of one instance, as far as somebody wants their lines. Pure."""

    def __init__(self) -> None:
        self._tails: dict[str, _Tail] = {}
        self._waiting: dict[str, list[LogLine]] = {}

    def take(self, event: LogsWritten) -> Written | None:
        """The event's new lines; None if there are none, or if :meth:`locating` says that they wait."""
        path = event.path
        waiting = self._waiting.get(path)
        if waiting is not None:
            waiting.extend(event.lines)
            del waiting[:-_MOST_WAITING]
            return None
        tail = self._tails.pop(path, None)
        if tail is None:
            if (event.lines[0].attempt, event.lines[0].n) != (1, 1):
                self._waiting[path] = list(event.lines)
                return None
            tail = _Tail(0, {})
        self._tails[path] = tail
        if len(self._tails) > _MOST_TAILS:
            del self._tails[next(iter(self._tails))]
        lines = tail.add(event.lines)
        return Written(path, lines, tail.position) if lines else None

    @property
    def waiting(self) -> bool:
        """Whether any lines wait until it is known where they stand."""
        return bool(self._waiting)

    def locating(self, path: str) -> bool:
        """Whether lines of the task wait until it is known where they stand."""
        return path in self._waiting

    def locate(self, path: str, view: LogsView | None) -> Written | None:
        """The lines that waited.

        Args:
            path: the task.
            view: the end of its log, read since; None if it cannot be read.
        """
        waiting = self._waiting.pop(path, None)
        if not waiting:
            return None
        if view is None:
            return Written(path, waiting, 0)
        seen: dict[int, int] = {}
        for line in view.lines:
            seen[line.attempt] = max(line.n, seen.get(line.attempt, 0))
        tail = self._tails[path] = _Tail(view.next, seen)
        known = {(line.attempt, line.n) for line in view.lines}
        read = [line for line in waiting if (line.attempt, line.n) in known]
        return Written(path, read + tail.add(waiting), tail.position)

    def forget(self, path: str | None = None) -> None:
        """Nothing is known of the end of a log, or of all, any more."""
        if path is None:
            self._tails.clear()
        else:
            self._tails.pop(path, None)


async def end_of(reads: Reads, instance: str, path: str) -> LogsView:
    """The last lines of a task's log.

    Raises:
        TaskpathError: UNKNOWN_INSTANCE, UNAVAILABLE.
    """
    last = (await reads.logs(instance, path, _BEYOND, 1)).next
    return await reads.logs(instance, path, max(0, last - _PAGE), 2 * _PAGE)


async def follow(reads: Reads, outbox: Outbox, viewer: Viewer, path: str, after: int) -> None:
    """Sends the lines of a task after a position; the viewer's live lines follow without a gap or a repeat.

    Args:
        reads: where the lines are.
        outbox: the client's.
        viewer: holds the live lines of the task back meanwhile.
        path: the task.
        after: the ``next`` of the last lines that the client has.

    Raises:
        TaskpathError: UNAVAILABLE; the live lines are released then, too.
    """
    try:
        while not viewer.gone:
            view = await reads.logs(viewer.instance, path, after, _PAGE)
            after = view.next
            if view.lines:
                for frame in log_frames(viewer.instance, path, view.lines, after):
                    await outbox.room()
                    outbox.put(frame)
            elif viewer.release_logs(path, after):
                return
    finally:
        viewer.release_logs(path, after, at_once=True)
