"""What an error is over HTTP: a status, a JSON body with a stable code, and never a stack trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec.structs import replace

from taskpath.runtime.bus import BusClosed, BusLost
from taskpath_proto.errors import ErrorCode, ErrorInfo, TaskpathError
from taskpath_proto.packets import ErrorBody, ErrorResponse

log = structlog.get_logger("taskpath.gateway")

STATUSES: Final[Mapping[ErrorCode, int]] = {
    ErrorCode.INVALID_REQUEST: 400,
    ErrorCode.INVALID_PATH: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.UNKNOWN_INSTANCE: 404,
    ErrorCode.UNKNOWN_WORKFLOW: 404,
    ErrorCode.CANNOT_FIND_TASK: 404,
    ErrorCode.CANNOT_START_TASK: 409,
    ErrorCode.ALREADY_RUNNING: 409,
    ErrorCode.CONFLICT: 409,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.INVALID_DATA: 422,
    ErrorCode.SCHEDULER_ERROR: 422,
    ErrorCode.EXECUTION_FAILED: 422,
    ErrorCode.TOO_MANY_REQUESTS: 429,
    ErrorCode.UNAVAILABLE: 503,
    ErrorCode.NO_EXECUTOR: 503,
}

_RETRY_AFTER: Final[Mapping[ErrorCode, str]] = {
    ErrorCode.UNAVAILABLE: "1",
    ErrorCode.NO_EXECUTOR: "5",
    ErrorCode.TOO_MANY_REQUESTS: "1",
}

UNREACHABLE: Final = "The broker cannot be reached right now; try again."

MOST_MESSAGE: Final = 2_000
"""How many characters an error's message has at most."""

_GONE: Final = ErrorInfo(ErrorCode.INVALID_REQUEST, "The client has gone.")

_encode = msgspec.json.Encoder().encode


def response(info: ErrorInfo, status: int | None = None) -> web.Response:
    """The response for an error; ``status`` in place of the one that belongs to its code."""
    headers = {"Cache-Control": "no-store"}
    if (wait := _RETRY_AFTER.get(info.code)) is not None:
        headers["Retry-After"] = wait
    return web.Response(
        status=STATUSES[info.code] if status is None else status,
        body=_encode(ErrorResponse(ErrorBody.of(info))),
        content_type="application/json",
        headers=headers,
    )


def info_of(error: Exception, doing: str) -> ErrorInfo:
    """What a caller is told of any error. One that nobody expected is written to the log, and only there.

    Args:
        error: what was raised.
        doing: what was being done, for the log.
    """
    if isinstance(error, TaskpathError):
        return _short(error.info)
    if isinstance(error, BusClosed):
        return ErrorInfo(ErrorCode.UNAVAILABLE, "The system is stopping; try again.")
    if isinstance(error, BusLost):
        return ErrorInfo(ErrorCode.UNAVAILABLE, UNREACHABLE)
    if isinstance(error, (OverflowError, UnicodeEncodeError)):
        # What came in was readable and does not fit into a message.
        return ErrorInfo(ErrorCode.INVALID_REQUEST, "A number or a text of the call is out of range.")
    log.error("unexpected error", doing=doing, exc_info=error)
    return ErrorInfo(ErrorCode.UNAVAILABLE, "Something went wrong in the gateway; its log says what.")


def _short(info: ErrorInfo) -> ErrorInfo:
    """The error without the better part of what somebody has sent for a name or a path."""
    if len(info.message) <= MOST_MESSAGE and (info.path is None or len(info.path) <= MOST_MESSAGE):
        return info
    half = MOST_MESSAGE // 2
    message = info.message
    if len(message) > MOST_MESSAGE:
        message = f"{message[:half]}…{message[-half:]}"
    return replace(info, message=message, path=info.path[:MOST_MESSAGE] if info.path else None)


def _of_http(error: web.HTTPException) -> web.Response:
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return response(ErrorInfo(ErrorCode.TOO_LARGE, "The body is larger than TASKPATH_MAX_BODY allows."))
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        info = ErrorInfo(
            ErrorCode.INVALID_REQUEST, f"{error.method} is not possible here; possible: {allowed}."
        )
        refused = response(info, error.status)
        refused.headers["Allow"] = allowed
        return refused
    if error.status == 404:
        return response(ErrorInfo(ErrorCode.INVALID_REQUEST, "There is nothing at this address."), 404)
    return response(ErrorInfo(ErrorCode.INVALID_REQUEST, f"{error.reason}."), error.status)


def answering() -> Middleware:
    """The middleware that turns whatever is raised into a response."""

    @web.middleware
    async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return _of_http(error)
        except ConnectionResetError as error:
            if request.transport is None or request.transport.is_closing():
                return response(_GONE)  # which nobody reads
            return response(info_of(error, f"{request.method} {request.path}"))
        except Exception as error:
            return response(info_of(error, f"{request.method} {request.path}"))

    return answer_errors
