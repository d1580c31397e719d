"""One watched instance: its mirror, those who look at it, and when they are sent what."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import chain
from time import thread_time
from typing import Final

from taskpath_proto.events import InstanceChanged, LogsWritten
from taskpath_proto.queries import LogsView
from taskpath_services.gateway import frames
from taskpath_services.gateway.bundle import Bundle
from taskpath_services.gateway.lens import Key, Lens
from taskpath_services.gateway.logtail import LogTails, Written
from taskpath_services.gateway.metrics import Metrics
from taskpath_services.gateway.mirror import Mirror
from taskpath_services.gateway.pace import Pace
from taskpath_services.gateway.pending import Outcome
from taskpath_services.gateway.viewer import Viewer

_MOST_WAITING: Final = 10_000
_MOST_HELD_MS: Final = 1_000
_CACHE_BYTES: Final = 512 * 1024
_MOST_NAMED: Final = 4_000
"""Of more tasks the states are not made at once."""


class Audience:
    """The viewers with one lens, who are sent the same bytes.

    Attributes:
        sent: the revision that those of them who keep up have at least.
        cache: what was made for one that caught up: (from, whole, revision) and the frames.
    """

    __slots__ = ("cache", "lens", "sent", "viewers")

    def __init__(self, lens: Lens, sent: int) -> None:
        self.lens = lens
        self.viewers: dict[Viewer, None] = {}
        self.sent = sent
        self.cache: tuple[tuple[int | None, bool, int], Bundle] | None = None


class Watch:
    """An instance that somebody watches.

    Attributes:
        mirror: what is known of it; None while it is read.
        known: whether it was read before.
        need: the revision that reading has to reach.
        opened: done when it has been read.
        rounds: how often what was pending went out.

    Args:
        instance: its id.
        metrics: counts.
    """

    def __init__(self, instance: str, metrics: Metrics) -> None:
        self.id: Final = instance
        self.mirror: Mirror | None = None
        self.rounds = 0
        self.audiences: Final[dict[Key, Audience]] = {}
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.known = False
        self.need = 0
        self._metrics = metrics
        self._pace = Pace()
        self._waiting: list[InstanceChanged] | None = None
        self._late: list[list[InstanceChanged]] = []
        self._broken = False
        self._tails = LogTails()
        self._held_from: int | None = None

    @property
    def watched(self) -> bool:
        """Whether anybody is left."""
        return bool(self.audiences)

    @property
    def loading(self) -> bool:
        """Whether it is being read, and events wait."""
        return self._waiting is not None

    def viewers(self) -> Iterator[Viewer]:
        """All who look at it."""
        for audience in self.audiences.values():
            yield from audience.viewers

    def item_lenses(self) -> list[Lens]:
        """The lenses that name items."""
        return [audience.lens for audience in self.audiences.values() if audience.lens.item_patterns]

    def enter(self, viewer: Viewer) -> None:
        """Adds a viewer; it sees nothing before it begins."""
        audience = self.audiences.get(viewer.lens.key)
        if audience is None:
            sent = self.mirror.revision if self.mirror is not None else 0
            audience = self.audiences[viewer.lens.key] = Audience(viewer.lens, sent)
        audience.viewers[viewer] = None
        viewer.enter(self)

    def leave(self, viewer: Viewer) -> None:
        """Takes a viewer out. Safe to call twice."""
        viewer.leave()
        audience = self.audiences.get(viewer.lens.key)
        if audience is not None and audience.viewers.pop(viewer, self) is None and not audience.viewers:
            del self.audiences[viewer.lens.key]
            if self.mirror is not None:
                self.mirror.drop(audience.lens)

    def reload(self) -> None:
        """From here on events wait until it was read, and so do viewers."""
        self.mirror = None
        self._waiting = []
        self._tails.forget()
        if self.opened.done():
            self.opened = asyncio.get_running_loop().create_future()

    def reload_again(self) -> None:
        """Events are missing among those that wait; what is being read will not do."""
        if self._waiting is not None:
            self._waiting.clear()
        self._broken = True

    def install(self, mirror: Mirror) -> bool:
        """Takes what was read, and the events that waited.

        Returns:
            Whether they follow each other; if not, it has to be read again.
        """
        waiting, self._waiting = self._waiting or [], None
        if self._broken:
            self._broken = False
            return False
        self.mirror, self.need, self.known = mirror, 0, True
        for audience in self.audiences.values():
            audience.sent, audience.cache = mirror.revision, None
        self.rounds += 1
        for event in waiting:
            if event.revision <= mirror.revision:
                mirror.epoch = max(mirror.epoch, event.epoch)  # what was read has it, whoever said it
            elif self.apply(event) is not None:
                return False
        mirror.take_pending()
        for audience in self.audiences.values():
            audience.sent = mirror.revision
        return True

    def apply(self, event: InstanceChanged) -> str | None:
        """Moves on by an event; if it has to be read again, why."""
        mirror = self.mirror
        if self._waiting is not None or mirror is None:
            if self._waiting is not None:
                if len(self._waiting) == _MOST_WAITING:
                    self._waiting.clear()  # the gap will be seen
                self._waiting.append(event)
            return None
        for late in self._late:
            late.append(event)
        outcome = mirror.apply(event)
        self._metrics.events.inc()
        if outcome in (Outcome.APPLIED, Outcome.OLD):
            return None
        self.need = event.revision
        if outcome is Outcome.REPLANTED:
            return "the tree has changed"
        if outcome is Outcome.UNHELD:
            return "a foreach has become short enough to be shown item by item"
        return f"what led to revision {event.revision} was not received"

    def begin_widening(self) -> list[InstanceChanged]:
        """Events that are applied from now on are kept in this list as well, until :meth:`widen`."""
        late: list[InstanceChanged] = []
        self._late.append(late)
        return late

    def end_widening(self, late: list[InstanceChanged]) -> None:
        """They are kept no more."""
        self._late = [other for other in self._late if other is not late]

    def due(self, now: int) -> bool:
        """Whether what is pending, if anything is, goes out now. Time in ms."""
        mirror = self.mirror
        if mirror is None or not mirror.changed_unsent:
            return False
        if not mirror.pending.rests:
            return self._pace.due(now)
        if not self._tails.waiting:
            return True
        # Whoever watches until the end wants the last lines before it.
        self._held_from = now if self._held_from is None else self._held_from
        return now - self._held_from >= _MOST_HELD_MS

    @property
    def pending(self) -> bool:
        """Whether something waits to go out."""
        return self.mirror is not None and self.mirror.changed_unsent

    def flush(self, now: int) -> None:
        """Sends what is pending. Time in ms."""
        mirror = self.mirror
        if mirror is None:
            return
        began = thread_time()
        pending = mirror.take_pending(
            stale=any(audience.lens.shows_tasks for audience in self.audiences.values())
        )
        states = frames.States(mirror)
        revision = mirror.revision
        self.rounds += 1
        self._held_from = None
        for audience in self.audiences.values():
            audience.cache = None
            named: list[str] = []
            if pending.expanded and audience.lens.item_patterns:
                # Other items than before are named; they are not among what has changed.
                named = mirror.changed(audience.sent, audience.lens)
                if len(named) > _MOST_NAMED:
                    for viewer in audience.viewers:
                        viewer.fall_behind()
            current = [viewer for viewer in audience.viewers if viewer.current]
            if not current:
                audience.sent = revision
                continue
            made = Bundle(*frames.change(mirror, pending, audience.lens, states, audience.sent, named))
            audience.sent = revision
            self._metrics.encoded.inc(len(made.frames))
            taken = sum(viewer.offer(made, revision) for viewer in current)
            self._metrics.sent.inc(taken * len(made.frames))
        self._pace.sent(now, (thread_time() - began) * 1000)

    def catch_up(self, lens: Lens, since: int | None, *, whole: bool) -> Iterator[Bundle]:
        """The frames for a viewer that is not up to date.

        What is not too large is made at once and kept for others, for many fall behind together; the rest is
        made while it is sent.
        """
        mirror, audience = self.mirror, self.audiences.get(lens.key)
        if mirror is None or audience is None:
            return
        key = (since, whole, mirror.revision)
        if audience.cache is not None and audience.cache[0] == key:
            yield audience.cache[1]
            return
        making = self._counted(frames.catch_up(mirror, lens, since, whole=whole))
        made: list[bytes] = []
        size = 0
        for frame in making:
            made.append(frame)
            size += len(frame)
            if size > _CACHE_BYTES:
                break
        else:
            bundle = Bundle(*made)
            audience.cache = (key, bundle)
            yield bundle
            return
        yield from map(Bundle, chain(made, making))

    def _counted(self, making: Iterator[bytes]) -> Iterator[bytes]:
        for frame in making:
            self._metrics.alone.inc()
            yield frame

    def resynced(self) -> None:
        """A viewer was told to start over."""
        self._metrics.resyncs.inc()

    def log(self, event: LogsWritten) -> bool:
        """Sends lines of a task's log to whoever wants them; false if it has to be read where they stand."""
        if not event.lines or not self._wanting_logs(event.path):
            self._tails.forget(event.path)
            return True
        located = not self._tails.locating(event.path)
        if (written := self._tails.take(event)) is not None:
            self._send_log(written)
        return not (located and self._tails.locating(event.path))

    def locate_log(self, path: str, view: LogsView | None) -> None:
        """Sends the lines that waited until the end of the log was read; ``view`` is None if that failed."""
        if (written := self._tails.locate(path, view)) is not None:
            self._send_log(written)

    def _send_log(self, written: Written) -> None:
        path, lines, after = written
        made = Bundle(*frames.log_frames(self.id, path, lines, after))
        for viewer in self._wanting_logs(path):
            viewer.log(path, lines, after, made)

    def _wanting_logs(self, path: str) -> list[Viewer]:
        collapsed = self.mirror.collapsed if self.mirror is not None else ()
        return [
            viewer
            for viewer in self.viewers()
            if viewer.logs is not None and viewer.logs.shows(path, collapsed)
        ]
