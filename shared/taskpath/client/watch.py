"""Watching an instance over the WebSocket: from where one was, through lost connections, to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

import aiohttp
import msgspec

from taskpath.client.transport import Transport, delay
from taskpath.client.views import Change, SetTasksStatuses
from taskpath_proto.errors import ErrorCode, ErrorInfo, TaskpathError
from taskpath_proto.packets import (
    Ack,
    AppError,
    ExecutionError,
    Heartbeat,
    Hello,
    InstanceGone,
    InstancePacket,
    InstancesChanged,
    LogsDocument,
    Resync,
    SetWorkflowStatus,
    TaskLogs,
    WatchWorkflowInstance,
    WorkflowDescription,
)
from taskpath_proto.records import InstanceStatus

SILENCE: Final = 35.0
"""A gateway says something at least every 15 s. After so many seconds without a word the socket is dead."""
MAX_FRAME: Final = 4 * 1024 * 1024
MAX_LOGS: Final = 1_000
"""So many logs can be taken up again where they were."""

_UNAUTHENTICATED: Final = 4401
_REQUEST: Final = "watch"
_NO_LINES: Final = (ErrorCode.UNKNOWN_INSTANCE, ErrorCode.CANNOT_FIND_TASK)

OnConnection: TypeAlias = Callable[[TaskpathError | None], None]
"""Called with the reason when the connection is lost, and with None when it is there again."""

_Packet: TypeAlias = (
    Hello
    | Ack
    | AppError
    | WorkflowDescription
    | SetTasksStatuses
    | SetWorkflowStatus
    | TaskLogs
    | InstancesChanged
    | InstanceGone
    | Resync
    | Heartbeat
    | ExecutionError
)
_Socket: TypeAlias = aiohttp.ClientWebSocketResponse[Literal[True]]

_decoder: msgspec.json.Decoder[_Packet] = msgspec.json.Decoder(_Packet)
_KNOWN: Final = frozenset(kind.__struct_config__.tag for kind in _Packet.__args__)


class _Type(msgspec.Struct):
    type: str


class _Lost(Exception):
    """The connection is of no use any more."""


class Watch:
    """One watch of one instance.

    Args:
        transport: the connection to the gateway.
        id: the instance.
        paths: patterns of the tasks whose statuses are wanted; None for all.
        since: the revision from which on changes are wanted; None for everything.
        logs: whether log lines are wanted, or patterns of the tasks whose lines are.
        logs_since: by path, the ``next`` of the lines that the caller has.
        follow: whether to go on after the instance has ended.
        written: the revision of our last write; a state before it is not the end.
        started: the revision at which we last started something, or 0: with a part of the tree run, an
            instance comes to rest as ``inactive``.
        seen: called with each revision that was received as a whole.
        on_connection: told when the connection is lost and when it is back.
        silence: after how many seconds without a word the socket counts as dead.
    """

    def __init__(
        self,
        transport: Transport,
        id: str,
        paths: Sequence[str] | None,
        since: int | None,
        logs: bool | Sequence[str],
        *,
        logs_since: Mapping[str, int],
        follow: bool,
        written: int,
        started: int,
        seen: Callable[[int], None],
        on_connection: OnConnection | None,
        silence: float,
    ) -> None:
        self._transport = transport
        self._id = id
        self._paths = None if paths is None else list(paths)
        self._logs: bool | list[str] = logs if isinstance(logs, bool) else list(logs)
        self._follow = follow
        self._written = written
        self._started = started > 0
        self._seen = seen
        self._on_connection = on_connection
        self._silence = silence
        self._cursor = since
        self._logs_since: dict[str, int] = {}
        for path, after in logs_since.items():
            self._has_lines(path, after)
        self._ended = False

    async def changes(self) -> AsyncGenerator[Change, None]:
        """What happens, until the instance has ended, or rests with a part of it run.

        Raises:
            TaskpathError: the gateway refused, or could not be reached at the beginning.
        """
        started, failures, ever = time.monotonic(), 0, False
        while True:
            try:
                async with self._connect() as socket:
                    if ever and self._on_connection is not None:
                        self._on_connection(None)
                    asked = tuple(self._logs_since)
                    await self._ask(socket)
                    while True:
                        packet = await self._receive(socket)
                        if packet is None:
                            continue
                        change = self._take(packet)
                        if change is not None:
                            failures, ever = 0, True
                            yield change
                        if self._is_over(packet):
                            async for lines in self._last_lines(asked):
                                yield lines
                            return
            except (_Lost, aiohttp.ClientError, ConnectionError, TimeoutError) as reason:
                error = self._error(reason)
                failures += 1
                pause = delay(failures)
                if not ever and time.monotonic() - started + pause > self._transport.patience:
                    raise error from reason
                if ever and failures == 1 and self._on_connection is not None:
                    self._on_connection(error)
                await asyncio.sleep(pause)

    async def _last_lines(self, paths: Sequence[str]) -> AsyncGenerator[TaskLogs, None]:
        """Lines of these logs that were on their way when it was over: those missed come after the state."""
        for path in paths:
            while True:
                after = self._logs_since.get(path, 0)
                address = f"/instances/{quote(self._id, safe='')}/tasks/{quote(path, safe='')}/logs"
                try:
                    page = await self._transport.call(
                        "GET", address, LogsDocument, query={"after": str(after)}
                    )
                except TaskpathError as error:
                    if error.code in _NO_LINES or error.code.temporary:
                        break
                    raise
                if not page.lines:
                    break
                self._has_lines(path, page.next)
                yield TaskLogs(id=self._id, task_path=path, lines=page.lines, next=page.next)

    def _connect(self) -> AbstractAsyncContextManager[_Socket]:
        return self._transport.session.ws_connect(
            self._transport.url + "/ws",
            protocols=("taskpath",),
            max_msg_size=MAX_FRAME,
            timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
        )

    async def _ask(self, socket: _Socket) -> None:
        request = WatchWorkflowInstance(
            request_id=_REQUEST,
            id=self._id,
            since=self._cursor,
            paths=self._paths,
            logs=self._logs,
            logs_since=self._logs_since,
        )
        await socket.send_str(msgspec.json.encode(request).decode())

    async def _receive(self, socket: _Socket) -> _Packet | None:
        frame = await socket.receive(timeout=self._silence)
        if frame.type is aiohttp.WSMsgType.TEXT:
            return _decode(frame.data)
        if socket.close_code == _UNAUTHENTICATED:
            raise TaskpathError(ErrorCode.UNAUTHENTICATED, "The gateway wants a valid token.")
        raise _Lost(f"the connection was closed with {socket.close_code}")

    def _take(self, packet: _Packet) -> Change | None:
        """Keeps what is needed to go on from here; returns what the caller wants to see."""
        if isinstance(packet, InstancePacket):
            if packet.id != self._id:
                return None
            if self._cursor is not None and packet.base_revision > self._cursor:
                raise _Lost(f"revision {packet.base_revision} was expected, {self._cursor} is what is here")
            if isinstance(packet, SetWorkflowStatus):
                # A state from before our last write is not the end: a watch after an execute sees that run.
                self._started = self._started or packet.status is InstanceStatus.WORKING
                at_rest = packet.status.ended or (self._started and packet.status is InstanceStatus.INACTIVE)
                self._ended = at_rest and packet.revision >= self._written
            if not packet.more:
                self._cursor = packet.revision
                self._seen(packet.revision)
        elif isinstance(packet, TaskLogs):
            self._has_lines(packet.task_path, packet.next)
        elif isinstance(packet, Resync):
            self._cursor = None
        elif isinstance(packet, AppError):
            error = TaskpathError.of(
                ErrorInfo(
                    code=packet.error.code,
                    message=packet.error.message,
                    path=packet.error.path,
                    details=packet.error.details,
                )
            )
            if error.code.temporary:
                raise _Lost(error.info.message)
            raise error
        if isinstance(packet, Hello | Ack | Heartbeat | InstancesChanged):
            return None
        return packet

    def _has_lines(self, path: str, after: int) -> None:
        """Remembers how far a log was received: of the tasks that wrote last, as many as can be asked for."""
        self._logs_since.pop(path, None)
        self._logs_since[path] = after
        if len(self._logs_since) > MAX_LOGS:
            del self._logs_since[next(iter(self._logs_since))]

    def _is_over(self, packet: _Packet) -> bool:
        if isinstance(packet, InstanceGone):
            return packet.id == self._id
        return self._ended and not self._follow and isinstance(packet, InstancePacket) and not packet.more

    def _error(self, reason: Exception) -> TaskpathError:
        if isinstance(reason, aiohttp.WSServerHandshakeError):
            if reason.status == 401:
                raise TaskpathError(ErrorCode.UNAUTHENTICATED, "The gateway wants a valid token.") from reason
            if reason.status == 403:
                raise TaskpathError(ErrorCode.FORBIDDEN, "The gateway forbids the WebSocket.") from reason
            return TaskpathError(
                ErrorCode.UNAVAILABLE,
                f"What listens at {self._transport.url} has no WebSocket: it answers {reason.status}.",
            )
        if isinstance(reason, TimeoutError):
            return TaskpathError(
                ErrorCode.UNAVAILABLE, f"The gateway at {self._transport.url} has fallen silent."
            )
        return self._transport.unreachable(reason)


def _decode(text: str) -> _Packet | None:
    """The packet; None if it is one that only a later version knows."""
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError:
        if msgspec.json.decode(text, type=_Type).type not in _KNOWN:
            return None
        raise
