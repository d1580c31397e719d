"""``/instances/{id}/tasks/{path}``: a task's record, its result, its log, what it left in the context."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec import UNSET, Raw, UnsetType

from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.packets import (
    ContextUpdatersBody,
    LogsDocument,
    Revision,
    RevisionView,
    TaskDocument,
    TaskLogLine,
)
from taskpath_proto.records import AttemptRecord, AttemptStatus, TaskRecord, TaskStatus
from taskpath_services.gateway.commands import Commands
from taskpath_services.gateway.expectations import Expectations
from taskpath_services.gateway.lens import Lens
from taskpath_services.gateway.mirror import Mirror
from taskpath_services.gateway.reads import Reads
from taskpath_services.gateway.rest.incoming import NoQuery, ReadQuery
from taskpath_services.gateway.rest.route import Asked, NoBody, Reply
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
    """The query of ``…/logs``.

    Attributes:
        after: The `next` of the lines before.
        limit: How many lines at most.
        min_revision: The answer has to be at least this new.
    """

    after: Revision = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1_000
    min_revision: Revision = 0


class Tasks:
    """Answers what is asked of tasks.

    Args:
        commands: carry out what is wanted done.
        reads: read.
        expectations: tell how long tasks usually take.
        values: show results and arguments.
    """

    def __init__(self, commands: Commands, reads: Reads, expectations: Expectations, values: Values) -> None:
        self._commands = commands
        self._reads = reads
        self._expectations = expectations
        self._values = values

    async def record(self, asked: Asked[ReadQuery, NoBody]) -> Reply[TaskDocument]:
        """``GET …/tasks/{path}``"""
        id_, path = asked.instance, asked.task
        instance, task, context = await self._reads.task(id_, path, asked.query.min_revision)
        whole, records, _ = await self._reads.instance(id_, min_revision=instance.revision)
        lens = Lens((path,))
        expected = await self._expectations.of(instance.realm, instance.workflow)
        state = Mirror(whole, records, (lens,), [task], expected=expected).state(path)
        show, revision = self._values.show, instance.revision
        body: Raw | UnsetType = UNSET
        # A group's body is of its own function; its status is of the subtree.
        if task.body is not None and (task.own or task.status) is not TaskStatus.FAILED:
            body = await show(task.body, id_, _result_url(id_, path), revision)
        return Reply(
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
                expected_duration=state.expected_duration,
                expected_spread=state.expected_spread,
                body=body,
                argument=(
                    await show(task.argument, id_, ref_of(task.argument), revision)
                    if task.argument is not None
                    else UNSET
                ),
                context=(
                    await show(context, id_, f"{path}/context", revision) if context is not None else UNSET
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

    async def result(self, asked: Asked[ReadQuery, NoBody]) -> web.StreamResponse:
        """``GET …/tasks/{path}/result``"""
        id_, path = asked.instance, asked.task
        instance, task, _ = await self._reads.task(id_, path, asked.query.min_revision)
        if task.body is None:
            raise TaskpathError(ErrorCode.CANNOT_FIND_TASK, f"The task {path!r} has no result.", path=path)
        text = await self._values.read(task.body, id_, instance.revision)
        response = web.StreamResponse(
            headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        )
        response.content_type = "application/json"
        if text.isascii():
            response.content_length = len(text)
        await response.prepare(asked.request)
        for chunk in _chunks(text):
            await response.write(chunk)
        await response.write_eof()
        return response

    async def set_updaters(self, asked: Asked[NoQuery, ContextUpdatersBody]) -> Reply[RevisionView]:
        """``PUT …/tasks/{path}/contextUpdaters``"""
        accepted = await self._commands.set_updaters(asked.instance, asked.task, asked.body.updaters)
        return Reply(RevisionView(accepted.revision))

    async def logs(self, asked: Asked[LogsQuery, NoBody]) -> Reply[LogsDocument]:
        """``GET …/tasks/{path}/logs``"""
        query, id_, path = asked.query, asked.instance, asked.task
        if query.min_revision:
            await self._reads.task(id_, path, query.min_revision)
        view = await self._reads.logs(id_, path, query.after, query.limit)
        if not view.lines and not query.min_revision:
            await self._reads.task(id_, path)  # an empty log, or no such task
        lines = [
            TaskLogLine(time=line.time, level=line.level, text=line.text, attempt=line.attempt)
            for line in view.lines
        ]
        return Reply(LogsDocument(lines=lines, next=view.next))


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
