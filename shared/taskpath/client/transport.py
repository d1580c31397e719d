"""Requests to a gateway: one session, errors as typed data, and repeats where a repeat does no harm."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec
import yarl

from taskpath_proto.errors import ErrorCode, ErrorInfo, TaskpathError

T = TypeVar("T")

DEFAULT_URL: Final = "http://127.0.0.1:8080"
API: Final = "/api/v1"

FIRST_DELAY: Final = 0.1
MAX_DELAY: Final = 2.0

_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=10, sock_connect=10, sock_read=90)
_BY_STATUS: Final = {
    400: ErrorCode.INVALID_REQUEST,
    401: ErrorCode.UNAUTHENTICATED,
    403: ErrorCode.FORBIDDEN,
    413: ErrorCode.TOO_LARGE,
    429: ErrorCode.TOO_MANY_REQUESTS,
    503: ErrorCode.UNAVAILABLE,
}


class _ErrorBody(msgspec.Struct):
    error: ErrorInfo


def delay(failures: int) -> float:
    """Seconds to wait after so many failures in a row: doubling, with half of it left to chance."""
    longest: float = min(MAX_DELAY, FIRST_DELAY * 2 ** min(failures - 1, 10))
    return longest * random.uniform(0.5, 1.0)


class Transport:
    """The connection of a client to one gateway.

    Args:
        url: of the gateway, ``http://`` or ``https://``; it may have a path. That of the API is added here.
        token: sent as a bearer token, if there is one.
        patience: for how many seconds a request is repeated while the gateway cannot be reached.

    Raises:
        TaskpathError: INVALID_REQUEST, if the URL is none.
    """

    def __init__(self, url: str, token: str | None, patience: float) -> None:
        self.url = url.rstrip("/").removesuffix(API)
        self.patience = patience
        self._token = token
        self._session: aiohttp.ClientSession | None = None
        try:
            parts = urlsplit(self.url)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            valid = False
        if not valid:
            raise TaskpathError(
                ErrorCode.INVALID_REQUEST,
                f"{url!r} is no address of a gateway; expected is something like {DEFAULT_URL}.",
            )

    async def open(self) -> None:
        """Prepares the session; nothing is sent yet."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else None
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_count_connection)
        trace.on_connection_reuseconn.append(_count_connection)
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers, trace_configs=[trace])

    async def close(self) -> None:
        """Ends the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session, while the client is open."""
        if self._session is None:
            raise RuntimeError("The client is not open; use it as in `async with Client() as client:`.")
        return self._session

    async def call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        key: str | None = None,
    ) -> T:
        """Sends a request and decodes the answer.

        Args:
            method: the HTTP method.
            path: under ``/api/v1``, percent-encoded.
            answer: what the answer decodes to.
            query: the query's parameters.
            body: sent as JSON, unless it is None.
            key: an idempotency key: a repeat with it does no harm.

        Raises:
            TaskpathError: the gateway refused, or could not be reached.
        """
        raw = await self.fetch(method, path, query=query, body=body, key=key)
        if answer is type(None):
            return None
        return self.decode(raw, answer)

    def decode(self, raw: bytes, answer: type[T]) -> T:
        """What an answer says.

        Raises:
            TaskpathError: UNAVAILABLE, if no gateway would have said it.
        """
        try:
            return msgspec.json.decode(raw, type=answer)
        except msgspec.MsgspecError as error:
            raise self._stranger(f"its answer cannot be read: {error}") from error

    async def fetch(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        key: str | None = None,
    ) -> bytes:
        """Sends a request and returns the answer as it came; see :meth:`call`."""
        url = yarl.URL(self.url + API + path, encoded=True)
        if query:
            url = url.with_query(query)
        headers = {}
        data: bytes | None = None
        if method in ("POST", "PUT", "PATCH"):
            data = msgspec.json.encode({} if body is None else body)
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        harmless = key is not None or method in ("GET", "DELETE", "PUT")
        started, failures, sent = time.monotonic(), 0, _Sent()
        while True:
            wait = 0.0
            try:
                async with self.session.request(
                    method, url, data=data, headers=headers, trace_request_ctx=sent
                ) as response:
                    raw = await response.read()
                if response.status < 400:
                    return raw
                error = self._refusal(response.status, raw)
                if method == "DELETE" and sent.times > 1 and response.status == 404:
                    return b""  # the request before was carried out, only its answer was lost
                if error.code is not ErrorCode.UNAVAILABLE or response.status < 500:
                    raise error
                wait = _seconds(response.headers.get("Retry-After"))
            except aiohttp.ClientSSLError as reason:
                raise self.unreachable(reason) from reason
            except aiohttp.ClientConnectorError as reason:
                error = self.unreachable(reason)
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as reason:
                error = self.unreachable(reason)
                if not harmless:
                    raise error from reason
            failures += 1
            wait = max(wait, delay(failures))
            if time.monotonic() - started + wait > self.patience:
                raise error
            await asyncio.sleep(wait)

    def unreachable(self, reason: BaseException) -> TaskpathError:
        """The error for a gateway that cannot be reached."""
        if isinstance(reason, aiohttp.ClientConnectorCertificateError):
            why = f"its certificate is not trusted: {reason.certificate_error}"
        elif isinstance(reason, aiohttp.ClientConnectorSSLError):
            wrong: str = getattr(reason.os_error, "reason", None) or "an error"
            why = f"TLS fails: {wrong.replace('_', ' ').lower()}"
        elif isinstance(reason, aiohttp.ClientConnectorError):
            number = reason.os_error.errno
            why = (os.strerror(number) if number is not None and number > 0 else str(reason.os_error)).lower()
        else:
            why = str(reason).lower()
            if isinstance(reason, TimeoutError):
                why = why or "it does not answer"
        why = why or type(reason).__name__
        return TaskpathError(ErrorCode.UNAVAILABLE, f"No gateway answers at {self.url} ({why}).")

    def _refusal(self, status: int, raw: bytes) -> TaskpathError:
        try:
            return TaskpathError.of(msgspec.json.decode(raw, type=_ErrorBody).error)
        except msgspec.MsgspecError:
            if status in _BY_STATUS:
                return TaskpathError(_BY_STATUS[status], f"The gateway at {self.url} answers with {status}.")
            return self._stranger(f"it answers with {status}")

    def _stranger(self, why: str) -> TaskpathError:
        return TaskpathError(
            ErrorCode.UNAVAILABLE, f"What listens at {self.url} is no Taskpath gateway: {why}."
        )


class _Sent:
    """How many times a request may have reached the gateway: aiohttp repeats some by itself."""

    def __init__(self) -> None:
        self.times = 0


async def _count_connection(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _params: object
) -> None:
    if isinstance(context.trace_request_ctx, _Sent):
        context.trace_request_ctx.times += 1


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isdigit() else 0.0
