"""``/instances`` and ``/realms``: create, list, read, update, delete, execute, cancel."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, TypeAlias

import msgspec
from aiohttp import web
from msgspec import UNSET

from taskpath_proto.commands import Accepted, CreateInstance
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.packets import (
    CancelBody,
    CreateInstanceBody,
    DeletedView,
    ExecuteBody,
    InstanceDocument,
    InstancesDocument,
    PageSize,
    Patterns,
    Revision,
    RevisionView,
    TaskState,
    TombstoneDocument,
    UpdateBody,
)
from taskpath_proto.queries import ListInstances
from taskpath_proto.records import InstanceRecord, InstanceStatus, TaskRecord
from taskpath_services.gateway.commands import Commands
from taskpath_services.gateway.expectations import Expectations
from taskpath_services.gateway.lens import Lens, key_of
from taskpath_services.gateway.mirror import Mirror
from taskpath_services.gateway.reads import Buried, Reads
from taskpath_services.gateway.realms import Realms
from taskpath_services.gateway.rest import incoming
from taskpath_services.gateway.rest.incoming import NoQuery
from taskpath_services.gateway.rest.route import Asked, NoBody, Reply
from taskpath_services.gateway.tree import check_pattern
from taskpath_services.gateway.values import Values, ref_of

_BREATH: Final = 1_000

Time: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**53) + 1, le=2**53 - 1)]
"""Ms since epoch."""

Shown: TypeAlias = InstanceDocument | TombstoneDocument


class InstanceQuery(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The query of ``GET /instances/{id}``.

    Attributes:
        min_revision: The answer has to be at least this new.
        paths: Patterns of the tasks whose statuses are wanted; all if absent.
    """

    min_revision: Revision = 0
    paths: Patterns | None = None


class ListQuery(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The query of ``GET /instances``.

    Attributes:
        realm: Only this realm's.
        status: Only those of this status.
        workflow: Only those of this workflow.
        name: Only those whose name begins so (case-sensitive).
        created_after: Exclusive, ms since epoch.
        created_before: Exclusive, ms since epoch.
        limit: How many at most.
        cursor: The `nextCursor` of the page before.
    """

    realm: str | None = None
    status: InstanceStatus | None = None
    workflow: str | None = None
    name: str | None = None
    created_after: Time | None = None
    created_before: Time | None = None
    limit: PageSize = 50
    cursor: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)] | None = None


class Instances:
    """Answers what is asked of instances.

    Args:
        commands: carry out what is wanted done.
        reads: read.
        expectations: tell how long tasks usually take.
        values: show data and base context.
        realms: delete all instances of a realm.
    """

    def __init__(
        self,
        commands: Commands,
        reads: Reads,
        expectations: Expectations,
        values: Values,
        realms: Realms,
    ) -> None:
        self._commands = commands
        self._reads = reads
        self._expectations = expectations
        self._values = values
        self._realms = realms

    async def create(self, asked: Asked[NoQuery, CreateInstanceBody]) -> Reply[InstanceDocument]:
        """``POST /instances``"""
        create, accepted = await self._commands.create(asked.body, asked.key)
        try:
            record, tasks, _ = await self._reads.instance(accepted.id, min_revision=accepted.revision)
        except TaskpathError:
            # It is accepted, whatever can or cannot be read now; an ephemeral one may be over and gone.
            record, tasks = _as_created(create, accepted), []
        shown = await self._show(record, tasks, [], Lens(None))
        return Reply(shown, {"Location": f"/api/v1/instances/{accepted.id}"})

    async def page(self, asked: Asked[ListQuery, NoBody]) -> Reply[InstancesDocument]:
        """``GET /instances``"""
        page = await self._reads.instances(ListInstances(**msgspec.structs.asdict(asked.query)))
        return Reply(InstancesDocument(items=page.items, next_cursor=page.next_cursor))

    async def read(self, asked: Asked[InstanceQuery, NoBody]) -> Reply[Shown]:
        """``GET /instances/{id}``"""
        query, id_ = asked.query, asked.instance
        lens = Lens(key_of(query.paths))
        try:
            record, tasks, _ = await self._reads.instance(id_, min_revision=query.min_revision)
            for pattern in lens.patterns:
                check_pattern(id_, record.plan, pattern)
            items: list[TaskRecord] = []
            if lens.item_patterns:
                items = (
                    await self._reads.instance(id_, min_revision=record.revision, paths=lens.item_patterns)
                ).tasks
        except Buried as buried:
            return Reply(TombstoneDocument(id=id_, status=buried.tombstone.status))
        return Reply(await self._show(record, tasks, items, lens))

    async def update(self, asked: Asked[NoQuery, UpdateBody]) -> Reply[RevisionView]:
        """``PATCH /instances/{id}``"""
        body = asked.body
        if not body.data and body.name is UNSET:
            raise TaskpathError(
                ErrorCode.INVALID_REQUEST,
                "The body says nothing to be changed; `data` or `name` is expected.",
            )
        accepted = await self._commands.update(asked.instance, body.data, body.name)
        return Reply(RevisionView(accepted.revision))

    async def delete(self, asked: Asked[NoQuery, NoBody]) -> web.StreamResponse:
        """``DELETE /instances/{id}``"""
        await self._commands.delete(asked.instance)
        return web.Response(status=204)

    async def delete_realm(self, asked: Asked[NoQuery, NoBody]) -> Reply[DeletedView]:
        """``DELETE /realms/{realm}/instances``"""
        return Reply(DeletedView(await self._realms.delete(incoming.realm(asked.request))))

    async def execute(self, asked: Asked[NoQuery, ExecuteBody]) -> Reply[RevisionView]:
        """``POST /instances/{id}/execute``"""
        body = asked.body
        accepted = await self._commands.execute(
            asked.instance, body.path, body.mode, body.upstream, body.argument, asked.key
        )
        return Reply(RevisionView(accepted.revision))

    async def cancel(self, asked: Asked[NoQuery, CancelBody]) -> Reply[RevisionView]:
        """``POST /instances/{id}/cancel``"""
        accepted = await self._commands.cancel(asked.instance, asked.body.path, asked.key)
        return Reply(RevisionView(accepted.revision))

    async def _show(
        self, record: InstanceRecord, tasks: list[TaskRecord], items: list[TaskRecord], lens: Lens
    ) -> InstanceDocument:
        expected = await self._expectations.of(record.realm, record.workflow)
        lenses = (lens,) if lens.item_patterns else ()
        mirror = Mirror(record, tasks, lenses, items, expected=expected)
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
