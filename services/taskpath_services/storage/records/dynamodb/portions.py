"""Portions of a list, so large that one request takes each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

T = TypeVar("T")

REQUEST_BYTES: Final = 600_000
"""What one request holds. DynamoDB takes more, and nobody else's request would come through meanwhile."""


def portions(
    entries: Iterable[T], count: int, most: int = REQUEST_BYTES, size_of: Callable[[T], int] | None = None
) -> Iterator[list[T]]:
    """Portions of so many entries and so many bytes at most; one that is too large is alone.

    Args:
        entries: what is divided.
        count: entries in a portion.
        most: bytes in a portion.
        size_of: the size of an entry, if it is no item or action.
    """
    portion: list[T] = []
    size = 0
    for entry in entries:
        weight = (size_of or weight_of)(entry)
        if portion and (len(portion) >= count or size + weight > most):
            yield portion
            portion, size = [], 0
        portion.append(entry)
        size += weight
    if portion:
        yield portion


def weight_of(value: Any) -> int:
    """About how many bytes an item or an action takes in a request."""
    if isinstance(value, bytes):
        return len(value) * 4 // 3
    if isinstance(value, str):
        return len(value) + 8
    if isinstance(value, dict):
        return sum(len(name) + 8 + weight_of(part) for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return sum(map(weight_of, value))
    return 8
