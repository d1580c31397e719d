"""A session: one client on a WebSocket, the packets that it sends, and what it watches."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from typing import Any, Final, TypeAlias

import msgspec

from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.packets import (
    PROTOCOL_VERSION,
    Ack,
    AppError,
    Authenticate,
    CancelTask,
    ClientPackets,
    ErrorBody,
    ExecuteAllTasks,
    ExecuteTask,
    Heartbeat,
    Hello,
    InstanceGone,
    RequestId,
    SetTaskUpdaters,
    UnwatchInstances,
    UnwatchWorkflowInstance,
    WatchInstances,
    WatchWorkflowInstance,
)
from taskpath_proto.paths import ROOT
from taskpath_proto.queries import ListInstances
from taskpath_services.gateway import logtail, strict
from taskpath_services.gateway.bundle import Bundle
from taskpath_services.gateway.commands import Commands
from taskpath_services.gateway.errors import info_of
from taskpath_services.gateway.frames import encode
from taskpath_services.gateway.lens import Lens, key_of
from taskpath_services.gateway.lists import Listing, Lists
from taskpath_services.gateway.outbox import Outbox
from taskpath_services.gateway.reads import Buried, Reads
from taskpath_services.gateway.viewer import Viewer
from taskpath_services.gateway.watches import Watches

_MOST_AT_WORK: Final = 64
_MOST_WATCHED: Final = 1_000


class _Kind(msgspec.Struct):
    """What is wanted of a packet before it is known what it is."""

    type: str


class _Request(msgspec.Struct, rename="camel"):
    """What is wanted of a packet that is no good."""

    request_id: RequestId | None = None


_kinds: Final = msgspec.json.Decoder(_Kind)
_requests: Final = msgspec.json.Decoder(_Request)
_Decoder: TypeAlias = msgspec.json.Decoder[ClientPackets]
_decoders: Final[dict[str, _Decoder]] = {
    str(kind.__struct_config__.tag): msgspec.json.Decoder(kind) for kind in ClientPackets.__args__
}


class Session:
    """One client.

    Args:
        commands: carry out what it wants done.
        watches: what it watches.
        lists: the list that it watches.
        reads: for the log lines that it has missed.
    """

    def __init__(self, commands: Commands, watches: Watches, lists: Lists, reads: Reads) -> None:
        self.id: Final = secrets.token_hex(8)
        self.outbox: Final = Outbox()
        self._commands = commands
        self._watches = watches
        self._lists = lists
        self._reads = reads
        self._viewers: dict[str, Viewer] = {}
        self._listing: Listing | None = None
        self._at_work: set[asyncio.Task[None]] = set()
        self.outbox.put(encode(Hello(version=PROTOCOL_VERSION, session=self.id)))

    def receive(self, text: bytes) -> None:
        """Deals with a packet; what takes time goes on in the background, begun in their order."""
        try:
            self._deal(_read(text))
        except Exception as error:
            self._refuse(_request_of(text), error)

    def refuse_binary(self) -> None:
        """Answers a binary frame."""
        self._refuse(
            None,
            TaskpathError(
                ErrorCode.INVALID_REQUEST, "A binary frame came; text frames with JSON are expected."
            ),
        )

    def heartbeat(self) -> None:
        """Tells the client how far it has been brought, if it has taken what there was before."""
        if self.outbox.idle:
            for gone in [id_ for id_, viewer in self._viewers.items() if viewer.gone]:
                del self._viewers[gone]
            revisions = {
                id_: viewer.cursor for id_, viewer in self._viewers.items() if viewer.cursor is not None
            }
            self.outbox.offer(Bundle(encode(Heartbeat(revisions=revisions))))

    def close(self) -> None:
        """The client is gone."""
        for task in self._at_work:
            task.cancel()
        for viewer in self._viewers.values():
            self._watches.leave(viewer)
        self._viewers.clear()
        self._end_list()

    def _deal(self, packet: ClientPackets) -> None:
        match packet:
            case WatchWorkflowInstance():
                self._watch(packet)
            case UnwatchWorkflowInstance():
                if (viewer := self._viewers.pop(packet.id, None)) is not None:
                    self._watches.leave(viewer)
                self._ack(packet.request_id)
            case WatchInstances():
                self._watch_list(packet)
            case UnwatchInstances():
                self._end_list()
                self._ack(packet.request_id)
            case Authenticate():
                self._ack(packet.request_id)  # there is nothing to renew where nobody has to say who he is
            case ExecuteTask() | ExecuteAllTasks() | CancelTask() | SetTaskUpdaters():
                self._work(packet.request_id, self._command(packet))

    async def _command(self, packet: ExecuteTask | ExecuteAllTasks | CancelTask | SetTaskUpdaters) -> None:
        key = packet.idempotency_key
        match packet:
            case ExecuteTask():
                accepted = await self._commands.execute(
                    packet.id, packet.task_path, packet.mode, packet.upstream, packet.argument, key
                )
            case ExecuteAllTasks():
                accepted = await self._commands.execute(packet.id, ROOT, argument=packet.argument, key=key)
            case CancelTask():
                accepted = await self._commands.cancel(packet.id, packet.task_path, key)
            case SetTaskUpdaters():
                accepted = await self._commands.set_updaters(
                    packet.id, packet.task_path, packet.updaters, key
                )
        self._ack(packet.request_id, accepted.revision)

    def _watch(self, packet: WatchWorkflowInstance) -> None:
        lens = Lens(key_of(packet.paths or None))
        logs = lens if packet.logs is True else None if packet.logs is False else Lens(key_of(packet.logs))
        if packet.id not in self._viewers and len(self._viewers) >= _MOST_WATCHED:
            raise TaskpathError(
                ErrorCode.TOO_MANY_REQUESTS,
                f"{_MOST_WATCHED} instances are watched on this connection already.",
            )
        if (before := self._viewers.pop(packet.id, None)) is not None:
            self._watches.leave(before)
        viewer = Viewer(self.outbox, packet.id, lens, logs, packet.since or None)
        for path in packet.logs_since:
            viewer.hold_logs(path)
        self._work(packet.request_id, self._begin(packet, viewer))
        self._viewers[packet.id] = viewer

    async def _begin(self, packet: WatchWorkflowInstance, viewer: Viewer) -> None:
        try:
            watch = await self._watches.enter(viewer)
        except BaseException as error:
            if self._viewers.get(packet.id) is viewer:
                del self._viewers[packet.id]
            if not isinstance(error, Buried):
                raise
            self._ack(packet.request_id)
            self.outbox.put(encode(InstanceGone(id=packet.id, status=error.tombstone.status)))
            return
        self._ack(packet.request_id, watch.mirror.revision if watch.mirror is not None else None)
        viewer.begin()
        for path, after in packet.logs_since.items():
            await logtail.follow(self._reads, self.outbox, viewer, path, after)

    def _watch_list(self, packet: WatchInstances) -> None:
        query = ListInstances(
            realm=packet.realm,
            status=packet.status,
            workflow=packet.workflow,
            name=packet.name,
            limit=packet.limit,
        )
        self._end_list()
        listing = Listing(self.outbox, query)
        self._work(packet.request_id, self._begin_list(packet.request_id, listing))
        self._listing = listing

    async def _begin_list(self, request: RequestId | None, listing: Listing) -> None:
        await self._lists.enter(listing)
        self._ack(request)
        if self._listing is listing:
            listing.begin()
        else:
            self._lists.leave(listing)

    def _end_list(self) -> None:
        listing, self._listing = self._listing, None
        if listing is not None:
            self._lists.leave(listing)

    def _work(self, request: RequestId | None, work: Coroutine[Any, Any, None]) -> None:
        if len(self._at_work) >= _MOST_AT_WORK:
            work.close()
            raise TaskpathError(
                ErrorCode.TOO_MANY_REQUESTS,
                f"{_MOST_AT_WORK} packets of this connection wait for answers already.",
            )

        async def guarded() -> None:
            try:
                await work
            except Exception as error:
                self._refuse(request, error)

        task = asyncio.get_running_loop().create_task(guarded(), name=f"session {self.id}")
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)
        # A session that ends before the task has begun leaves it cancelled, and the work inside unawaited.
        task.add_done_callback(lambda _: work.close())

    def _ack(self, request: RequestId | None, revision: int | None = None) -> None:
        self.outbox.put(encode(Ack(request_id=request, revision=revision)))

    def _refuse(self, request: RequestId | None, error: Exception) -> None:
        info = info_of(error, "a packet")
        self.outbox.put(encode(AppError(error=ErrorBody.of(info), request_id=request)))


def _read(text: bytes) -> ClientPackets:
    """The packet.

    Raises:
        TaskpathError: INVALID_REQUEST, saying what is wrong with it.
    """
    kind = strict.read(text, _kinds, "the packet").type
    decoder = _decoders.get(kind)
    if decoder is None:
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST,
            f"The packet's type is {kind[:100]!r}; expected are {', '.join(_decoders)}.",
        )
    return strict.decode(text, decoder, "the packet")


def _request_of(text: bytes) -> RequestId | None:
    """The request id of a packet that may be wrong in any other way."""
    try:
        return _requests.decode(text).request_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
