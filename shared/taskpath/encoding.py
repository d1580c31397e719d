"""What JSON makes of an author's value, and what it refuses.

msgspec writes NaN as null and bytes as base64 without a word. So a value of plain JSON types is recognised
first, mostly by sets of types, which costs a microsecond for a small object, and written by msgspec; anything
else goes through the slower encoder of the standard library, which asks about each part it does not
know. There dataclasses and Structs become objects, dates and times ISO text, enumerations their values.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import re
import uuid
from collections.abc import Iterable
from dataclasses import is_dataclass
from typing import Any, Final

import msgspec

from taskpath.frozen import FrozenDict, FrozenList

MAX_DEPTH: Final = 300
"""How deep a value may be nested: whoever reads it later still has room to go down, too."""

_PLAIN: Final = frozenset({str, int, bool, type(None)})
_PLAIN_OR_FLOAT: Final = _PLAIN | {float}
_LISTS: Final[frozenset[type]] = frozenset((list, tuple, FrozenList))
_DICTS: Final[frozenset[type]] = frozenset((dict, FrozenDict))
_CONTAINERS: Final = _LISTS | _DICTS
_KEYS: Final = frozenset({str})
_BINARY: Final = (bytes, bytearray, memoryview)
_WORDS: Final = (
    datetime.datetime,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    uuid.UUID,
    decimal.Decimal,
    enum.Enum,
)

_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]')
_TOO_DEEP: Final = f"the value is nested deeper than {MAX_DEPTH} levels, or contains itself"

_fast = msgspec.json.Encoder()


class NotJSON(TypeError):
    """The value has a part that JSON has no form for; the message names its type."""


def encode(value: Any) -> str:
    """The JSON text of a value.

    Raises:
        NotJSON: it contains NaN, Infinity, bytes, an unknown type, half a surrogate pair, or itself, or is
            nested deeper than :data:`MAX_DEPTH`.
    """
    try:
        if value is None:
            return "null"
        if _is_plain((value,), MAX_DEPTH):
            return _fast.encode(value).decode()
        text = _careful.encode(value)
        text.encode()
        _check_depth(text)
        return text
    except RecursionError:
        raise NotJSON(_TOO_DEEP) from None
    except UnicodeEncodeError:
        raise NotJSON(
            "the value contains text with half a surrogate pair, which UTF-8 has no form for"
        ) from None
    except NotJSON:
        raise
    except ValueError as error:
        raise NotJSON(
            f"the value contains NaN or Infinity (float), which JSON has no form for: {error}"
        ) from None
    except TypeError as error:
        raise NotJSON(f"JSON has no form for the value: {error}") from None


def _is_plain(values: Iterable[Any], depth: int) -> bool:
    """Whether msgspec's encoder writes these values just as JSON means them.

    Raises:
        RecursionError: they are nested deeper than ``depth``.
    """
    kinds = set(map(type, values))
    if kinds <= _PLAIN:
        return True
    if not kinds <= _PLAIN_OR_FLOAT and not kinds <= _PLAIN_OR_FLOAT | _CONTAINERS:
        return False
    for value in values:
        kind = type(value)
        if kind in _CONTAINERS and depth == 0:
            raise RecursionError
        if kind in _DICTS:
            if not set(map(type, value)) <= _KEYS or not _is_plain(value.values(), depth - 1):
                return False
        elif kind in _LISTS:
            if not _is_plain(value, depth - 1):
                return False
        elif kind is float and not math.isfinite(value):
            return False
    return True


def _check_depth(text: str) -> None:
    depth = 0
    # Fewer brackets than may be nested cannot be nested too deep.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    for match in _BRACKETS.finditer(text):
        first = match[0]
        if first in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise NotJSON(_TOO_DEEP)
        elif first in "]}":
            depth -= 1


def _form_of(part: Any) -> Any:
    """What stands for a part that the standard library's encoder does not know."""
    if isinstance(part, (msgspec.Struct, *_WORDS)) or (is_dataclass(part) and not isinstance(part, type)):
        return msgspec.to_builtins(part, builtin_types=_BINARY, enc_hook=_refuse, str_keys=True)
    return _refuse(part)


def _refuse(part: Any) -> Any:
    if isinstance(part, (set, frozenset)):
        raise NotJSON(f"a {type(part).__name__} has no order and JSON no form for it; return a list")
    if callable(getattr(part, "__await__", None)):
        raise NotJSON(f"JSON has no form for a {type(part).__name__}; it was not awaited")
    kind = type(part)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    raise NotJSON(f"JSON has no form for a value of type {name}")


_careful = json.JSONEncoder(
    allow_nan=False, ensure_ascii=False, check_circular=False, separators=(",", ":"), default=_form_of
)
