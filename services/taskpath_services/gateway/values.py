"""Values on their way through: taken from requests as text, put into answers as text, never decoded."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Raw

from taskpath.runtime.caller import Caller
from taskpath_proto import topology
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.packets import ValueRef
from taskpath_proto.paths import ROOT
from taskpath_proto.queries import BlobPut, PutBlob, ReadValue, ValueRead
from taskpath_proto.values import INLINE_BYTES, Blob, Inline, Joined, Stored, Value, size_of

SHOWN_BYTES: Final = 1024 * 1024
"""A larger value is not shown in place but by a reference."""

_NULL: Final = Raw(b"null")
_encode = msgspec.json.Encoder().encode


class Values:
    """Takes values in and shows them.

    Args:
        caller: for storage.
        most: the size that a value may have, in bytes.
        timeout: of a call, in seconds.
    """

    def __init__(self, caller: Caller, most: int, timeout: float) -> None:
        self._caller = caller
        self._most = most
        self._timeout = timeout

    async def take(self, raw: Raw, instance: str, name: str) -> Value:
        """The value that a request brought; a large one is stored first.

        Args:
            raw: JSON text that has been checked.
            instance: whose value it is.
            name: what it is of the instance: ``data``, ``context``, ``argument``.

        Raises:
            TaskpathError: TOO_LARGE, UNAVAILABLE.
        """
        text = bytes(raw)
        if len(text) > self._most:
            raise TaskpathError(
                ErrorCode.TOO_LARGE, f"The {name} has {len(text)} bytes; at most {self._most} are possible."
            )
        if len(text) <= INLINE_BYTES:
            return Inline(text.decode())
        # The version is the content's own number: a repeated request stores the same again, and one that
        # comes with the same idempotency key and another content does not overwrite what the first stored.
        version = int.from_bytes(blake2b(text, digest_size=6).digest(), "big")
        put = await self._caller.ask(
            topology.QUERIES,
            PutBlob(id=instance, path=ROOT, name=name, version=version, json=text.decode()),
            BlobPut,
            self._timeout,
        )
        return put.value

    async def show(self, value: Value | None, instance: str, ref: str, revision: int = 0) -> Raw:
        """The value as it stands in an answer: its text, or what it is called and its size.

        Args:
            value: what is to be shown; None is ``null``.
            instance: whose value it is.
            ref: what a large value is called.
            revision: storage answers when it is at least this far.

        Raises:
            TaskpathError: UNAVAILABLE.
        """
        if value is None:
            return _NULL
        if isinstance(value, Inline):
            return Raw(value.json.encode())
        if (size := size_of(value)) > SHOWN_BYTES:
            return Raw(_encode(ValueRef(ref=ref, size=size)))
        text = (await self.read(value, instance, revision)).encode()
        return Raw(text) if len(text) <= SHOWN_BYTES else Raw(_encode(ValueRef(ref=ref, size=len(text))))

    async def read(self, value: Value, instance: str, revision: int = 0) -> str:
        """The JSON text of a value.

        Raises:
            TaskpathError: UNAVAILABLE.
        """
        if isinstance(value, Inline):
            return value.json
        query = ReadValue(id=instance, value=value, min_revision=revision)
        return (await self._caller.ask(topology.QUERIES, query, ValueRead, self._timeout)).json


def ref_of(value: Value | None) -> str:
    """What a value that is not inline is called."""
    if isinstance(value, Blob):
        return f"{value.path}/{value.name}/{value.version}"
    if isinstance(value, (Stored, Joined)):
        return f"{value.path}/body"
    return ""
