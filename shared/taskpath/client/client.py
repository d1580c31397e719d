"""The client: everything that one can ask of a gateway, from Python."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, TypeVar, overload
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType

from taskpath.client.transport import DEFAULT_URL, Transport
from taskpath.client.views import Change, Instance, InstanceList, Logs, TaskDetails
from taskpath.client.watch import SILENCE, OnConnection, Watch
from taskpath_proto.packets import DeletedView, RevisionView
from taskpath_proto.paths import ROOT
from taskpath_proto.records import InstanceStatus, Mode, Upstream

T = TypeVar("T")

_REMEMBERED: Final = 10_000


class Client:
    """A client of a gateway.

    ::

        async with Client() as client:
            instance = await client.create("album", {"album": "Sea", "count": 200}, execute=True)
            async for change in client.watch(instance.id):
                print(change)
            print(await client.result(instance.id, "#.zip"))

    It reads what it wrote: each read asks for the revision of the client's last write to the instance. What
    can be repeated without harm is repeated while the gateway cannot be reached. Every method raises
    :class:`~taskpath_proto.errors.TaskpathError`, whose ``code`` says what was wrong.

    Args:
        url: of the gateway; by default ``TASKPATH_URL``, or ``http://127.0.0.1:8080``.
        token: by default ``TASKPATH_TOKEN``, or none.
        patience: for how many seconds a request is repeated while the gateway cannot be reached.

    Raises:
        TaskpathError: INVALID_REQUEST, if the URL is none.
    """

    def __init__(self, url: str | None = None, token: str | None = None, *, patience: float = 10.0) -> None:
        url = url or os.environ.get("TASKPATH_URL") or DEFAULT_URL
        token = token or os.environ.get("TASKPATH_TOKEN") or None
        self._transport = Transport(url, token, patience)
        self._revisions: OrderedDict[str, int] = OrderedDict()
        self._started: OrderedDict[str, int] = OrderedDict()

    @property
    def url(self) -> str:
        """The address of the gateway."""
        return self._transport.url

    async def __aenter__(self) -> Client:
        await self._transport.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    async def create(
        self,
        workflow: str,
        data: Any = None,
        *,
        realm: str | None = None,
        name: str | None = None,
        base_context: dict[str, Any] | None = None,
        ephemeral: bool = False,
        execute: bool = False,
        argument: Any = UNSET,
        idempotency_key: str | None = None,
    ) -> Instance:
        """Creates an instance.

        Args:
            workflow: the name that it is registered under.
            data: what it is about: anything that JSON can say, also a dataclass or Struct.
            realm: the tenant or group; by default ``default``.
            name: for people.
            base_context: the lowest layer of the context.
            ephemeral: whether it is deleted when it ends.
            execute: whether to execute it at once.
            argument: for the first task, in place of the data; with ``execute`` only.
            idempotency_key: the same key and request give the same instance. By default each call has its
                own, so that a request whose answer was lost can be repeated.

        Raises:
            TaskpathError: UNKNOWN_WORKFLOW, INVALID_DATA, SCHEDULER_ERROR if the generator fails, and others.
        """
        body: dict[str, Any] = {"workflow": workflow}
        optional = {"data": data, "realm": realm, "name": name, "baseContext": base_context}
        body |= {field: value for field, value in optional.items() if value is not None}
        if ephemeral:
            body["ephemeral"] = True
        if execute:
            body["execute"] = True
        if argument is not UNSET:
            body["argument"] = argument
        key = idempotency_key or uuid.uuid4().hex
        instance = await self._transport.call("POST", "/instances", Instance, body=body, key=key)
        self._note(instance.id, instance.revision)
        if execute:
            _remember(self._started, instance.id, instance.revision)
        return instance

    async def execute(
        self,
        id: str,
        path: str = ROOT,
        *,
        mode: Mode | str = Mode.ALL,
        upstream: Upstream | str = Upstream.REQUIRE,
        argument: Any = UNSET,
    ) -> int:
        """Runs the tasks at a path or pattern; returns the revision at which that shows.

        Args:
            id: the instance.
            path: a path or pattern; ``#`` for everything.
            mode: ``all`` of them, what is not done or ``stale``, or what ``failed`` and what that held up.
            upstream: if tasks before them are not fresh: ``require`` refuses, ``run`` runs them first,
                ``ignore`` goes on.
            argument: what the first task that runs receives, in place of what it would get.

        Raises:
            TaskpathError: ALREADY_RUNNING, CANNOT_START_TASK, CANNOT_FIND_TASK, UNKNOWN_INSTANCE and others.
        """
        body: dict[str, Any] = {"path": path, "mode": Mode(mode), "upstream": Upstream(upstream)}
        if argument is not UNSET:
            body["argument"] = argument
        revision = await self._command(id, "execute", body)
        _remember(self._started, id, revision)
        return revision

    async def cancel(self, id: str, path: str = ROOT) -> int:
        """Cancels what runs at or under a path or pattern; returns the revision at which that shows."""
        return await self._command(id, "cancel", {"path": path})

    async def get(self, id: str, *, paths: Sequence[str] | None = None) -> Instance:
        """An instance with its tree and statuses.

        Args:
            id: the instance.
            paths: patterns of the tasks whose statuses are wanted; None for all.
        """
        query = self._fresh(id)
        if paths is not None:
            query["paths"] = ",".join(paths)
        instance = await self._transport.call("GET", _instance(id), Instance, query=query)
        if instance.started_at is not None:
            _remember(self._started, id, instance.revision)
        return instance

    async def list(
        self,
        *,
        realm: str | None = None,
        status: InstanceStatus | str | None = None,
        workflow: str | None = None,
        name: str | None = None,
        created_after: int | None = None,
        created_before: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> InstanceList:
        """A page of the list of instances, newest first.

        Args:
            realm: only those of this realm.
            status: only those of this status.
            workflow: only those of this workflow.
            name: only those whose name begins so.
            created_after: exclusive, ms since epoch.
            created_before: exclusive, ms since epoch.
            limit: at most so many, up to 200; by default 50.
            cursor: the ``next_cursor`` of the page before.
        """
        given = {
            "realm": realm,
            "status": None if status is None else InstanceStatus(status).value,
            "workflow": workflow,
            "name": name,
            "createdAfter": created_after,
            "createdBefore": created_before,
            "limit": limit,
            "cursor": cursor,
        }
        query = {field: str(value) for field, value in given.items() if value is not None}
        return await self._transport.call("GET", "/instances", InstanceList, query=query)

    async def update(self, id: str, data: Any = UNSET, *, name: str | None | UnsetType = UNSET) -> int:
        """Changes an instance's data, and with it its tree, or its name; returns the revision that shows it.

        Finished tasks whose path stays keep their results; those after an inserted one become stale. A
        request whose answer is lost is not repeated, for an updater may not be applied twice.

        Args:
            id: the instance.
            data: an updater of the data, such as ``{"count": {"$set": 5}}``.
            name: the new name, None for none.

        Raises:
            TaskpathError: CONFLICT while it runs; INVALID_REQUEST for what is no updater; SCHEDULER_ERROR or
                INVALID_DATA, if the new data makes no tree; and others.
        """
        body = {field: value for field, value in (("data", data), ("name", name)) if value is not UNSET}
        view = await self._transport.call("PATCH", _instance(id), RevisionView, body=body)
        self._note(id, view.revision)
        return view.revision

    async def set_context_updaters(self, id: str, path: str, updaters: Sequence[Any]) -> int:
        """Replaces what a task's ``update_context`` left; returns the revision that shows it.

        What follows the task becomes stale, the task itself does not.

        Args:
            id: the instance.
            path: the task.
            updaters: what it leaves from now on, applied in this order.

        Raises:
            TaskpathError: CONFLICT while the instance runs, CANNOT_FIND_TASK, INVALID_REQUEST and others.
        """
        view = await self._transport.call(
            "PUT", _task(id, path) + "/contextUpdaters", RevisionView, body={"updaters": list(updaters)}
        )
        self._note(id, view.revision)
        return view.revision

    async def delete_realm(self, realm: str) -> int:
        """Deletes all instances of a realm, and cancels what runs of them; returns how many there were.

        Raises:
            TaskpathError: UNAVAILABLE, if they are too many for one call; then some are gone, and more go
                with the next.
        """
        path = f"/realms/{quote(realm, safe='')}/instances"
        return (await self._transport.call("DELETE", path, DeletedView)).deleted

    async def delete(self, id: str) -> None:
        """Cancels what runs and removes the instance with everything stored about it."""
        await self._transport.call("DELETE", _instance(id), type(None))
        self._revisions.pop(id, None)

    async def task(self, id: str, path: str) -> TaskDetails:
        """The record of one task, with its values."""
        return await self._transport.call("GET", _task(id, path), TaskDetails, query=self._fresh(id))

    @overload
    async def result(self, id: str, path: str) -> Any: ...
    @overload
    async def result(self, id: str, path: str, type: type[T]) -> T: ...
    async def result(self, id: str, path: str, type: Any = Any) -> Any:
        """What a task returned, of any size.

        Args:
            id: the instance.
            path: the task.
            type: what to decode it to, such as a dataclass; by default plain dicts and lists.

        Raises:
            msgspec.ValidationError: the result does not fit the type.
            TaskpathError: UNKNOWN_INSTANCE, or CANNOT_FIND_TASK also if the task has no result.
        """
        raw = await self._transport.fetch("GET", _task(id, path) + "/result", query=self._fresh(id))
        return msgspec.json.decode(raw, type=type)

    async def logs(self, id: str, path: str, *, after: int = 0, limit: int | None = None) -> Logs:
        """Lines of a task's log.

        Args:
            id: the instance.
            path: the task.
            after: the ``next`` of the lines before.
            limit: at most so many lines.
        """
        query = self._fresh(id) | {"after": str(after)}
        if limit is not None:
            query["limit"] = str(limit)
        return await self._transport.call("GET", _task(id, path) + "/logs", Logs, query=query)

    async def watch(
        self,
        id: str,
        paths: Sequence[str] | None = None,
        since: int | None = None,
        logs: bool | Sequence[str] = False,
        *,
        logs_since: Mapping[str, int] | None = None,
        follow: bool = False,
        on_connection: OnConnection | None = None,
        silence: float = SILENCE,
    ) -> AsyncGenerator[Change, None]:
        """What happens to an instance: first how it stands, then each change.

        A lost connection is made anew, also while the gateway restarts, and goes on from the revision that
        was received. It ends when the instance has ended or is deleted, or rests with a part of it run.

        Args:
            id: the instance.
            paths: patterns of the tasks whose statuses are wanted; None for all.
            since: the revision that the caller has; what changed after it comes.
            logs: whether log lines are wanted, or patterns of the tasks whose lines are: those written
                from now on.
            logs_since: by path, the ``next`` of the lines that the caller has; lines after it come, too.
            follow: whether to go on when the instance has ended; it may be executed again.
            on_connection: called with the reason when the connection is lost, with None when it is back.
            silence: after so many seconds without a word the connection counts as lost.

        Raises:
            TaskpathError: UNKNOWN_INSTANCE, UNAUTHENTICATED; UNAVAILABLE if there is no gateway at first.
        """
        watch = Watch(
            self._transport,
            id,
            paths,
            since,
            logs,
            logs_since=logs_since or {},
            follow=follow,
            written=self._revisions.get(id, 0),
            started=self._started.get(id, 0),
            seen=lambda revision: self._note(id, revision),
            on_connection=on_connection,
            silence=silence,
        )
        async with aclosing(watch.changes()) as changes:
            async for change in changes:
                yield change

    async def wait(self, id: str, *, timeout: float | None = None) -> Instance:
        """Waits until an instance has ended, or rests with a part of it run, and returns it.

        Args:
            id: the instance.
            timeout: in seconds.

        Raises:
            TimeoutError: it has not ended in that time.
        """
        async with asyncio.timeout(timeout):
            if not await self._known_to_rest(id):
                async with aclosing(self.watch(id, paths=[ROOT])) as changes:
                    async for _ in changes:
                        pass
            return await self.get(id)

    async def _known_to_rest(self, id: str) -> bool:
        """Whether an instance is over. Of one that we have started ourselves a watch tells that as well."""
        if id in self._started:
            return False
        instance = await self.get(id, paths=[ROOT])
        return instance.deleted or instance.at_rest

    async def _command(self, id: str, verb: str, body: dict[str, Any]) -> int:
        key = uuid.uuid4().hex
        view = await self._transport.call("POST", f"{_instance(id)}/{verb}", RevisionView, body=body, key=key)
        self._note(id, view.revision)
        return view.revision

    def _note(self, id: str, revision: int) -> None:
        _remember(self._revisions, id, revision)

    def _fresh(self, id: str) -> dict[str, str]:
        revision = self._revisions.get(id)
        return {} if revision is None else {"minRevision": str(revision)}


def _remember(revisions: OrderedDict[str, int], id: str, revision: int) -> None:
    revisions[id] = max(revision, revisions.get(id, 0))
    revisions.move_to_end(id)
    if len(revisions) > _REMEMBERED:
        revisions.popitem(last=False)


def _instance(id: str) -> str:
    return "/instances/" + quote(id, safe="")


def _task(id: str, path: str) -> str:
    return f"{_instance(id)}/tasks/{quote(path, safe='')}"
