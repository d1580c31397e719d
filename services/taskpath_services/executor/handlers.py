"""Calling the handlers that an author registered for what happens to an instance."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from taskpath.app import App
from taskpath.calls import AuthorFunction, call_shape, describe
from taskpath.runtime.clock import Clock
from taskpath.runtime.service import Service
from taskpath_proto.errors import ErrorCode, ErrorInfo, TaskpathError
from taskpath_proto.plan import Handler
from taskpath_proto.records import InstanceStatus
from taskpath_proto.work import HandlerFinished, RunHandler
from taskpath_services.executor.author_calls import AuthorCalls
from taskpath_services.executor.holding import Held
from taskpath_services.executor.outcome import message_of, traceback_of
from taskpath_services.executor.reports import Reports

log = structlog.get_logger("taskpath.executor")


class Handlers(Service):
    """Calls handlers for owners. Those of a kind are called at the same time, and one that fails stops no
    other.

    Args:
        app: which handlers there are.
        clock: for their time limit.
        reports: tells the owners.
    """

    def __init__(self, app: App, clock: Clock, reports: Reports) -> None:
        super().__init__("handlers")
        self._app = app
        self._clock = clock
        self._calls = AuthorCalls(clock)
        self._reports = reports

    @property
    def idle(self) -> bool:
        """Whether no handler runs."""
        return not self._tasks

    def take(self, request: RunHandler, held: Held) -> None:
        """Calls the handlers of a kind and reports that it was done, or which one failed.

        Args:
            request: the request.
            held: settled when the report is confirmed.
        """
        self.spawn(self._run(request, held), f"{request.handler} handlers")

    async def drain(self, limit: asyncio.Future[None]) -> None:
        """Lets the calls that are under way end, until the limit. What is cut short then comes again."""
        while self._tasks and not limit.done():
            await asyncio.wait((limit, *self._tasks), return_when=asyncio.FIRST_COMPLETED)

    async def on_stop(self) -> None:
        """Lets the threads of the calls go."""
        self._calls.close()

    async def _run(self, request: RunHandler, held: Held) -> None:
        arguments = arguments_of(request)
        handlers = self._app.handlers(request.handler)
        errors = await asyncio.gather(*(self._call(handler, arguments) for handler in handlers))
        failures = [
            (handler, error) for handler, error in zip(handlers, errors, strict=True) if error is not None
        ]
        for handler, error in failures:
            log.warning(
                "a handler failed",
                instance=request.id,
                handler=describe(handler),
                kind=request.handler,
                error=f"{type(error).__name__}: {message_of(error)}",
            )
        report = HandlerFinished(
            id=request.id,
            epoch=request.epoch,
            command=request.command,
            error=failure(request.handler, *failures[0]) if failures else None,
        )
        self._reports.send(request.partition, report, held.settle)

    async def _call(self, handler: AuthorFunction, arguments: tuple[Any, ...]) -> BaseException | None:
        shape = call_shape(handler, len(arguments), whole=True)
        try:
            await self._calls.call(handler, arguments[: shape.arity], is_async=shape.is_async)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            return error
        return None


def arguments_of(request: RunHandler) -> tuple[Any, ...]:
    """What the handlers of a request are called with."""
    if request.handler is Handler.ERROR:
        error = request.error or ErrorInfo(ErrorCode.EXECUTION_FAILED, "The instance has failed.")
        return request.id, TaskpathError.of(error)
    if request.handler is Handler.COMPLETE:
        return request.id, request.status or InstanceStatus.DONE
    return (request.id,)


def failure(kind: Handler, handler: AuthorFunction, error: BaseException) -> ErrorInfo:
    """What an owner is told about a handler that failed."""
    return ErrorInfo(
        code=ErrorCode.EXECUTION_FAILED,
        message=f"The handler {describe(handler)} of on_{kind} failed: {message_of(error).rstrip('.')}.",
        type=type(error).__name__,
        traceback=traceback_of(error),
    )
