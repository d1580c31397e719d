"""Asking: a call to a mailbox, and the wait for its answer."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from typing import Final, TypeVar

import msgspec
import structlog

from taskpath.runtime.bus import Bus, BusClosed, BusLost, Inbox
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.calls import Answer, Call, Command, Query, Response
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.queries import AskPlace, ClaimPartition, Place, PutBlob

log = structlog.get_logger("taskpath")

R = TypeVar("R", bound=Response)

LARGE: Final = 128 * 1024
"""A text of more characters does not go through a mailbox: a broker's messages stay below 1 MiB."""

UNANSWERED: Final = 3.0
"""After so many seconds a call is sent again; then after twice as many, and so on."""

ONCE: Final = (ClaimPartition, PutBlob)
"""What is not sent again: a second claim would end the ownership that the first has begun, and a large value
takes its time."""

_AGAIN_SECONDS: Final = 1.0
"""How long to wait before a reply queue is opened again that the broker refused."""


class Caller(Service):
    """Makes calls and matches answers to them.

    When the bus is lost, the calls under way fail, and so does every further one until it is back.

    Args:
        bus: the bus.
        clock: for deadlines.
        name: of the service that calls, for its reply queue.
        timeout: how long an answer is waited for, in seconds.
    """

    def __init__(self, bus: Bus, clock: Clock, name: str, timeout: float = 30.0) -> None:
        super().__init__(f"caller of {name}")
        self._bus = bus
        self._clock = clock
        self._called = name
        self._queue: str | None = None
        self._timeout = timeout
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Response]] = {}

    async def ask(
        self,
        mailbox: str,
        body: Command | Query,
        expected: type[R],
        timeout: float | None = None,
    ) -> R:
        """Sends a call and returns its answer.

        On a bus that outlives those who answer it is sent again while no answer comes: who had it may have
        ended, and whoever takes his place knows nothing of it. A repeat does no harm.

        Args:
            mailbox: whom to ask.
            body: the command or query.
            expected: the type of the answer.
            timeout: in seconds, if not the caller's own.

        Raises:
            TaskpathError: the answer is an error, or UNAVAILABLE if none came in time, or the bus is away.
        """
        if self._queue is None:
            raise _unreachable()
        limit = self._timeout if timeout is None else timeout
        if isinstance(body, PutBlob) and len(body.json) > LARGE:
            mailbox = (await self.ask(mailbox, AskPlace(), Place, limit)).queue
        number = next(self._numbers)
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answered
        call = Call(
            body=body, reply_to=self._queue, call=number, deadline=self._clock.now() + round(limit * 1000)
        )
        try:
            async with asyncio.timeout(limit):
                await self._bus.send(mailbox, call)
                if self._bus.durable and not isinstance(body, ONCE):
                    await self._insist(mailbox, call, answered)
                response = await answered
        except TimeoutError:
            raise TaskpathError(
                ErrorCode.UNAVAILABLE, f"{_whom(mailbox)} gave no answer within {limit:g} s; try again."
            ) from None
        except BusLost:
            raise _unreachable() from None
        except BusClosed:
            raise TaskpathError(ErrorCode.UNAVAILABLE, "The system is stopping; try again.") from None
        finally:
            self._waiting.pop(number, None)
        if not isinstance(response, expected):
            raise TypeError(f"{mailbox} answered {type(response).__name__} where {expected.__name__} is due")
        return response

    async def _insist(self, mailbox: str, call: Call, answered: asyncio.Future[Response]) -> None:
        """Sends a call again until it is answered."""
        pause = UNANSWERED
        while not (await asyncio.wait({answered}, timeout=pause))[0]:
            await self._bus.send(mailbox, msgspec.structs.replace(call, again=True))
            pause *= 2

    async def on_start(self) -> None:
        """Opens the reply queue."""
        self.spawn(self._listen(await self._open()), "answers")

    async def _open(self) -> Inbox:
        """Opens a reply queue of a new name: the old one may be there until the broker misses its reader."""
        while True:
            queue = topology.reply_queue(f"{self._called}.{uuid.uuid4().hex[:12]}")
            try:
                inbox = await self._bus.consume(queue)
            except BusLost as error:
                log.warning("no reply queue", caller=self._called, reason=str(error))
                await self._clock.sleep(_AGAIN_SECONDS)
                continue
            self._queue = queue
            return inbox

    async def _listen(self, inbox: Inbox) -> None:
        try:
            while True:
                try:
                    await self._read(inbox)
                except BusLost:
                    self._give_up()
                    await inbox.close()
                    inbox = await self._open()
        except BusClosed:
            return
        finally:
            self._give_up()
            await inbox.close()

    async def _read(self, inbox: Inbox) -> None:
        while True:
            delivery = await inbox.take()
            for message in delivery.messages:
                if isinstance(message, Answer):
                    self._receive(message)
            delivery.ack()

    def _give_up(self) -> None:
        """Whatever is answered now, it will not reach us."""
        self._queue = None
        for answered in self._waiting.values():
            if not answered.done():
                answered.set_exception(_unreachable())
                answered.exception()  # who is still sending hears it from the bus

    def _receive(self, answer: Answer) -> None:
        answered = self._waiting.get(answer.call)
        if answered is None or answered.done():
            return
        if answer.error is not None:
            answered.set_exception(TaskpathError.of(answer.error))
        elif answer.body is not None:
            answered.set_result(answer.body)


def _unreachable() -> TaskpathError:
    return TaskpathError(ErrorCode.UNAVAILABLE, "The broker cannot be reached right now; try again.")


def answer(call: Call, result: Response | TaskpathError) -> Answer:
    """The answer to a call."""
    if isinstance(result, TaskpathError):
        return Answer(call=call.call, error=result.info)
    return Answer(call=call.call, body=result)


def _whom(mailbox: str) -> str:
    """Who reads a mailbox, as people call it."""
    return "The scheduler" if mailbox.startswith("scheduler.") else "The storage"
