"""What a request brings: body, query parameters, the instance and the task in its address."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

from taskpath_proto import paths
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.packets import Revision
from taskpath_services.gateway import strict

T = TypeVar("T", bound=msgspec.Struct)

BODY_SECONDS: Final = 120.0
"""How long a body may take to come."""

_SEVERAL: Final = frozenset({"logs", "paths"})
_NEXT_PATTERN: Final = re.compile(r",(?=#)")
_MOST_KEY: Final = 255
_MOST_REALM: Final = 200


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of an address that takes none."""


class ReadQuery(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The query of what can be read at a revision.

    Attributes:
        min_revision: The answer has to be at least this new.
    """

    min_revision: Revision = 0


async def body(request: web.Request, decoder: msgspec.json.Decoder[T], *, optional: bool = False) -> T:
    """The body of a request.

    Args:
        request: the request.
        decoder: of the type that is expected.
        optional: whether no body at all means an empty object.

    Raises:
        TaskpathError: INVALID_REQUEST.
    """
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST, f"The Content-Encoding is {encoding!r}; plain JSON is expected."
        )
    try:
        async with asyncio.timeout(BODY_SECONDS):
            text = await request.read()
    except TimeoutError:
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST, f"The body has not come within {BODY_SECONDS:g} s."
        ) from None
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


def realm(request: web.Request) -> str:
    """The realm in the address.

    Raises:
        TaskpathError: INVALID_REQUEST.
    """
    name = request.match_info["realm"]
    if len(name) > _MOST_REALM:
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST,
            f"The realm has {len(name)} characters; at most {_MOST_REALM} are expected.",
        )
    return name


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
    keys = request.headers.getall("Idempotency-Key", [])
    if len(keys) > 1:
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST, f"There are {len(keys)} Idempotency-Keys; one is expected."
        )
    key = keys[0] if keys else None
    if key is not None and not (1 <= len(key) <= _MOST_KEY):
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST,
            f"The Idempotency-Key has {len(key)} characters; 1 to {_MOST_KEY} are expected.",
        )
    if key is not None and not key.isprintable():
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST, f"The Idempotency-Key is {key!r}; printable text is expected."
        )
    return key
