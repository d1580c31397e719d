"""Asking: a call to a mailbox, and the wait for its answer."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from typing import TypeVar

from taskpath.runtime.bus import Bus, BusClosed
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.calls import Answer, Call, Command, Query, Response
from taskpath_proto.errors import ErrorCode, TaskpathError

R = TypeVar("R", bound=Response)


class Caller(Service):
    """Makes calls and matches answers to them.

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
        self._queue = topology.reply_queue(f"{name}.{uuid.uuid4().hex[:12]}")
        self._timeout = timeout
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Response]] = {}

    async def ask(
        self, mailbox: str, body: Command | Query, expected: type[R], timeout: float | None = None
    ) -> R:
        """Sends a call and returns its answer.

        Args:
            mailbox: whom to ask.
            body: the command or query.
            expected: the type of the answer.
            timeout: in seconds, if not the caller's own.

        Raises:
            TaskpathError: the answer is an error, or UNAVAILABLE if none came in time.
        """
        limit = self._timeout if timeout is None else timeout
        number = next(self._numbers)
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answered
        call = Call(
            body=body, reply_to=self._queue, call=number, deadline=self._clock.now() + round(limit * 1000)
        )
        try:
            async with asyncio.timeout(limit):
                await self._bus.send(mailbox, call)
                response = await answered
        except TimeoutError:
            raise TaskpathError(
                ErrorCode.UNAVAILABLE, f"{mailbox} gave no answer within {limit:g} s; try again."
            ) from None
        except BusClosed:
            raise TaskpathError(ErrorCode.UNAVAILABLE, "The system is stopping; try again.") from None
        finally:
            self._waiting.pop(number, None)
        if not isinstance(response, expected):
            raise TypeError(f"{mailbox} answered {type(response).__name__} where {expected.__name__} is due")
        return response

    async def on_start(self) -> None:
        """Opens the reply queue."""
        inbox = await self._bus.consume(self._queue)

        async def receive() -> None:
            try:
                while True:
                    delivery = await inbox.take()
                    for message in delivery.messages:
                        if isinstance(message, Answer):
                            self._receive(message)
                    delivery.ack()
            except BusClosed:
                return
            finally:
                await inbox.close()

        self.spawn(receive(), "answers")

    def _receive(self, answer: Answer) -> None:
        answered = self._waiting.get(answer.call)
        if answered is None or answered.done():
            return
        if answer.error is not None:
            answered.set_exception(TaskpathError.of(answer.error))
        elif answer.body is not None:
            answered.set_result(answer.body)


def answer(call: Call, result: Response | TaskpathError) -> Answer:
    """The answer to a call."""
    if isinstance(result, TaskpathError):
        return Answer(call=call.call, error=result.info)
    return Answer(call=call.call, body=result)
