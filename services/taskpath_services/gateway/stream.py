"""Streams: the packets of one instance as server-sent events, for those who only watch.

A stream is a viewer with an outbox like a WebSocket's client, so a slow reader costs as little here as there.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import lru_cache
from typing import Final

import msgspec
from aiohttp import web

from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.packets import Heartbeat, InstanceGone, Patterns, Revision
from taskpath_proto.paths import ROOT
from taskpath_proto.records import InstanceStatus
from taskpath_services.gateway.bundle import Bundle
from taskpath_services.gateway.frames import encode
from taskpath_services.gateway.lens import Lens, key_of
from taskpath_services.gateway.metrics import Metrics
from taskpath_services.gateway.outbox import Outbox
from taskpath_services.gateway.reads import Buried, Reads
from taskpath_services.gateway.viewer import Viewer
from taskpath_services.gateway.watch import Watch
from taskpath_services.gateway.watches import Watches

HEARTBEAT_SECONDS: Final = 15.0
STALLED_SECONDS: Final = 60.0
"""A client that has taken nothing for so long is gone."""

_YES: Final = frozenset({"1", "true"})
_NO: Final = frozenset({"0", "false", ""})


class EventsQuery(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The query of ``…/events``.

    Attributes:
        paths: Patterns of the tasks whose statuses are wanted; all if absent.
        logs: `1` if log lines are wanted, or patterns of the tasks whose lines are.
        follow: Whether to go on when the instance has come to rest; it may be executed again.
        min_revision: A state before this is not the end.
    """

    paths: Patterns | None = None
    logs: Patterns | None = None
    follow: bool = False
    min_revision: Revision = 0


class _Head(msgspec.Struct, rename="camel"):
    """What a stream has to know of a packet."""

    type: str
    revision: int | None = None
    more: bool = False
    status: InstanceStatus | None = None


_heads: Final = msgspec.json.Decoder(_Head)


@lru_cache(maxsize=16)
def _event(frame: bytes) -> tuple[bytes, _Head]:
    """The event of a packet, made once for all streams. Only the last packet of a revision has an id."""
    head = _heads.decode(frame)
    id_ = b"" if head.revision is None or head.more else b"id: %d\n" % head.revision
    return b"%sdata: %s\n\n" % (id_, frame), head


class Stream:
    """One client.

    Args:
        response: what it reads.
        watch: what it watches.
        viewer: how it does.
        outbox: what waits for it.
        follow: whether it goes on when the instance has come to rest.
        need: a state before this revision is not the end.
    """

    def __init__(
        self,
        response: web.StreamResponse,
        watch: Watch,
        viewer: Viewer,
        outbox: Outbox,
        follow: bool,
        need: int,
    ) -> None:
        self._response = response
        self._watch = watch
        self._viewer = viewer
        self._outbox = outbox
        self._follow = follow
        self._need = need
        self._writer: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Sends until it is over, or the client is gone."""
        self._viewer.begin()
        self._writer = asyncio.get_running_loop().create_task(self._outbox.run(self._send), name="stream")
        try:
            await asyncio.wait([self._writer])
            if not self._writer.cancelled() and (error := self._writer.exception()) is not None:
                raise error
        except _Over:
            await self._response.write_eof()
        except (ConnectionError, TimeoutError):
            pass  # the client has gone, or takes nothing any more
        finally:
            self._writer.cancel()

    def heartbeat(self) -> None:
        """Tells the client how far it has been brought, if it has taken what there was before."""
        if self._outbox.idle and self._viewer.cursor is not None:
            beat = Heartbeat(revisions={self._viewer.instance: self._viewer.cursor})
            self._outbox.offer(Bundle(encode(beat)))

    def stop(self) -> None:
        """Sends no more."""
        if self._writer is not None:
            self._writer.cancel()

    async def _send(self, bundle: Bundle) -> None:
        for event, head in map(_event, bundle.frames):
            async with asyncio.timeout(STALLED_SECONDS):
                await self._response.write(event)
            if self._is_over(head):
                raise _Over

    def _is_over(self, head: _Head) -> bool:
        if head.type == "instanceDeleted":
            return True
        if head.type != "setWorkflowStatus" or head.more or self._follow:
            return False
        if head.status is None or head.status is InstanceStatus.WORKING or (head.revision or 0) < self._need:
            return False
        return head.status.ended or (self._watch.mirror is not None and self._watch.mirror.started)


class _Over(Exception):
    """Everything was sent."""


class Streams(Service):
    """All open streams.

    Args:
        clock: paces the heartbeats.
        watches: what clients watch.
        reads: tell whether a revision is there.
        metrics: counts.
    """

    def __init__(self, clock: Clock, watches: Watches, reads: Reads, metrics: Metrics) -> None:
        super().__init__("gateway streams")
        self._clock = clock
        self._watches = watches
        self._reads = reads
        self._metrics = metrics
        self._open: dict[Stream, None] = {}

    async def on_start(self) -> None:
        """Begins the heartbeats."""
        self.spawn(self._beat(), "heartbeats")

    async def on_stop(self) -> None:
        """Ends every stream."""
        for stream in self._open:
            stream.stop()

    async def serve(self, request: web.Request, instance: str, query: EventsQuery) -> web.StreamResponse:
        """Serves one client until the instance rests, or the client goes.

        Args:
            request: of the client.
            instance: the id of the instance.
            query: what it wants to see.

        Raises:
            TaskpathError: it cannot be watched, or not so.
        """
        since = _last_event(request)
        outbox = Outbox()
        viewer = Viewer(outbox, instance, Lens(key_of(query.paths)), _logs(query.logs), since or None)
        try:
            watch = await self._watches.enter(viewer)
        except Buried as buried:
            return await _epitaph(request, buried)
        try:
            need = await self._need(watch, since, query.min_revision)
            if since and not query.follow and need <= since and _ended_at(watch, since):
                return web.Response(status=204)  # by which a browser is told not to come back
            response = _headed()
            await response.prepare(request)
            stream = Stream(response, watch, viewer, outbox, query.follow, need)
            self._open[stream] = None
            self._metrics.streams.set(len(self._open))
            try:
                await stream.run()
            finally:
                del self._open[stream]
                self._metrics.streams.set(len(self._open))
        finally:
            self._watches.leave(viewer)
        return response

    async def _need(self, watch: Watch, since: int, least: int) -> int:
        """The revision before which nothing is the end: one that this gateway may not have heard of yet.

        Raises:
            TaskpathError: UNAVAILABLE, if what is wanted is not there.
        """
        need = max(since, least)
        if watch.mirror is not None and watch.mirror.revision >= need:
            return need
        try:
            await self._reads.instance(watch.id, min_revision=need, paths=(ROOT,))
        except TaskpathError as error:
            if need == least or error.code is not ErrorCode.UNAVAILABLE:
                raise
            return least  # what the client has was lost since; it will be told
        return need

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(HEARTBEAT_SECONDS)
            for stream in list(self._open):
                stream.heartbeat()


def _headed() -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # proxies are not to wait for more
            "X-Content-Type-Options": "nosniff",
        }
    )
    response.content_type = "text/event-stream"
    response.charset = "utf-8"
    return response


async def _epitaph(request: web.Request, buried: Buried) -> web.StreamResponse:
    """The stream of an ephemeral instance that has ended: how it did."""
    response = _headed()
    await response.prepare(request)
    tombstone = buried.tombstone
    with suppress(ConnectionError):
        await response.write(_event(encode(InstanceGone(id=tombstone.id, status=tombstone.status)))[0])
        await response.write_eof()
    return response


def _ended_at(watch: Watch, revision: int) -> bool:
    mirror = watch.mirror
    return mirror is not None and mirror.revision == revision and mirror.rests


def _last_event(request: web.Request) -> int:
    text = request.headers.get("Last-Event-ID", "")
    if text and not (text.isascii() and text.isdigit() and len(text) < 19):
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST,
            f"The Last-Event-ID is {text[:50]!r}; the id of an event is expected, a revision.",
        )
    return int(text or "0")


def _logs(given: list[str] | None) -> Lens | None:
    if given is None or (len(given) == 1 and given[0] in _NO):
        return None
    return Lens(None) if len(given) == 1 and given[0] in _YES else Lens(key_of(given))
