"""What a request brings: body, query parameters, the instance and the task in its address."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, TypeVar

import msgspec
from aiohttp import web

from taskpath_proto import paths
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_services.gateway import strict

T = TypeVar("T", bound=msgspec.Struct)

_SEVERAL: Final = frozenset({"paths"})
_NEXT_PATTERN: Final = re.compile(r",(?=#)")
_MOST_KEY: Final = 255


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of an address that takes none."""


class ReadQuery(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """``minRevision``: the answer has to be at least this new."""

    min_revision: Annotated[int, msgspec.Meta(ge=0)] = 0


async def body(request: web.Request, decoder: msgspec.json.Decoder[T], *, optional: bool = False) -> T:
    """The body of a request.

    Args:
        request: the request.
        decoder: of the type that is expected.
        optional: whether no body at all means an empty object.

    Raises:
        TaskpathError: INVALID_REQUEST.
    """
    text = await request.read()
    if not text and optional:
        return strict.decode(b"{}", decoder, "the body")
    if request.content_type != "application/json":
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST,
            f"The Content-Type is {request.content_type!r}; application/json is expected.",
        )
    return strict.decode(text, decoder, "the body")


def query(request: web.Request, kind: type[T]) -> T:
    """The query parameters of a request.

    Raises:
        TaskpathError: INVALID_REQUEST.
    """
    values: dict[str, Any] = {}
    for name, text in request.query.items():
        if name in _SEVERAL:
            values.setdefault(name, []).extend(_NEXT_PATTERN.split(text))
        elif name in values:
            raise TaskpathError(
                ErrorCode.INVALID_REQUEST, f"The parameter {name!r} is given twice; once is expected."
            )
        else:
            values[name] = text
    return strict.convert(values, kind)


def instance(request: web.Request) -> str:
    """The instance in the address."""
    return request.match_info["id"]


def task(request: web.Request) -> str:
    """The task in the address.

    Raises:
        TaskpathError: INVALID_PATH.
    """
    path = request.match_info["path"]
    paths.split(path)
    return path


def idempotency_key(request: web.Request) -> str | None:
    """The ``Idempotency-Key`` of a request.

    Raises:
        TaskpathError: INVALID_REQUEST.
    """
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (1 <= len(key) <= _MOST_KEY):
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST,
            f"The Idempotency-Key has {len(key)} characters; 1 to {_MOST_KEY} are expected.",
        )
    return key
