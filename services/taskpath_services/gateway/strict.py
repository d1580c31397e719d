"""JSON from outside, taken strictly: into its type, every field known and given once, every value readable.

What callers pass as values stays the text that they sent. It is read once here all the same, so that a number
out of range or a broken text is refused at the door and not found by an executor later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from taskpath_proto.errors import ErrorCode, TaskpathError

T = TypeVar("T", bound=msgspec.Struct)

_MOST_CLAUSE: Final = 500


class _Name(str):
    """A field's name that equals nothing but itself, so that a dict keeps a second one of the same text."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


def _name(_: type, text: Any) -> _Name:
    return _Name(text)


_fields: Final = msgspec.json.Decoder(dict[_Name, msgspec.Raw], dec_hook=_name)
_anything: Final = msgspec.json.Decoder()
_canonical: Final = msgspec.json.Encoder(order="deterministic")


def decode(text: bytes, decoder: msgspec.json.Decoder[T], what: str) -> T:
    """The struct that the JSON text stands for, every field given once and every value readable.

    Args:
        text: UTF-8.
        decoder: of the type that is expected.
        what: what the text is, as an error says it: ``the body``, ``the packet``.

    Raises:
        TaskpathError: INVALID_REQUEST, naming the field and what is expected.
    """
    decoded = read(text, decoder, what)
    seen: set[str] = set()
    try:
        for name, value in _fields.decode(text).items():
            plain = str.__str__(name)
            if plain in seen:
                raise _invalid(f"{what} has the field `{plain[:100]}` twice; each is expected once")
            seen.add(plain)
            _anything.decode(value)
    except RecursionError:
        raise _invalid(f"{what} is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _invalid(f"{what} has a value that cannot be read: {_clause(error)}") from None
    return decoded


def read(text: bytes, decoder: msgspec.json.Decoder[T], what: str) -> T:
    """The struct that the JSON text stands for; arguments and errors as those of :func:`decode`."""
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise _invalid(f"{what} is not as expected: {_clause(error)}{_known(error, decoder.type)}") from None
    except RecursionError:
        raise _invalid(f"{what} is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _invalid(f"{what} is no valid JSON: {_clause(error)}") from None


def convert(values: Mapping[str, Any], kind: type[T]) -> T:
    """The struct that query parameters stand for.

    Raises:
        TaskpathError: INVALID_REQUEST, naming the parameter and what is expected.
    """
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        clause = _clause(error).replace("object contains unknown field", "there is no parameter")
        raise _invalid(f"A query parameter is wrong: {clause}{_known(error, kind)}") from None


def canonical(text: bytes) -> bytes:
    """The same JSON without the choices that mean nothing: order of fields, blanks, escapes."""
    return _canonical.encode(_anything.decode(text))


def _invalid(message: str) -> TaskpathError:
    return TaskpathError(ErrorCode.INVALID_REQUEST, f"{message[:1].upper()}{message[1:]}.")


def _clause(error: Exception) -> str:
    text = str(error)
    if len(text) > _MOST_CLAUSE:
        text = f"{text[: _MOST_CLAUSE // 2]}…{text[-_MOST_CLAUSE // 2 :]}"
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _known(error: msgspec.ValidationError, kind: Any) -> str:
    """The fields that there are, when one was found that is not; of a union the error has no say."""
    if "unknown field" not in str(error) or " - at " in str(error) or not isinstance(kind, type):
        return ""
    return "; expected are " + ", ".join(getattr(kind, "__struct_encode_fields__", ()))
