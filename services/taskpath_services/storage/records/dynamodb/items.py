"""Fields of records as attributes of items, and back.

A short field is text, for people; a long one is compressed, because an item has at most 400 KB and each KB is
paid for.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

from taskpath_services.storage.records.dynamodb.table import Item

LONG: Final = 4 * 1024
"""Fields of more bytes are compressed."""


def attribute(text: str) -> dict[str, Any]:
    """A field's text as an attribute."""
    if len(text) * 4 <= LONG:
        return {"S": text}
    raw = text.encode()
    return {"S": text} if len(raw) <= LONG else {"B": zlib.compress(raw, 1)}


def number(value: int) -> dict[str, str]:
    """A number as an attribute."""
    return {"N": str(value)}


def text_of(attribute: dict[str, Any]) -> bytes | None:
    """The field's text in an attribute; None if it is none."""
    for kind, value in attribute.items():
        if kind == "S":
            return str(value).encode()
        if kind == "N":
            return str(value).encode()
        if kind == "B":
            return zlib.decompress(value)
    return None


def fields_of(item: Item) -> Iterator[tuple[bytes, bytes | None]]:
    """The fields in an item."""
    for name, value in item.items():
        yield name.encode(), text_of(value)


def int_of(item: Item, name: str, default: int = 0) -> int:
    """A number of an item."""
    found = item.get(name)
    return default if found is None else int(found["N"])


class Update:
    """What an update does to the attributes of an item, as an expression."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._sets: list[str] = []
        self._removes: list[str] = []

    def name(self, attribute: str) -> str:
        """The placeholder of an attribute's name."""
        return self._names.setdefault(attribute, f"#n{len(self._names)}")

    def value(self, value: dict[str, Any]) -> str:
        """A new placeholder of a value."""
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = value
        return placeholder

    def set(self, attribute: str, value: dict[str, Any]) -> None:
        """Sets an attribute."""
        self._sets.append(f"{self.name(attribute)} = {self.value(value)}")

    def remove(self, attributes: Iterable[str]) -> None:
        """Removes attributes."""
        self._removes.extend(map(self.name, attributes))

    def request(self, key: tuple[str, str], condition: str | None = None) -> dict[str, Any]:
        """The action; a condition uses the placeholders of this update."""
        parts = []
        if self._sets:
            parts.append("SET " + ", ".join(self._sets))
        if self._removes:
            parts.append("REMOVE " + ", ".join(self._removes))
        request: dict[str, Any] = {
            "Key": {"pk": {"S": key[0]}, "sk": {"S": key[1]}},
            "UpdateExpression": " ".join(parts),
            "ExpressionAttributeNames": {placeholder: name for name, placeholder in self._names.items()},
        }
        if self._values:
            request["ExpressionAttributeValues"] = self._values
        if condition is not None:
            request["ConditionExpression"] = condition
        return request


def older_than(at: int) -> dict[str, Any]:
    """The condition that an item was not written by a commit with this number or a later one."""
    return {
        "ConditionExpression": "attribute_not_exists(#at) OR #at < :at",
        "ExpressionAttributeNames": {"#at": "at"},
        "ExpressionAttributeValues": {":at": number(at)},
    }
