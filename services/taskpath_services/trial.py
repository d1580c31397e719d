"""A trial: one run of one workflow by the real scheduler, executor and storage, in a folder of its own.

It is what :func:`taskpath.testing.run` does. There is no gateway, and nothing listens on any port.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from msgspec import UNSET

from taskpath import layers
from taskpath.app import App
from taskpath.encoding import NotJSON, encode
from taskpath.runtime.bus import Subscription
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import SystemClock
from taskpath.runtime.service import Service
from taskpath.runtime.settings import Settings
from taskpath.testing import Result
from taskpath_proto import paths, topology
from taskpath_proto.commands import Accepted, CreateInstance
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import InstanceChanged, LogsWritten
from taskpath_proto.queries import InstanceLoaded, LoadInstance, LogsView, ReadLogs, ReadValue, ValueRead
from taskpath_proto.records import HandlerRecord, RunRecord, TaskStatus
from taskpath_proto.values import Inline, Value
from taskpath_services.executor.service import ExecutorService
from taskpath_services.executor.values import Values
from taskpath_services.scheduler.fleet import Fleet
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Kind, Node
from taskpath_services.scheduler.restore import restore
from taskpath_services.scheduler.results import leavings, result_of
from taskpath_services.scheduler.service import SchedulerService
from taskpath_services.scheduler.statuses import NAMES, OK
from taskpath_services.storage.service import StorageService

_MEMORY: Final = Path("/dev/shm")
_MEMORY_BYTES: Final = 1024 * 1024 * 1024
"""Files are kept in memory where there is so much room."""
_MOST_EVENTS: Final = 1_000_000
_LINES: Final = 10_000

_decode = msgspec.json.Decoder().decode


async def run(
    app: App,
    workflow: str,
    data: Any,
    *,
    argument: Any,
    base_context: Mapping[str, Any] | None,
    realm: str,
    timeout: float,
) -> Result:
    """Runs a workflow; arguments, result and errors as those of :func:`taskpath.testing.run`."""
    if workflow not in app.workflows:
        known = ", ".join(sorted(app.workflows)) or "none"
        raise TaskpathError(
            ErrorCode.UNKNOWN_WORKFLOW,
            f"The app has no workflow {workflow!r}; it has {known}.",
            details={"workflow": workflow},
        )
    if base_context is not None and not isinstance(base_context, Mapping):
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST, f"base_context is {base_context!r}; expected is a dict or None."
        )
    texts = {
        "data": _text("data", data),
        "context": _text("base_context", dict(base_context or {})),
        "argument": None if argument is ... else _text("argument", argument),
    }
    if not structlog.is_configured():
        # Whoever runs a test wants to read about the test.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    async with _trial(app) as trial:
        try:
            async with asyncio.timeout(timeout):
                return await trial.run(workflow, app.workflows[workflow].queue, realm, texts)
        except TimeoutError:
            raise TimeoutError(
                f"The workflow {workflow!r} has not ended within {timeout:g} s; {trial.under_way()}."
            ) from None


@asynccontextmanager
async def _trial(app: App) -> AsyncIterator[_Trial]:
    debug = {name: text for name, text in os.environ.items() if name == "TASKPATH_DEBUG"}
    with tempfile.TemporaryDirectory(prefix="taskpath-", dir=_folder()) as folder:
        trial = _Trial(app, Settings.read(debug, data=folder, partitions=1, grace=0))
        await trial.start()
        try:
            yield trial
        finally:
            await trial.stop()


def _folder() -> Path | None:
    """Where the files are made: in memory if there is room, else where temporary files are."""
    try:
        if os.access(_MEMORY, os.W_OK):
            room = os.statvfs(_MEMORY)
            if room.f_bavail * room.f_frsize >= _MEMORY_BYTES:
                return _MEMORY
    except OSError:
        pass
    return None


def _text(what: str, value: Any) -> str:
    try:
        return encode(value)
    except NotJSON as error:
        raise TaskpathError(ErrorCode.INVALID_DATA, f"The {what} is not JSON: {error}.") from None


class _Trial(Service):
    """The services that a run needs, and who watches it.

    Args:
        app: the app.
        settings: of all services.
    """

    def __init__(self, app: App, settings: Settings) -> None:
        super().__init__("trial")
        bus, clock = MemoryBus(), SystemClock()
        self._bus = bus
        self._clock = clock
        self._id = secrets.token_hex(12)
        self._caller = Caller(bus, clock, self.name)
        self._values = Values(self._caller, clock)
        storage = StorageService(bus, clock, settings)
        executor = ExecutorService(bus, clock, settings, app)
        scheduler = SchedulerService(bus, clock, settings)
        # Started in this order, so that each finds those that it asks, and stopped so that work can end.
        self._starting: tuple[Service, ...] = (storage, executor, scheduler, self._caller)
        self._stopping: tuple[Service, ...] = (executor, scheduler, storage, self._caller)
        self._runs: tuple[RunRecord, ...] = ()
        self._handlers: tuple[HandlerRecord, ...] = ()
        self._statuses: dict[str, TaskStatus] = {}
        self._logged: dict[str, None] = {}

    async def on_start(self) -> None:
        await self._bus.start()
        for service in self._starting:
            await service.start()
            self.spawn(service.wait(), service.name)

    async def on_stop(self) -> None:
        await self._values.close()
        for service in self._stopping:
            await service.stop()
        await self._bus.stop()

    def under_way(self) -> str:
        """What runs, as a message says it."""
        active = [
            f"{path} is {status}"
            for path, status in self._statuses.items()
            if status in (TaskStatus.QUEUED, TaskStatus.RUNNING)
        ]
        # Groups come before what is in them, and it is the task in them that says most.
        shown = sorted(active, key=len, reverse=True)[:5]
        if shown:
            return ", ".join(shown)
        return "its handlers are under way" if self._handlers else "nothing of it was under way"

    async def run(self, workflow: str, queue: str, realm: str, texts: Mapping[str, str | None]) -> Result:
        """Runs the workflow to its end.

        Args:
            workflow: its name.
            queue: that of its generator.
            realm: of the instance.
            texts: its data, base context and argument, as JSON.
        """
        data, context, argument = [
            await self._value(name, texts[name]) for name in ("data", "context", "argument")
        ]
        assert data is not None
        assert context is not None
        create = CreateInstance(
            id=self._id,
            workflow=workflow,
            queue=queue,
            realm=realm,
            data=data,
            base_context=context,
            execute=True,
            argument=argument,
        )
        events = await self._bus.subscribe(topology.instance_key(self._id), limit=_MOST_EVENTS)
        await self._caller.ask(topology.scheduler_mailbox(0), create, Accepted)
        await self._until_failed_or(self._over(events))
        return await self._result()

    async def _value(self, name: str, text: str | None) -> Value | None:
        return None if text is None else await self._values.put(self._id, paths.ROOT, name, 0, text)

    async def _until_failed_or(self, work: Coroutine[Any, Any, None]) -> None:
        """Waits for the work; raises what made a service fail before."""
        ended, failed = asyncio.ensure_future(work), asyncio.ensure_future(self.wait())
        try:
            await asyncio.wait((ended, failed), return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
            await ended
        finally:
            ended.cancel()
            failed.cancel()

    async def _over(self, events: Subscription) -> None:
        """Returns when nothing of the instance is under way any more."""
        while True:
            for event in await events.take():
                if isinstance(event, LogsWritten):
                    self._logged[event.path] = None
                elif isinstance(event, InstanceChanged):
                    self._note(event)
            if not self._runs and not self._handlers:
                return

    def _note(self, event: InstanceChanged) -> None:
        for task in event.tasks:
            if task.status is not UNSET:
                self._statuses[task.path] = task.status
        change = event.instance
        if change is not None:
            if change.runs is not UNSET:
                self._runs = change.runs
            if change.handlers is not UNSET:
                self._handlers = change.handlers

    async def _result(self) -> Result:
        load = LoadInstance(self._id)
        loaded = await self._caller.ask(topology.storage_mailbox(0), load, InstanceLoaded)
        record = loaded.instance
        assert record is not None
        instance = restore(record, loaded.tasks, 0, record.epoch, self._clock.now(), Fleet())
        nodes = [node for path, node in instance.tree.nodes.items() if path != paths.ROOT]
        return Result(
            status=record.status,
            statuses={node.path: NAMES[node.status] for node in nodes},
            results={
                node.path: _decode(await self._read(value))
                for node in nodes
                if (value := _result_of(instance, node)) is not None
            },
            context=await self._context(instance),
            logs={path: await self._lines(path) for path in self._logged},
            errors={
                task.path: TaskpathError.of(task.error) for task in loaded.tasks if task.error is not None
            },
        )

    async def _context(self, instance: Instance) -> dict[str, Any]:
        left = tuple(
            layer
            for node in instance.tree.root.inside.children
            if node is not None
            for layer in leavings(instance, node)
        )
        base = instance.identity.base_context
        texts = {value: await self._read(value) for value in layers.values_of(base, left)}
        return layers.build(base, left, lambda value: _decode(texts[value]))

    async def _lines(self, path: str) -> list[str]:
        read = ReadLogs(self._id, path, limit=_LINES)
        return [line.text for line in (await self._caller.ask(topology.QUERIES, read, LogsView)).lines]

    async def _read(self, value: Value) -> str:
        if isinstance(value, Inline):
            return value.json
        return (await self._caller.ask(topology.QUERIES, ReadValue(self._id, value), ValueRead)).json


def _result_of(instance: Instance, node: Node) -> Value | None:
    """The result of a task: its own function's if it has one and is ok, else that of all below it."""
    if node.kind is Kind.GROUP and node.spec.run:
        return node.result if node.inside.own == OK else None
    return result_of(instance, node) if node.status == OK else None
