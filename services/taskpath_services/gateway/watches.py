"""The watches of a gateway: one for each instance that somebody looks at, however many clients that are.

A watch binds the instance's events, waits until storage has those published before, reads it, then applies
what came since. It is read again when an event is missing, when the bus has lost some or its connection, and
when an owner does not continue where its predecessor was seen to be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from taskpath.runtime.bus import Bus
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.codec import Message
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import InstanceChanged, InstanceDeleted, LogsWritten
from taskpath_proto.queries import Tombstone
from taskpath_proto.records import InstanceStatus, TaskRecord
from taskpath_services.gateway.catching import Catching
from taskpath_services.gateway.expectations import Expectations
from taskpath_services.gateway.hearing import Hearing
from taskpath_services.gateway.logtail import end_of
from taskpath_services.gateway.metrics import Metrics
from taskpath_services.gateway.mirror import Mirror
from taskpath_services.gateway.reads import Buried, Reads, unknown
from taskpath_services.gateway.tree import check_pattern
from taskpath_services.gateway.viewer import Viewer
from taskpath_services.gateway.watch import Watch

log = structlog.get_logger("taskpath.gateway")

LINGER: Final = 60.0
"""How many seconds a watch goes on that nobody is left of: who comes back is told what was missed."""

OPEN_SECONDS: Final = 20.0
"""How long who wants to watch waits for the first reading."""

AGAIN_AT_ONCE: Final = 16
"""So many watches are read again at once."""

_MOST_LINGERING: Final = 200
_SWEEP: Final = 10.0
_TICK: Final = 0.025
_RETRY: Final = (0.05, 0.2, 1.0, 5.0)


class Watches(Service):
    """Opens, feeds and closes watches.

    Args:
        bus: where events come from.
        clock: paces what is sent.
        partitions: how many mailboxes share the instances.
        reads: where instances are read.
        expectations: tell how long tasks usually take.
        metrics: counts.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        partitions: int,
        reads: Reads,
        expectations: Expectations,
        metrics: Metrics,
    ) -> None:
        super().__init__("gateway watches")
        self._clock = clock
        # Where nobody hears of a change before it is stored, there is nothing to catch up with.
        self._catching = Catching(reads, partitions) if bus.durable else None
        self._reads = reads
        self._expectations = expectations
        self._again = asyncio.Semaphore(AGAIN_AT_ONCE)
        self._metrics = metrics
        self._watches: dict[str, Watch] = {}
        self._hearing = Hearing(self.name, bus, clock, self._take, self._miss)
        self._binding = asyncio.Lock()
        self._lingering: dict[Watch, int] = {}
        self._unsent: dict[Watch, None] = {}
        self._busy = asyncio.Event()

    async def on_start(self) -> None:
        """Subscribes, and begins to listen."""
        if self._catching is not None:
            await self._catching.start()
            self.spawn(self._catching.wait(), "catching up")
        await self._hearing.start()
        self.spawn(self._hearing.wait(), "hearing")
        self.spawn(self._send(), "sending")
        self.spawn(self._sweep(), "sweeping")

    async def on_stop(self) -> None:
        """Ends the subscription."""
        await self._hearing.stop()
        if self._catching is not None:
            await self._catching.stop()

    async def enter(self, viewer: Viewer) -> Watch:
        """Adds a viewer to the watch of its instance, which is opened if need be.

        Returns:
            The watch, which has been read.

        Raises:
            TaskpathError: UNKNOWN_INSTANCE, UNAVAILABLE; CANNOT_FIND_TASK, a pattern can match nothing.
        """
        watch = self._watches.get(viewer.instance)
        if watch is None:
            watch = self._watches[viewer.instance] = Watch(viewer.instance, self._metrics)
            self._metrics.watches.set(len(self._watches))
            watch.enter(viewer)
            self.spawn(self._open(watch), f"opening {watch.id}")
        else:
            self._lingering.pop(watch, None)
            watch.enter(viewer)
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await asyncio.shield(watch.opened)
                if (mirror := watch.mirror) is not None:
                    for pattern in viewer.lens.patterns:
                        check_pattern(watch.id, mirror.plan, pattern)
                    if viewer.lens.item_patterns and not mirror.holds(viewer.lens):
                        await self._widen(watch, mirror, viewer)
        except TimeoutError:
            self.leave(viewer)
            raise TaskpathError(
                ErrorCode.UNAVAILABLE, f"The instance could not be read within {OPEN_SECONDS:g} s; try again."
            ) from None
        except BaseException:
            self.leave(viewer)
            raise
        return watch

    def leave(self, viewer: Viewer) -> None:
        """Takes a viewer out; a watch that nobody is left of is closed after a while. Safe to call twice."""
        watch = self._watches.get(viewer.instance)
        if watch is None:
            viewer.leave()
            return
        watch.leave(viewer)
        if watch.watched:
            return
        if watch.mirror is None:
            self._forget(watch)
            return
        self._lingering.setdefault(watch, self._clock.now())
        if len(self._lingering) > _MOST_LINGERING:
            self._forget(next(iter(self._lingering)))

    async def _sweep(self) -> None:
        """Closes watches that nobody has come back to."""
        while True:
            await self._clock.sleep(_SWEEP)
            late = self._clock.now() - round(LINGER * 1000)
            for watch in [watch for watch, since in self._lingering.items() if since <= late]:
                self._forget(watch)

    def _forget(self, watch: Watch) -> None:
        self._lingering.pop(watch, None)
        if self._watches.get(watch.id) is watch:
            del self._watches[watch.id]
            self._unsent.pop(watch, None)
            self._metrics.watches.set(len(self._watches))
            if not watch.opened.done():
                watch.opened.cancel()
            if self.ready:
                self.spawn(self._unbind(watch.id), f"unbinding {watch.id}")

    async def _unbind(self, instance: str) -> None:
        async with self._binding:
            if instance not in self._watches:
                await self._hearing.unbind(topology.instance_key(instance))

    async def _open(self, watch: Watch) -> None:
        try:
            async with self._binding:
                if not watch.watched:
                    return
                await self._hearing.bind(topology.instance_key(watch.id))
            watch.reload()
            await self._read(watch)
        except TaskpathError as error:
            self._refuse(watch, error)

    def _refuse(self, watch: Watch, error: TaskpathError) -> None:
        if not watch.opened.done():
            watch.opened.set_exception(error)
            watch.opened.exception()
        self._forget(watch)

    async def _read(self, watch: Watch) -> None:
        """Reads until what was read and the events that came since follow each other.

        Raises:
            TaskpathError: UNKNOWN_INSTANCE; for the first reading also what else is wrong.
        """
        tries = 0
        while watch.watched:
            try:
                mirror = await self._mirror_again(watch) if watch.known else await self._mirror(watch)
            except TaskpathError as error:
                if error.code is ErrorCode.UNKNOWN_INSTANCE or not watch.known:
                    raise
                log.warning("cannot read a watched instance", instance=watch.id, error=error.info.message)
            else:
                if watch.install(mirror):
                    break
                watch.reload()
            await self._clock.sleep(_RETRY[min(tries, len(_RETRY) - 1)])
            tries += 1
        if not watch.opened.done():
            watch.opened.set_result(None)
        for viewer in watch.viewers():
            viewer.fall_behind()

    async def _mirror_again(self, watch: Watch) -> Mirror:
        """After a connection was lost all watches are read at once, and nobody waits for an answer."""
        async with self._again:
            return await self._mirror(watch)

    async def _mirror(self, watch: Watch) -> Mirror:
        if self._catching is not None:
            await self._catching.up(watch.id)
        instance, records, removed_at = await self._reads.instance(watch.id, min_revision=watch.need)
        items: list[TaskRecord] = []
        lenses = watch.item_lenses()
        if lenses:
            patterns = tuple(sorted({text for lens in lenses for text in lens.item_patterns}))
            named = await self._reads.instance(watch.id, min_revision=instance.revision, paths=patterns)
            items = named.tasks
        expected = await self._expectations.of(instance.realm, instance.workflow)
        return Mirror(instance, records, lenses, items, removed_at, expected)

    async def _widen(self, watch: Watch, mirror: Mirror, viewer: Viewer) -> None:
        """Reads the items that the lens of a further viewer names."""
        late = watch.begin_widening()
        try:
            named = await self._reads.instance(
                watch.id, min_revision=mirror.revision, paths=viewer.lens.item_patterns
            )
            if watch.mirror is mirror and not viewer.gone:
                mirror.keep(viewer.lens, named.tasks, late)
        finally:
            watch.end_widening(late)

    async def _expect(self, watch: Watch, mirror: Mirror) -> None:
        """It runs, perhaps once more: how long its tasks usually take may be known better by now."""
        expected = await self._expectations.of(mirror.realm, mirror.workflow)
        if watch.mirror is mirror:
            mirror.expect(expected)
            if watch.pending:
                self._unsent[watch] = None
                self._busy.set()

    def _miss(self, reason: str) -> None:
        for watch in list(self._watches.values()):
            self._start_over(watch, reason)

    def _take(self, messages: Sequence[Message]) -> None:
        touched: dict[Watch, None] = {}
        watches = self._watches
        for message in messages:
            if isinstance(message, InstanceChanged):
                watch = watches.get(message.id)
                if watch is None:
                    continue
                if (reason := watch.apply(message)) is None:
                    touched[watch] = None
                    if (mirror := watch.mirror) is not None and _begins(message):
                        self.spawn(self._expect(watch, mirror), f"expectations of {watch.id}")
                else:
                    touched.pop(watch, None)
                    self._start_over(watch, reason)
            elif isinstance(message, LogsWritten):
                watch = watches.get(message.id)
                if watch is not None and not watch.log(message):
                    self.spawn(self._locate_log(watch, message.path), f"locating a log of {watch.id}")
            elif isinstance(message, InstanceDeleted) and (watch := watches.get(message.id)) is not None:
                touched.pop(watch, None)
                if watch.pending:
                    watch.flush(self._clock.now())  # how it ended is seen before it is gone
                self._delete(watch, message.status)
        if touched:
            now = self._clock.now()
            for watch in touched:
                if watch.due(now):
                    watch.flush(now)
                    self._unsent.pop(watch, None)
                elif watch.pending:
                    self._unsent[watch] = None
            if self._unsent:
                self._busy.set()

    async def _send(self) -> None:
        """Sends what was held back, as soon as each may go out."""
        while True:
            await self._busy.wait()
            await self._clock.sleep(_TICK)
            now = self._clock.now()
            for watch in [watch for watch in self._unsent if watch.due(now) or not watch.pending]:
                del self._unsent[watch]
                watch.flush(now)
            if not self._unsent:
                self._busy.clear()

    def _start_over(self, watch: Watch, reason: str) -> None:
        if watch.loading:
            watch.reload_again()
            return
        if not watch.watched:
            self._forget(watch)
            return
        watch.reload()
        self._unsent.pop(watch, None)
        for viewer in watch.viewers():
            viewer.start_over(reason)
        self.spawn(self._reload(watch), f"reading {watch.id} again")

    async def _reload(self, watch: Watch) -> None:
        try:
            await self._read(watch)
        except TaskpathError as error:
            if error.code is not ErrorCode.UNKNOWN_INSTANCE:
                raise
            self._delete(watch, error.tombstone.status if isinstance(error, Buried) else None)

    async def _locate_log(self, watch: Watch, path: str) -> None:
        try:
            view = await end_of(self._reads, watch.id, path)
        except TaskpathError:
            watch.locate_log(path, None)
        else:
            watch.locate_log(path, view)

    def _delete(self, watch: Watch, status: InstanceStatus | None) -> None:
        """The instance was deleted; ``status`` is how an ephemeral one ended."""
        if not watch.opened.done():
            error = unknown(watch.id) if status is None else Buried(Tombstone(watch.id, "", status))
            watch.opened.set_exception(error)
            watch.opened.exception()
        for viewer in list(watch.viewers()):
            viewer.end(status)
        self._forget(watch)


def _begins(event: InstanceChanged) -> bool:
    """Whether the instance has begun to run with this change."""
    return event.instance is not None and event.instance.status is InstanceStatus.WORKING
