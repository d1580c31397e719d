"""``/instances/{id}/tasks/{path}``: a task's record, its result, its log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec import UNSET, Raw, UnsetType

from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.packets import LogsDocument, Revision, TaskDocument, TaskLogLine
from taskpath_proto.records import AttemptRecord, AttemptStatus, TaskRecord, TaskStatus
from taskpath_services.gateway.lens import Lens
from taskpath_services.gateway.mirror import Mirror
from taskpath_services.gateway.reads import Reads
from taskpath_services.gateway.rest import incoming
from taskpath_services.gateway.rest.responses import document
from taskpath_services.gateway.values import Values, ref_of

_CHUNK: Final = 64 * 1024
_NO_UPDATERS: Final = Raw(b"[]")
_ATTEMPT: Final = {
    TaskStatus.RUNNING: AttemptStatus.RUNNING,
    TaskStatus.OK: AttemptStatus.OK,
    TaskStatus.FAILED: AttemptStatus.FAILED,
    TaskStatus.CANCELLED: AttemptStatus.CANCELLED,
}


class LogsQuery(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The query of ``…/logs``."""

    after: Revision = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1_000
    min_revision: Revision = 0


class Tasks:
    """Answers what is asked of tasks.

    Args:
        reads: read.
        values: show results and arguments.
    """

    def __init__(self, reads: Reads, values: Values) -> None:
        self._reads = reads
        self._values = values

    async def record(self, request: web.Request) -> web.Response:
        """``GET …/tasks/{path}``"""
        query = incoming.query(request, incoming.ReadQuery)
        id_, path = incoming.instance(request), incoming.task(request)
        instance, task = await self._reads.task(id_, path, query.min_revision)
        whole, records = await self._reads.instance(id_, min_revision=instance.revision)
        lens = Lens((path,))
        state = Mirror(whole, records, (lens,), [task]).state(path)
        show, revision = self._values.show, instance.revision
        body: Raw | UnsetType = UNSET
        if task.body is not None and task.status is not TaskStatus.FAILED:
            body = await show(task.body, id_, _result_url(id_, path), revision)
        return document(
            TaskDocument(
                path=path,
                revision=task.revision,
                status=task.status,
                stale=state.stale,
                execution_time=task.execution_time,
                duration=task.duration,
                attempt=task.attempt,
                context_updaters=(
                    await show(task.updaters, id_, ref_of(task.updaters), revision)
                    if task.updaters is not None
                    else _NO_UPDATERS
                ),
                attempts=_attempts(task),
                body=body,
                argument=(
                    await show(task.argument, id_, ref_of(task.argument), revision)
                    if task.argument is not None
                    else UNSET
                ),
                error=task.error,
                progress=task.progress,
                retry=task.retry,
                rollup=state.rollup,
                count=task.count,
                executor=task.executor,
                reason=task.reason,
            )
        )

    async def result(self, request: web.Request) -> web.StreamResponse:
        """``GET …/tasks/{path}/result``"""
        query = incoming.query(request, incoming.ReadQuery)
        id_, path = incoming.instance(request), incoming.task(request)
        instance, task = await self._reads.task(id_, path, query.min_revision)
        if task.body is None:
            raise TaskpathError(ErrorCode.CANNOT_FIND_TASK, f"The task {path!r} has no result.", path=path)
        text = await self._values.read(task.body, id_, instance.revision)
        response = web.StreamResponse(
            headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        )
        response.content_type = "application/json"
        if text.isascii():
            response.content_length = len(text)
        await response.prepare(request)
        for chunk in _chunks(text):
            await response.write(chunk)
        await response.write_eof()
        return response

    async def logs(self, request: web.Request) -> web.Response:
        """``GET …/tasks/{path}/logs``"""
        query = incoming.query(request, LogsQuery)
        id_, path = incoming.instance(request), incoming.task(request)
        if query.min_revision:
            await self._reads.task(id_, path, query.min_revision)
        view = await self._reads.logs(id_, path, query.after, query.limit)
        if not view.lines and not query.min_revision:
            await self._reads.task(id_, path)  # an empty log, or no such task
        lines = [
            TaskLogLine(time=line.time, level=line.level, text=line.text, attempt=line.attempt)
            for line in view.lines
        ]
        return document(LogsDocument(lines=lines, next=view.next))


def _attempts(task: TaskRecord) -> list[AttemptRecord]:
    """All attempts that are kept; the current one, if it has begun, is the last."""
    attempts = list(task.attempts)
    status = _ATTEMPT.get(task.own or task.status)
    if task.attempt and status is not None and not (attempts and attempts[-1].attempt >= task.attempt):
        attempts.append(
            AttemptRecord(
                attempt=task.attempt,
                status=status,
                execution_time=task.execution_time,
                duration=task.duration,
                executor=task.executor,
                error=task.error if status is AttemptStatus.FAILED else None,
            )
        )
    return attempts


def _chunks(text: str) -> Iterator[bytes]:
    for start in range(0, len(text), _CHUNK):
        yield text[start : start + _CHUNK].encode()


def _result_url(instance: str, path: str) -> str:
    return f"/api/v1/instances/{quote(instance, safe='')}/tasks/{quote(path, safe='')}/result"
