"""A viewer: one client's sight of one instance, its cursor, and whether it keeps up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from taskpath_proto.events import LogLine
from taskpath_proto.packets import InstanceGone, Resync, TaskLogs
from taskpath_proto.records import InstanceStatus
from taskpath_services.gateway.bundle import Bundle
from taskpath_services.gateway.frames import encode, log_frames
from taskpath_services.gateway.lens import Lens
from taskpath_services.gateway.outbox import Outbox

if TYPE_CHECKING:
    from taskpath_services.gateway.watch import Watch

_MOST_DROPS: Final = 1_000
_ELSEWHERE: Final = "#"


class Viewer:
    """What one client sees of one instance.

    Args:
        outbox: the client's.
        instance: the id of the instance.
        lens: which tasks it sees.
        logs: of which tasks it gets the lines; None for none.
        since: the revision that it has; None for nothing.
    """

    def __init__(
        self, outbox: Outbox, instance: str, lens: Lens, logs: Lens | None = None, since: int | None = None
    ) -> None:
        self.instance: Final = instance
        self.lens: Final = lens
        self.logs: Final = logs
        self.cursor = since
        self.gone = False
        self._left = False
        self._outbox = outbox
        self._watch: Watch | None = None
        self._behind = True
        self._begun = False
        self._whole = True
        self._reason: str | None = None
        self._farewell: bytes | None = None
        self._dropped: dict[str, tuple[int, int]] = {}
        self._held: dict[str, bool] = {}
        self._sent_to: dict[str, int] = {}

    @property
    def current(self) -> bool:
        """Whether it has everything that was sent to those who keep up."""
        return not self._behind

    def enter(self, watch: Watch) -> None:
        """It is among those who watch."""
        self._watch = watch

    def begin(self) -> None:
        """Sends it where things are; before that it gets nothing."""
        if not self._left:
            self._begun = True
            self._outbox.pull(self)

    def leave(self) -> None:
        """Sends it nothing any more."""
        self.gone = self._left = True
        self._outbox.forget(self)

    def offer(self, bundle: Bundle, revision: int) -> bool:
        """Takes frames that bring it to a revision; false if it could not, and will catch up by itself."""
        if self._behind:
            return False
        if self._dropped:
            # Lines that were left out belong before what has come after them.
            bundle = Bundle(*map(self._left_out, self._dropped), *bundle.frames)
        if not self._outbox.offer(bundle):
            self.fall_behind()
            return False
        self._dropped.clear()
        self.cursor = revision
        return True

    def fall_behind(self) -> None:
        """It will catch up when its socket has taken what waits."""
        self._behind = True
        if self._begun and not self.gone:
            self._outbox.pull(self)

    def start_over(self, reason: str) -> None:
        """It has to be told everything anew.

        Args:
            reason: why, for the client.
        """
        if self._begun:
            self._reason = reason
        self.cursor = None
        self.fall_behind()

    def bundles(self) -> Iterator[Bundle]:
        """What brings it up to date now."""
        farewell = self._farewell
        yield from self._missed()
        if farewell is not None and not self._left:
            self._farewell = None
            yield Bundle(farewell)

    def _missed(self) -> Iterator[Bundle]:
        while self._dropped:
            path = next(iter(self._dropped))
            notice = self._left_out(path)
            del self._dropped[path]
            yield Bundle(notice)
        watch = self._watch
        if watch is None or watch.mirror is None or not self._behind:
            return
        mirror, round_ = watch.mirror, watch.rounds
        if self.cursor is not None and not mirror.can_tell(self.cursor):
            self._reason = (
                f"the instance is at revision {mirror.revision}, not yet at {self.cursor}"
                if self.cursor > mirror.revision
                else f"what was removed since revision {self.cursor} is not known any more"
            )
            self.cursor = None
        if self._reason is not None:
            reason, self._reason = self._reason, None
            yield Bundle(encode(Resync(id=self.instance, reason=reason)))
            watch.resynced()
        revision = mirror.revision
        yield from watch.catch_up(self.lens, self.cursor, whole=self._whole)
        if self.gone:
            return  # if it was deleted meanwhile, it is in line again
        self._whole = False
        if watch.mirror is mirror and self._reason is None:
            self.cursor = revision
            if watch.rounds == round_:
                self._behind = False
                return
        self._outbox.pull(self)

    def _left_out(self, path: str) -> bytes:
        count, after = self._dropped[path]
        return encode(TaskLogs(id=self.instance, task_path=path, lines=[], next=after, dropped=count))

    def end(self, status: InstanceStatus | None = None) -> None:
        """The instance was deleted: it is told so when it has been told what was so before.

        Args:
            status: of an ephemeral instance: how it ended.
        """
        if self.gone:
            return
        self.gone = True
        farewell = encode(InstanceGone(id=self.instance, status=status))
        if self._behind or self._dropped:
            self._farewell = farewell
            if self._begun:
                self._outbox.pull(self)
        else:
            self._outbox.put(farewell)

    def hold_logs(self, path: str) -> None:
        """From here on live lines of the task are not sent: what was written before is being read."""
        self._held[path] = False

    def release_logs(self, path: str, after: int, *, at_once: bool = False) -> bool:
        """Live lines are sent again, those after a position; false if some came, and reading has to go on.

        Args:
            path: the task.
            after: the ``next`` of what was read.
            at_once: not to be asked whether some came.
        """
        came = self._held.get(path)
        if came and not at_once:
            self._held[path] = False
            return False
        if came is not None:
            del self._held[path]
            self._sent_to[path] = after
        return True

    def log(self, path: str, lines: Sequence[LogLine], after: int, bundle: Bundle) -> None:
        """Takes lines of a task's log, or counts them if there is no room.

        Args:
            path: the task.
            lines: they.
            after: the ``next`` that follows them.
            bundle: they, encoded for everyone.
        """
        if path in self._held:
            self._held[path] = True
            return
        if not self._begun:
            return
        if (sent_to := self._sent_to.get(path)) is not None:
            sent = max(0, sent_to - (after - len(lines)))
            if sent >= len(lines):
                return
            if sent:
                lines = lines[sent:]
                bundle = Bundle(*log_frames(self.instance, path, lines, after))
            self._sent_to[path] = after
        if path in self._dropped or not self._outbox.offer(bundle):
            key = path if path in self._dropped or len(self._dropped) < _MOST_DROPS else _ELSEWHERE
            before = self._dropped.get(key, (0, 0))[0]
            self._dropped[key] = (before + len(lines), after if key == path else 0)
            self._outbox.pull(self)
