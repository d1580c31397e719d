"""Owner and storage for tests of the gateway, over the real bus: small, in memory, and obedient."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import UNSET

from taskpath.runtime.bus import Inbox
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.caller import answer
from taskpath.runtime.clock import Clock
from taskpath_proto import topology
from taskpath_proto.calls import Call, Command, Query, Response
from taskpath_proto.commands import (
    Accepted,
    Cancel,
    CreateInstance,
    Delete,
    Execute,
    SetContextUpdaters,
    UpdateInstance,
)
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.events import (
    ExecutorAnnounced,
    IndexChanged,
    InstanceChanged,
    InstanceDeleted,
    LogLine,
    LogsWritten,
    WorkflowAnnouncement,
)
from taskpath_proto.paths import Pattern
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.queries import (
    AskPartitions,
    AskPlace,
    BlobPut,
    ExpectedTime,
    ExpectedTimes,
    InstancesPage,
    InstanceSummary,
    InstanceView,
    ListInstances,
    LogsView,
    Partitions,
    Place,
    PutBlob,
    ReadExpected,
    ReadInstance,
    ReadLogs,
    ReadTask,
    ReadValue,
    TaskView,
    Tombstone,
    ValueRead,
)
from taskpath_proto.records import InstanceChange, InstanceRecord, InstanceStatus, TaskChange, TaskRecord
from taskpath_proto.values import Blob, Inline, Value

PLAN = Plan(
    tasks=(
        TaskSpec(name="list", description="Find"),
        TaskSpec(name="resize", foreach="photos", subtasks=None),
        TaskSpec(
            name="publish", subtasks=(TaskSpec(name="cdn"), TaskSpec(name="mail", foreach=True, subtasks=()))
        ),
    )
)


class SmallSystem:
    """Answers what a gateway asks.

    Attributes:
        asked: the commands and queries that came, in order, without those for what is expected.
        refusal: what commands are answered with, if not None.
        mute: whether commands are not answered at all.
        reading: is called before a read is answered.
        expected: how long the tasks of a workflow in a realm usually take.
        expecting: is called before that is told.
    """

    def __init__(self, bus: MemoryBus, partitions: int = 4) -> None:
        self.asked: list[Command | Query] = []
        self.refusal: TaskpathError | None = None
        self.mute = False
        self.reading: Callable[[Query], Awaitable[None]] | None = None
        self.expected: dict[tuple[str, str], dict[str, ExpectedTime]] = {}
        self.expecting: Callable[[Query], Awaitable[None]] | None = None
        self.instances: dict[str, InstanceRecord] = {}
        self.tasks: dict[str, dict[str, TaskRecord]] = {}
        self.lines: dict[tuple[str, str], list[LogLine]] = {}
        self.blobs: dict[Value, str] = {}
        self.contexts: dict[tuple[str, str], Value] = {}
        self.tombstones: dict[str, Tombstone] = {}
        self.removed_at: dict[str, int] = {}
        self.epoch = 1
        self._bus = bus
        self._partitions = partitions
        self._arrived = asyncio.Event()
        self._running: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[SmallSystem]:
        """Reads the mailboxes."""
        await self.open()
        try:
            yield self
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def open(self) -> None:
        """Opens the mailboxes, also anew when the bus was lost."""
        names = [topology.scheduler_mailbox(p) for p in range(self._partitions)] + [topology.QUERIES]
        for name in names:
            inbox = await self._bus.consume(name)
            self._running.append(asyncio.ensure_future(self._serve(inbox)))

    def create(self, id: str, plan: Plan = PLAN, *, created_at: int = 1, **fields: Any) -> InstanceRecord:
        """An instance that is there from the beginning."""
        record = InstanceRecord(
            id=id,
            epoch=self.epoch,
            revision=1,
            workflow="album",
            data=Inline('{"a": 1}'),
            base_context=Inline("{}"),
            plan=plan,
            created_at=created_at,
            updated_at=created_at,
        )
        for name, value in fields.items():
            setattr(record, name, value)
        self.instances[id] = record
        self.tasks[id] = {}
        return record

    def change(
        self,
        id: str,
        *tasks: TaskChange,
        removed: tuple[str, ...] = (),
        publish: bool = True,
        **instance: Any,
    ) -> InstanceChanged:
        """Commits a change, and says so."""
        record = self.instances[id]
        change = InstanceChange(**instance) if instance else None
        event = InstanceChanged(
            id=id,
            partition=topology.partition_of(id, self._partitions),
            epoch=self.epoch,
            revision=record.revision + 1,
            base_revision=record.revision,
            tasks=list(tasks),
            removed=list(removed),
            instance=change,
        )
        record.revision, record.epoch = event.revision, self.epoch
        for name, value in instance.items():
            setattr(record, name, value)
        records = self.tasks[id]
        if removed:
            self.removed_at[id] = event.revision
        for path in [
            path for path in records if any(path == gone or path.startswith(f"{gone}.") for gone in removed)
        ]:
            del records[path]
        for task in tasks:
            merged = records.setdefault(task.path, TaskRecord(path=task.path))
            merged.revision = event.revision
            for name in TaskChange.__struct_fields__:
                if (value := getattr(task, name)) is not UNSET:
                    setattr(merged, name, value)
        if publish:
            self.publish(event)
        return event

    def publish(self, event: InstanceChanged | InstanceDeleted) -> None:
        """Says what has happened."""
        self._bus.publish(event, topology.instance_key(event.id))
        self.tell()

    def tell(self) -> None:
        """Says that the index has changed."""
        self._bus.publish(IndexChanged(), topology.INDEX)

    def delete(self, id: str, status: InstanceStatus | None = None) -> None:
        """Deletes an instance, and says so; of an ephemeral one that has ended, a tombstone stays."""
        record = self.instances.pop(id)
        if status is not None:
            self.tombstones[id] = Tombstone(id, record.realm, status)
        self.publish(
            InstanceDeleted(id=id, partition=0, epoch=self.epoch, revision=record.revision + 1, status=status)
        )

    def write(self, id: str, path: str, *texts: str, attempt: int = 1, publish: bool = True) -> None:
        """Writes to a task's log."""
        lines = self.lines.setdefault((id, path), [])
        n = sum(line.attempt == attempt for line in lines)
        new = [
            LogLine(time=5, level="info", text=text, attempt=attempt, n=n + number)
            for number, text in enumerate(texts, 1)
        ]
        lines.extend(new)
        if publish:
            self._bus.publish(
                LogsWritten(id=id, partition=0, path=path, lines=new), topology.instance_key(id)
            )

    def announce(self, executor: str = "e1", *workflows: str, leaving: bool = False) -> None:
        """An executor says that it is there."""
        self._bus.publish(
            ExecutorAnnounced(
                executor=executor,
                queues=("default",),
                workflows=tuple(WorkflowAnnouncement(name, "default") for name in workflows or ("album",)),
                leaving=leaving,
            ),
            topology.ANNOUNCEMENTS,
        )

    async def heard(self, kind: type[Any], count: int = 1) -> list[Any]:
        """Returns when that many commands or queries of a type have come."""
        while True:
            found = [body for body in self.asked if isinstance(body, kind)]
            if len(found) >= count:
                return found
            self._arrived.clear()
            await self._arrived.wait()

    async def _serve(self, inbox: Inbox) -> None:
        while True:
            delivery = await inbox.take()
            for message in delivery.messages:
                if isinstance(message, Call):
                    if not isinstance(message.body, ReadExpected):
                        self.asked.append(message.body)
                    self._arrived.set()
                    self._running.append(asyncio.ensure_future(self._answer(message)))
            delivery.ack()

    async def _answer(self, call: Call) -> None:
        try:
            result: Response | TaskpathError | None = await self._result(call.body)
        except TaskpathError as error:
            result = error
        if result is not None:
            await self._bus.send(call.reply_to, answer(call, result))

    async def _result(self, body: Command | Query) -> Response | None:
        match body:
            case ReadInstance() | ReadTask() | ReadLogs() | ListInstances():
                if self.reading is not None:
                    await self.reading(body)
                return self._read(body)
            case AskPartitions():
                if self.reading is not None:
                    await self.reading(body)
                return Partitions(self._partitions)
            case ReadExpected():
                if self.expecting is not None:
                    await self.expecting(body)
                return ExpectedTimes(self.expected.get((body.realm, body.workflow), {}))
            case AskPlace():
                return Place(topology.QUERIES)
            case PutBlob():
                blob = Blob(path=body.path, name=body.name, version=body.version, size=len(body.json))
                self.blobs[blob] = body.json
                return BlobPut(value=blob)
            case ReadValue():
                return ValueRead(json=self.blobs[body.value])
        if self.mute:
            return None
        if self.refusal is not None:
            raise self.refusal
        if isinstance(body, CreateInstance):
            return self._create(body)
        assert isinstance(body, (Execute, Cancel, Delete, UpdateInstance, SetContextUpdaters))
        if body.id not in self.instances:
            raise TaskpathError(ErrorCode.UNKNOWN_INSTANCE, f"There is no instance {body.id!r}.")
        revision = self.instances[body.id].revision
        if isinstance(body, Delete):
            self.delete(body.id)
        return Accepted(id=body.id, revision=revision)

    def _create(self, body: CreateInstance) -> Accepted:
        known = self.instances.get(body.id)
        if known is not None:
            if known.creation_key != body.creation_key:
                raise TaskpathError(ErrorCode.CONFLICT, "The key was used for another request.")
            return Accepted(id=known.id, revision=known.revision)
        self.create(
            body.id,
            realm=body.realm,
            name=body.name,
            data=body.data,
            base_context=body.base_context,
            creation_key=body.creation_key,
        )
        return Accepted(id=body.id, revision=1, created=True)

    def _read(self, query: ReadInstance | ReadTask | ReadLogs | ListInstances) -> Response:
        if isinstance(query, ListInstances):
            found = [
                InstanceSummary(
                    record.id,
                    record.workflow,
                    record.realm,
                    record.name,
                    record.status,
                    record.progress,
                    record.created_at,
                    record.updated_at,
                )
                for record in sorted(
                    self.instances.values(), key=lambda record: (-record.created_at, record.id)
                )
                if query.status in (None, record.status) and query.realm in (None, record.realm)
            ]
            created_at, _, last = (query.cursor or "").partition(" ")
            if last:
                found = [item for item in found if (-item.created_at, item.id) > (-int(created_at), last)]
            shown = found[: query.limit]
            more = len(found) > len(shown)
            return InstancesPage(shown, f"{shown[-1].created_at} {shown[-1].id}" if more else None)
        record = self.instances.get(query.id)
        if isinstance(query, ReadLogs):
            lines = self.lines.get((query.id, query.path), [])
            start = min(query.after, len(lines))
            page = lines[start : start + query.limit]
            return LogsView(lines=page, next=start + len(page), known=record is not None)
        if record is None:
            tombstone = self.tombstones.get(query.id)
            if isinstance(query, ReadInstance):
                return InstanceView(tombstone=tombstone)
            return TaskView(tombstone=tombstone)
        record = msgspec.structs.replace(record)
        if isinstance(query, ReadTask):
            if not _known(record.plan, query.path):
                return TaskView(instance=record)
            task = self.tasks[query.id].get(query.path, TaskRecord(path=query.path))
            context = self.contexts.get((query.id, query.path))
            return TaskView(instance=record, task=msgspec.structs.replace(task), context=context)
        patterns = [Pattern(text) for text in query.paths]
        naming = any(pattern.names_items for pattern in patterns)
        folded = [
            f"{task.path}["
            for task in self.tasks[query.id].values()
            if (task.count or 0) > query.items and not naming
        ]
        return InstanceView(
            instance=record,
            removed_at=self.removed_at.get(query.id, 0),
            tasks=[
                msgspec.structs.replace(task, body=None, argument=None)
                for path, task in self.tasks[query.id].items()
                if (not patterns or any(pattern.covers(path) for pattern in patterns))
                and not any(path.startswith(start) for start in folded)
            ],
        )


def _known(plan: Plan, path: str) -> bool:
    specs = plan.tasks
    for step in path.split("[")[0].split(".")[1:]:
        found = next((spec for spec in specs if spec.name == step), None)
        if found is None:
            return False
        specs = found.subtasks or ()
    return True


@asynccontextmanager
async def small_system(clock: Clock) -> AsyncIterator[tuple[MemoryBus, SmallSystem]]:
    """A bus, and owner and storage on it."""
    bus = MemoryBus()
    await bus.start()
    async with SmallSystem(bus).running() as system:
        yield bus, system
    await bus.stop()
