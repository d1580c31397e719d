"""All calls of the API: where they are, what they take, and what they answer."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec
from aiohttp import web

from taskpath_proto.errors import ErrorCode
from taskpath_proto.packets import (
    CancelBody,
    ContextUpdatersBody,
    CreateInstanceBody,
    DeletedView,
    ExecuteBody,
    ExecutionError,
    ExecutorsDocument,
    Heartbeat,
    InstanceDocument,
    InstanceGone,
    InstancesDocument,
    LogsDocument,
    Resync,
    RevisionView,
    SetTasksStatuses,
    SetWorkflowStatus,
    TaskDocument,
    TaskLogs,
    TombstoneDocument,
    UpdateBody,
    WorkflowDescription,
    WorkflowsDocument,
)
from taskpath_services.gateway.rest.health import Health, HealthDocument
from taskpath_services.gateway.rest.incoming import NoQuery, ReadQuery
from taskpath_services.gateway.rest.instances import InstanceQuery, Instances, ListQuery
from taskpath_services.gateway.rest.openapi import describe
from taskpath_services.gateway.rest.route import API, EVENT_STREAM, Asked, NoBody, Route
from taskpath_services.gateway.rest.tasks import LogsQuery, Tasks
from taskpath_services.gateway.rest.workflows import Workflows
from taskpath_services.gateway.stream import EventsQuery, Streams

AnyRoute: TypeAlias = Route[Any, Any, Any]

EVENTS: Final = (
    WorkflowDescription,
    SetTasksStatuses,
    SetWorkflowStatus,
    TaskLogs,
    ExecutionError,
    Resync,
    InstanceGone,
    Heartbeat,
)

_INSTANCE: Final = f"{API}/instances/{{id}}"
_TASK: Final = f"{_INSTANCE}/tasks/{{path}}"

_UNKNOWN: Final = (ErrorCode.UNKNOWN_INSTANCE,)
_NO_TASK: Final = (ErrorCode.UNKNOWN_INSTANCE, ErrorCode.CANNOT_FIND_TASK, ErrorCode.INVALID_PATH)
_STARTING: Final = (
    *_NO_TASK,
    ErrorCode.CANNOT_START_TASK,
    ErrorCode.ALREADY_RUNNING,
    ErrorCode.CONFLICT,
    ErrorCode.TOO_LARGE,
)
_PLANNING: Final = (
    ErrorCode.INVALID_DATA,
    ErrorCode.SCHEDULER_ERROR,
    ErrorCode.NO_EXECUTOR,
    ErrorCode.TOO_LARGE,
)


def routes(
    instances: Instances, tasks: Tasks, workflows: Workflows, health: Health, streams: Streams, version: str
) -> list[AnyRoute]:
    """All calls.

    Args:
        instances: answers for instances.
        tasks: answers for tasks.
        workflows: answers for workflows and executors.
        health: answers for the gateway.
        streams: serve events.
        version: of this software.
    """

    async def events(asked: Asked[EventsQuery, NoBody]) -> web.StreamResponse:
        return await streams.serve(asked.request, asked.instance, asked.query)

    async def openapi(asked: Asked[NoQuery, NoBody]) -> web.StreamResponse:
        return web.Response(
            body=document, content_type="application/json", headers={"Cache-Control": "no-cache"}
        )

    found: list[AnyRoute] = [
        _get(f"{API}/workflows", "The known workflows", workflows.workflows, WorkflowsDocument),
        _get(f"{API}/executors", "The executors", workflows.executors, ExecutorsDocument),
        Route(
            method="POST", path=f"{API}/instances", does="Creates an instance", handler=instances.create,
            query=NoQuery, body=CreateInstanceBody, keyed=True, status=201, answers=(InstanceDocument,),
            refuses=(ErrorCode.UNKNOWN_WORKFLOW, ErrorCode.CONFLICT, *_PLANNING),
        ),
        Route(
            method="GET", path=f"{API}/instances", does="A page of instances, newest first",
            handler=instances.page, query=ListQuery, body=NoBody, answers=(InstancesDocument,),
        ),
        Route(
            method="DELETE", path=f"{API}/realms/{{realm}}/instances", does="Deletes a realm's instances",
            handler=instances.delete_realm, query=NoQuery, body=NoBody, answers=(DeletedView,),
        ),
        Route(
            method="GET", path=_INSTANCE, does="An instance with its tree and statuses",
            handler=instances.read, query=InstanceQuery, body=NoBody,
            answers=(InstanceDocument, TombstoneDocument), refuses=_NO_TASK,
        ),
        Route(
            method="PATCH", path=_INSTANCE, does="Changes an instance's data or name",
            handler=instances.update, query=NoQuery, body=UpdateBody, answers=(RevisionView,),
            refuses=(*_UNKNOWN, ErrorCode.CONFLICT, *_PLANNING),
        ),
        Route(
            method="DELETE", path=_INSTANCE, does="Deletes an instance", handler=instances.delete,
            query=NoQuery, body=NoBody, status=204, refuses=_UNKNOWN,
        ),
        Route(
            method="POST", path=f"{_INSTANCE}/execute", does="Runs tasks", handler=instances.execute,
            query=NoQuery, body=ExecuteBody, optional=True, keyed=True, status=202, answers=(RevisionView,),
            refuses=_STARTING,
        ),
        Route(
            method="POST", path=f"{_INSTANCE}/cancel", does="Cancels what runs", handler=instances.cancel,
            query=NoQuery, body=CancelBody, optional=True, keyed=True, status=202, answers=(RevisionView,),
            refuses=(*_NO_TASK, ErrorCode.CONFLICT),
        ),
        Route(
            method="GET", path=f"{_INSTANCE}/events", does="What happens, as server-sent events",
            handler=events, query=EventsQuery, body=NoBody, media=EVENT_STREAM, refuses=_NO_TASK,
            headers={"Last-Event-ID": "The revision that the client has; what changed after it is sent."},
        ),
        Route(
            method="GET", path=_TASK, does="The record of a task", handler=tasks.record, query=ReadQuery,
            body=NoBody, answers=(TaskDocument,), refuses=_NO_TASK,
        ),
        Route(
            method="GET", path=f"{_TASK}/result", does="The result of a task, of any size",
            handler=tasks.result, query=ReadQuery, body=NoBody, refuses=(*_NO_TASK, ErrorCode.TOO_LARGE),
        ),
        Route(
            method="PUT", path=f"{_TASK}/contextUpdaters", does="Replaces what update_context left",
            handler=tasks.set_updaters, query=NoQuery, body=ContextUpdatersBody, answers=(RevisionView,),
            refuses=(*_NO_TASK, ErrorCode.CONFLICT, ErrorCode.TOO_LARGE),
        ),
        Route(
            method="GET", path=f"{_TASK}/logs", does="Lines of a task's log", handler=tasks.logs,
            query=LogsQuery, body=NoBody, answers=(LogsDocument,), refuses=_NO_TASK,
        ),
        _get("/healthz", "Whether the process answers", health.alive, HealthDocument),
        _get("/readyz", "Whether calls can be served", health.ready, HealthDocument),
        Route(
            method="GET", path="/metrics", does="The figures, for Prometheus", handler=health.metrics,
            query=NoQuery, body=NoBody, media="text/plain",
        ),
        Route(
            method="GET", path=f"{API}/openapi.json", does="This document", handler=openapi, query=NoQuery,
            body=NoBody,
        ),
    ]  # fmt: skip
    document = msgspec.json.encode(describe(found, EVENTS, version))
    return found


def _get(path: str, does: str, handler: Any, answer: type[msgspec.Struct]) -> AnyRoute:
    return Route(
        method="GET", path=path, does=does, handler=handler, query=NoQuery, body=NoBody, answers=(answer,)
    )
