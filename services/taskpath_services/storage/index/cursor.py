"""Where a page of instances ended, as text that clients pass back and do not look into."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec

from taskpath_proto.errors import ErrorCode, TaskpathError

MAX_CURSOR: Final = 1_000


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last instance of a page."""

    created_at: int
    id: str


_decoder: Final = msgspec.msgpack.Decoder(Cursor)


def encode(cursor: Cursor) -> str:
    """The cursor as text."""
    return urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode().rstrip("=")


def decode(text: str) -> Cursor:
    """The cursor of a text.

    Raises:
        TaskpathError: INVALID_REQUEST, the text is no cursor.
    """
    try:
        if len(text) > MAX_CURSOR:
            raise ValueError("too long")
        cursor = _decoder.decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        cursor.id.encode()
        if not -(2**63) <= cursor.created_at < 2**63:
            raise ValueError("no time")
    except (ValueError, msgspec.MsgspecError):
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST,
            "The cursor is not one of ours; pass the nextCursor of the page before.",
        ) from None
    return cursor
