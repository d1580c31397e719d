"""A route: what a call takes and what it answers, said once, for serving it and for describing it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec
from aiohttp import web

from taskpath_proto.errors import ErrorCode
from taskpath_services.gateway.rest import incoming
from taskpath_services.gateway.rest.responses import document

API: Final = "/api/v1"

Q = TypeVar("Q", bound=msgspec.Struct)
B = TypeVar("B", bound=msgspec.Struct)
A = TypeVar("A", bound=msgspec.Struct)

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
_PART: Final = re.compile(r"{(\w+)}")


class Asked(Generic[Q, B]):
    """A call that has come.

    Attributes:
        request: as it came.
        query: its parameters.
        body: what it brought; of a route without one, an empty struct.
    """

    __slots__ = ("body", "query", "request")

    def __init__(self, request: web.Request, query: Q, body: B) -> None:
        self.request = request
        self.query = query
        self.body = body

    @property
    def instance(self) -> str:
        """The instance in its address."""
        return self.request.match_info["id"]

    @property
    def task(self) -> str:
        """The task in its address.

        Raises:
            TaskpathError: INVALID_PATH.
        """
        return incoming.task(self.request)

    @property
    def key(self) -> str | None:
        """Its ``Idempotency-Key``.

        Raises:
            TaskpathError: INVALID_REQUEST.
        """
        return incoming.idempotency_key(self.request)


class Reply(NamedTuple, Generic[A]):
    """What is answered, and headers beside it."""

    body: A
    headers: Mapping[str, str] = {}


class NoBody(msgspec.Struct, frozen=True):
    """What a call brings that brings nothing."""


_NOTHING: Final = NoBody()


@dataclass(frozen=True, kw_only=True)
class Route(Generic[Q, B, A]):
    """One call.

    Attributes:
        method: of HTTP.
        path: the address, parts in braces.
        does: what it does, in a line.
        query: what parameters it takes.
        body: what it brings.
        optional: whether it may bring nothing, which means an empty object.
        handler: answers it.
        keyed: whether it takes an ``Idempotency-Key``.
        headers: further headers that it takes: name and what it means.
        status: of a success.
        answers: what a success says, one of these; none if it has no body, or is not JSON.
        media: the content type of a success.
        refuses: the codes that belong to this call, beside those that any call may get.
    """

    method: str
    path: str
    does: str
    handler: Callable[[Asked[Q, B]], Awaitable[Reply[A] | web.StreamResponse]]
    query: type[Q]
    body: type[B]
    answers: tuple[type[A], ...] = ()
    optional: bool = False
    keyed: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    media: str = JSON
    refuses: tuple[ErrorCode, ...] = ()

    def serving(self) -> web.RouteDef:
        """The route as aiohttp serves it."""
        decoder: msgspec.json.Decoder[B] = msgspec.json.Decoder(self.body)

        async def serve(request: web.Request) -> web.StreamResponse:
            query = incoming.query(request, self.query)
            body: Any = _NOTHING
            if self.body is not NoBody:
                body = await incoming.body(request, decoder, optional=self.optional)
            answer = await self.handler(Asked(request, query, body))
            if isinstance(answer, Reply):
                return document(answer.body, self.status, answer.headers)
            return answer

        path = _PART.sub(r"{\1:[^/]+}", self.path)
        if self.method == "GET":
            return web.get(path, serve, allow_head=self.media != EVENT_STREAM)
        return web.route(self.method, path, serve)
