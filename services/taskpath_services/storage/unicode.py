"""Text that can be encoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def cleaned(message: T) -> T:
    """The message with what is no Unicode text replaced.

    Messages come undecoded over the bus of one process, and an author's text may hold half a surrogate pair.
    """
    return msgspec.convert(_cleaned(msgspec.to_builtins(message)), type(message))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_cleaned(item) for item in value]
    return value
