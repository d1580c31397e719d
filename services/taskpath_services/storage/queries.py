"""Answers to the questions of everyone but owners, from the queue ``queries``."""

from __future__ import annotations

import asyncio
import uuid
from typing import Final

import structlog

from taskpath.runtime.bus import Bus, BusClosed, BusLost, Inbox
from taskpath.runtime.caller import answer
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.calls import Call, Response
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import (
    AskPartitions,
    AskPlace,
    BlobPut,
    InstancesPage,
    InstanceView,
    ListInstances,
    Partitions,
    Place,
    PutBlob,
    ReadExpected,
    ReadInstance,
    ReadLogs,
    ReadTask,
    ReadValue,
    TaskView,
    ValueRead,
)
from taskpath_proto.values import Blob
from taskpath_services.storage.arrivals import Arrivals
from taskpath_services.storage.commits import Commits
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.history.answer import expected_times
from taskpath_services.storage.index.contract import InstanceIndex
from taskpath_services.storage.materialise import Materialiser
from taskpath_services.storage.records.contract import RecordStore
from taskpath_services.storage.selection import Selection
from taskpath_services.storage.tasks import TaskReader, context_of
from taskpath_services.storage.waiting import Late, by, first_of

log = structlog.get_logger("taskpath.storage")

MAX_OPEN: Final = 1_000
"""So many calls are open at once; more wait in the queue."""

MAX_LINES: Final = 10_000
MAX_PATTERNS: Final = 100

UNKNOWN_PATIENCE: Final = 2_000
"""An instance that is asked for at a revision and not there may be on its way; for so many ms."""

ANSWER_MS: Final = 500
"""So long before its deadline a caller is told that a revision has not come; in ms."""

FIRST_LOOK: Final = 0.01
LAST_LOOK: Final = 0.2
"""Seconds between two looks for a revision: doubled from the first to the last."""


class Queries(Service):
    """Answers calls, each by itself: one that waits for a revision holds up nobody.

    Args:
        bus: where calls come from and answers go.
        clock: for deadlines.
        records: the record store.
        index: the index.
        commits: for values that are put.
        arrivals: tells when a revision has come.
        max_value: the size of the largest value, in bytes.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        records: RecordStore,
        index: InstanceIndex,
        commits: Commits,
        arrivals: Arrivals,
        max_value: int,
    ) -> None:
        super().__init__("storage queries")
        self._bus = bus
        self._clock = clock
        self._records = records
        self._index = index
        self._commits = commits
        self._arrivals = arrivals
        self._max_value = max_value
        self._reader = TaskReader(records, max_value)
        self._room = asyncio.Semaphore(MAX_OPEN)
        self._queue = topology.reply_queue(f"storage.{uuid.uuid4().hex[:12]}")
        self._inboxes: list[Inbox] = []

    async def on_start(self) -> None:
        """Opens the queue that replicas share, and one of its own for what is large."""
        for queue in (self._queue, topology.QUERIES):
            inbox = await self._bus.consume(queue)
            self._inboxes.append(inbox)
            self.spawn(self._receive(inbox), f"receive {queue}")

    async def on_stop(self) -> None:
        """Takes no more calls; those that are open are given up."""
        for inbox in self._inboxes:
            await inbox.close()

    async def _receive(self, inbox: Inbox) -> None:
        try:
            while True:
                delivery = await inbox.take(MAX_OPEN)
                for message in delivery.messages:
                    if isinstance(message, Call):
                        await self._room.acquire()
                        self.spawn(self._answer(message), "answer")
                    else:
                        log.error("unexpected message", mailbox=topology.QUERIES, type=type(message).__name__)
                # The queue is volatile: a caller that gets no answer asks again.
                delivery.ack()
        except BusClosed:
            return

    async def _answer(self, call: Call) -> None:
        try:
            if call.deadline < self._clock.now():
                return
            result: Response | TaskpathError
            try:
                result = await by(call.deadline, self._clock, self._respond(call.body, call.deadline))
            except TaskpathError as error:
                result = error
            except StoreUnavailable as error:
                log.warning("store unavailable", reason=str(error))
                result = TaskpathError(
                    ErrorCode.UNAVAILABLE, "Storage cannot be reached right now; try again."
                )
            except (OverflowError, UnicodeEncodeError):
                result = TaskpathError(
                    ErrorCode.INVALID_REQUEST, "A number or a text of the call is out of range."
                )
            except Late:
                result = TaskpathError(
                    ErrorCode.UNAVAILABLE, "Storage did not get that far in time; try again."
                )
            except Exception:
                # A read changes nothing: an error in one must not end the service for all.
                log.exception("read failed", query=type(call.body).__name__)
                result = TaskpathError(ErrorCode.UNAVAILABLE, "Storage could not answer; its log says why.")
            await self._bus.send(call.reply_to, answer(call, result))
        except (BusClosed, BusLost):
            return  # whoever asked gets no answer, and asks again
        except ValueError as error:
            log.error("the answer cannot be sent", query=type(call.body).__name__, reason=str(error))
        finally:
            self._room.release()

    async def _respond(self, query: object, deadline: int) -> Response:
        if isinstance(query, ReadInstance):
            return await self._read_instance(query, deadline)
        if isinstance(query, ReadTask):
            return await self._read_task(query, deadline)
        if isinstance(query, ReadLogs):
            return await self._records.logs(
                query.id, query.path, query.after, min(max(query.limit, 1), MAX_LINES)
            )
        if isinstance(query, ListInstances):
            page: InstancesPage = await self._index.page(query)
            return page
        if isinstance(query, ReadExpected):
            return expected_times(await self._index.times(query.realm, query.workflow))
        if isinstance(query, ReadValue):
            return await self._read_value(query, deadline)
        if isinstance(query, AskPlace):
            return Place(self._queue)
        if isinstance(query, AskPartitions):
            return await self._partitions()
        if isinstance(query, PutBlob):
            return await self._put_blob(query)
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST, f"{type(query).__name__} is not a question for {topology.QUERIES}."
        )

    async def _partitions(self) -> Partitions:
        count = await self._records.partitions()
        if count is None:
            raise TaskpathError(ErrorCode.UNAVAILABLE, "Storage has not begun; try again.")
        return Partitions(count)

    async def _read_instance(self, query: ReadInstance, deadline: int) -> InstanceView:
        if len(query.paths) > MAX_PATTERNS:
            raise TaskpathError(
                ErrorCode.INVALID_REQUEST,
                f"There are {len(query.paths)} patterns; at most {MAX_PATTERNS} are allowed.",
            )
        selection = Selection(query.since, query.paths, query.items)
        if await self._await_revision(query.id, query.min_revision, deadline):
            view = await self._records.view(query.id, selection)
            if view.instance is not None:
                return view
        return InstanceView(tombstone=await self._records.tombstone(query.id, self._clock.now()))

    async def _read_task(self, query: ReadTask, deadline: int) -> TaskView:
        if await self._await_revision(query.id, query.min_revision, deadline):
            view = await self._reader.view(query.id, query.path)
            if view.instance is not None:
                return view
        return TaskView(tombstone=await self._records.tombstone(query.id, self._clock.now()))

    async def _read_value(self, query: ReadValue, deadline: int) -> ValueRead:
        await self._await_revision(query.id, query.min_revision, deadline)
        instance = await self._records.instance(query.id)
        if instance is None:
            if isinstance(value := query.value, Blob):
                # Large data is stored before its instance, whose generator has to see it.
                key = (value.path, value.name, value.version)
                if (text := (await self._records.texts(query.id, [key])).get(key)) is not None:
                    return ValueRead(json=text)
            raise TaskpathError(ErrorCode.UNKNOWN_INSTANCE, f"There is no instance {query.id!r}.")
        if (path := context_of(query.value)) is not None:
            return ValueRead(json=await self._reader.context(instance, path))
        return ValueRead(json=await Materialiser(self._records, instance, self._max_value).json(query.value))

    async def _put_blob(self, query: PutBlob) -> BlobPut:
        try:
            size = len(query.json) if query.json.isascii() else len(query.json.encode())
        except UnicodeEncodeError:
            raise TaskpathError(ErrorCode.INVALID_REQUEST, "The value is not Unicode text.") from None
        if size > self._max_value:
            raise TaskpathError(
                ErrorCode.TOO_LARGE, f"The value has {size} bytes; at most {self._max_value} are allowed."
            )
        if query.version < 0:
            raise TaskpathError(ErrorCode.INVALID_REQUEST, "The version of a value is 0 or more.")
        await self._commits.commit([query])
        return BlobPut(value=Blob(query.path, query.name, query.version, size))

    async def _await_revision(self, id: str, revision: int, deadline: int) -> bool:
        """Waits until storage has a revision of an instance; false if there is no such instance.

        Raises:
            TaskpathError: UNAVAILABLE, in time for the answer, if it does not come.
        """
        if revision <= 0:
            return True
        given_up = self._clock.now() + UNKNOWN_PATIENCE
        arrived = self._arrivals.expect(id, revision)
        pause = FIRST_LOOK
        try:
            while True:
                standing = await self._records.standing(id)
                if standing.deleted:
                    return False
                if arrived.done() or (standing.revision is not None and standing.revision >= revision):
                    return True
                if standing.revision is None and given_up <= self._clock.now() and given_up < deadline:
                    return False
                if standing.revision is not None and deadline - self._clock.now() <= ANSWER_MS:
                    raise TaskpathError(
                        ErrorCode.UNAVAILABLE,
                        f"The instance is at revision {standing.revision}; {revision} did not come in time. "
                        "Try again.",
                    )
                # What another replica commits is not heard of here, so it is looked for.
                await first_of(asyncio.shield(arrived), self._clock.sleep(pause))
                pause = min(2 * pause, LAST_LOOK)
        finally:
            arrived.cancel()
