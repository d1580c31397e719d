"""``/instances``: create, list, read, delete, execute, cancel."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import msgspec
from aiohttp import web

from taskpath_proto.commands import Accepted, CreateInstance
from taskpath_proto.errors import TaskpathError
from taskpath_proto.packets import (
    CancelBody,
    CreateInstanceBody,
    ExecuteBody,
    InstanceDocument,
    InstancesDocument,
    PageSize,
    Patterns,
    Revision,
    RevisionView,
    TaskState,
)
from taskpath_proto.queries import ListInstances
from taskpath_proto.records import InstanceRecord, InstanceStatus, TaskRecord
from taskpath_services.gateway.commands import Commands
from taskpath_services.gateway.lens import Lens, key_of
from taskpath_services.gateway.mirror import Mirror
from taskpath_services.gateway.reads import Reads
from taskpath_services.gateway.rest import incoming
from taskpath_services.gateway.rest.responses import document
from taskpath_services.gateway.tree import check_pattern
from taskpath_services.gateway.values import Values, ref_of

_BREATH: Final = 1_000
_create: Final = msgspec.json.Decoder(CreateInstanceBody)
_execute: Final = msgspec.json.Decoder(ExecuteBody)
_cancel: Final = msgspec.json.Decoder(CancelBody)


class InstanceQuery(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The query of ``GET /instances/{id}``."""

    min_revision: Revision = 0
    paths: Patterns | None = None


class ListQuery(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The query of ``GET /instances``. Times in ms since epoch."""

    realm: str | None = None
    status: InstanceStatus | None = None
    workflow: str | None = None
    name: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    limit: PageSize = 50
    cursor: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)] | None = None


class Instances:
    """Answers what is asked of instances.

    Args:
        commands: carry out what is wanted done.
        reads: read.
        values: show data and base context.
    """

    def __init__(self, commands: Commands, reads: Reads, values: Values) -> None:
        self._commands = commands
        self._reads = reads
        self._values = values

    async def create(self, request: web.Request) -> web.Response:
        """``POST /instances``"""
        incoming.query(request, incoming.NoQuery)
        key = incoming.idempotency_key(request)
        create, accepted = await self._commands.create(await incoming.body(request, _create), key)
        try:
            record, tasks = await self._reads.instance(accepted.id, min_revision=accepted.revision)
        except TaskpathError:
            # It is accepted, whatever can or cannot be read now; an ephemeral one may be over and gone.
            record, tasks = _as_created(create, accepted), []
        shown = await self._show(record, tasks, [], Lens(None))
        return document(shown, 201, {"Location": f"/api/v1/instances/{accepted.id}"})

    async def page(self, request: web.Request) -> web.Response:
        """``GET /instances``"""
        query = incoming.query(request, ListQuery)
        page = await self._reads.instances(ListInstances(**msgspec.structs.asdict(query)))
        return document(InstancesDocument(items=page.items, next_cursor=page.next_cursor))

    async def read(self, request: web.Request) -> web.Response:
        """``GET /instances/{id}``"""
        query = incoming.query(request, InstanceQuery)
        lens = Lens(key_of(query.paths))
        id_ = incoming.instance(request)
        record, tasks = await self._reads.instance(id_, min_revision=query.min_revision)
        for pattern in lens.patterns:
            check_pattern(id_, record.plan, pattern)
        items: list[TaskRecord] = []
        if lens.item_patterns:
            _, items = await self._reads.instance(id_, min_revision=record.revision, paths=lens.item_patterns)
        return document(await self._show(record, tasks, items, lens))

    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE /instances/{id}``"""
        incoming.query(request, incoming.NoQuery)
        await self._commands.delete(incoming.instance(request))
        return web.Response(status=204)

    async def execute(self, request: web.Request) -> web.Response:
        """``POST /instances/{id}/execute``"""
        incoming.query(request, incoming.NoQuery)
        key = incoming.idempotency_key(request)
        body = await incoming.body(request, _execute, optional=True)
        accepted = await self._commands.execute(
            incoming.instance(request), body.path, body.mode, body.upstream, body.argument, key
        )
        return document(RevisionView(accepted.revision), 202)

    async def cancel(self, request: web.Request) -> web.Response:
        """``POST /instances/{id}/cancel``"""
        incoming.query(request, incoming.NoQuery)
        key = incoming.idempotency_key(request)
        body = await incoming.body(request, _cancel, optional=True)
        accepted = await self._commands.cancel(incoming.instance(request), body.path, key)
        return document(RevisionView(accepted.revision), 202)

    async def _show(
        self, record: InstanceRecord, tasks: list[TaskRecord], items: list[TaskRecord], lens: Lens
    ) -> InstanceDocument:
        mirror = Mirror(record, tasks, (lens,) if lens.item_patterns else (), items)
        statuses: dict[str, TaskState] = {}
        for path in mirror.paths(lens):
            statuses[path] = mirror.state(path)
            if len(statuses) % _BREATH == 0:
                await asyncio.sleep(0)
        return InstanceDocument(
            id=record.id,
            workflow=record.workflow,
            realm=record.realm,
            name=record.name,
            data=await self._values.show(record.data, record.id, ref_of(record.data), record.revision),
            base_context=await self._values.show(
                record.base_context, record.id, ref_of(record.base_context), record.revision
            ),
            ephemeral=record.ephemeral,
            revision=record.revision,
            status=record.status,
            progress=record.progress,
            created_at=record.created_at,
            updated_at=record.updated_at,
            started_at=record.started_at,
            finished_at=record.finished_at,
            tasks=mirror.description(),
            statuses=statuses,
        )


def _as_created(create: CreateInstance, accepted: Accepted) -> InstanceRecord:
    return InstanceRecord(
        id=accepted.id,
        revision=accepted.revision,
        realm=create.realm,
        workflow=create.workflow,
        name=create.name,
        data=create.data,
        base_context=create.base_context,
        ephemeral=create.ephemeral,
        status=InstanceStatus.WORKING if create.execute else InstanceStatus.INACTIVE,
    )
