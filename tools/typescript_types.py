"""Writes the TypeScript types of packets and bodies, made from the Python ones, which are their source.

Run it after a change of the public contract::

    .venv/bin/python tools/typescript_types.py

A test compares what it would write with what is there.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

import msgspec
from msgspec import inspect as shapes

from taskpath_proto import packets
from taskpath_proto.packets import ClientPackets, ServerPacket

TARGET: Final = Path(__file__).parents[1] / "clients" / "react" / "src" / "core" / "packets.ts"

_HEAD: Final = """\
/**
 * What clients send to a gateway and receive from it: packets of the WebSocket, bodies and documents of REST.
 *
 * Made from proto/taskpath_proto/packets.py by tools/typescript_types.py; change that one and run this one.
 * Times are ms since epoch, durations ms.
 */

/** Any value that JSON can say. */
export type Json = unknown;
"""

_WIDTH: Final = 112
_ATTRIBUTE: Final = re.compile(r"^ {4}(\w+): ", re.MULTILINE)


def _leaves(cls: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    """The packets among the subclasses: those that have none themselves."""
    subclasses = [below for below in cls.__subclasses__() if below.__module__ == packets.__name__]
    if not subclasses:
        yield cls
    for below in subclasses:
        yield from _leaves(below)


def _bodies() -> Iterator[type[msgspec.Struct]]:
    """The structs of REST: those that the module itself defines and whose names say so."""
    for value in vars(packets).values():
        if (
            inspect.isclass(value)
            and issubclass(value, msgspec.Struct)
            and value.__module__ == packets.__name__
            and value.__name__.endswith(("Body", "Document", "View", "Response", "Ref"))
        ):
            yield value


class _Writer:
    """Collects the declarations, each type once, what it needs before it."""

    def __init__(self) -> None:
        self.declarations: dict[str, str] = {}

    def struct(self, cls: type[msgspec.Struct]) -> str:
        name = cls.__name__
        if name in self.declarations:
            return name
        self.declarations[name] = ""  # a struct may hold itself
        shape = shapes.type_info(cls)
        assert isinstance(shape, shapes.StructType)
        summary, about = _documentation(cls)
        lines = [*_comment(summary), f"export interface {name} {{"]
        if shape.tag is not None:
            lines.append(f"  {shape.tag_field}: {_quoted(str(shape.tag))};")
        received = cls.__struct_config__.omit_defaults
        sent = cls.__struct_config__.forbid_unknown_fields
        for field in shape.fields:
            lines += [f"  {line}" for line in _comment(about.get(field.name, ""))]
            optional = not field.required and (received or sent)
            lines.append(f"  {field.encode_name}{'?' if optional else ''}: {self.field(field, optional)};")
        lines.append("}")
        del self.declarations[name]  # after what it needs
        self.declarations[name] = "\n".join(lines)
        return name

    def enum(self, cls: type[Enum]) -> str:
        if cls.__name__ not in self.declarations:
            values = " | ".join(_quoted(str(member.value)) for member in cls)
            text = f"export type {cls.__name__} = {values};"
            if len(text) > _WIDTH:
                values = "\n".join(f"  | {_quoted(str(member.value))}" for member in cls)
                text = f"export type {cls.__name__} =\n{values};"
            self.declarations[cls.__name__] = "\n".join([*_comment(_documentation(cls)[0]), text])
        return cls.__name__

    def field(self, field: shapes.Field, optional: bool) -> str:
        shape = field.type
        if optional and field.default is None and isinstance(shape, shapes.UnionType):
            # What is None by default is left out instead.
            members = tuple(member for member in shape.types if not isinstance(member, shapes.NoneType))
            return self.union(members)
        return self.type(shape)

    def union(self, members: tuple[shapes.Type, ...]) -> str:
        names = dict.fromkeys(map(self.type, members))
        names.pop("", None)
        if "null" in names:
            del names["null"]
            names["null"] = None
        return " | ".join(names)

    def type(self, shape: shapes.Type) -> str:
        match shape:
            case shapes.StrType():
                return "string"
            case shapes.IntType() | shapes.FloatType():
                return "number"
            case shapes.BoolType():
                return "boolean"
            case shapes.NoneType():
                return "null"
            case shapes.AnyType() | shapes.RawType():
                return "Json"
            case shapes.EnumType():
                return self.enum(shape.cls)
            case shapes.StructType():
                return self.struct(shape.cls)
            case shapes.ListType() | shapes.VarTupleType():
                item = self.type(shape.item_type)
                return f"({item})[]" if "|" in item else f"{item}[]"
            case shapes.DictType():
                return f"Record<string, {self.type(shape.value_type)}>"
            case shapes.UnionType():
                return self.union(shape.types)
            case shapes.Metadata():
                return self.type(shape.type)
            case _ if type(shape).__name__ == "UnsetType":
                return ""
        raise TypeError(f"There is no TypeScript for {shape!r}; teach it to {Path(__file__).name}.")


def _documentation(cls: type) -> tuple[str, dict[str, str]]:
    """What a class is, and by field what its ``Attributes`` say, with names as they are in JSON."""
    text = inspect.cleandoc(cls.__doc__ or "")
    summary, _, rest = text.partition("\n\nAttributes:\n")
    parts = _ATTRIBUTE.split(rest)[1:]
    about = {name: _plain(words) for name, words in zip(parts[::2], parts[1::2], strict=True)}
    return _plain(summary), about


def _plain(text: str) -> str:
    text = re.sub(r":\w+:`([^`]*)`", r"`\1`", text).replace("``", "`")
    text = re.sub(r"`(\w+)`", lambda found: f"`{_camel(found[1])}`", text)
    return re.sub(r"\s+", " ", text).strip()


def _camel(name: str) -> str:
    first, *rest = name.strip("_").split("_")
    return first + "".join(part.capitalize() for part in rest)


def _comment(text: str) -> list[str]:
    if not text:
        return []
    text = text[0].upper() + text[1:]
    if len(text) <= _WIDTH - 9:
        return [f"/** {text} */"]
    return ["/**", *textwrap.wrap(text, _WIDTH - 6, initial_indent=" * ", subsequent_indent=" * "), " */"]


def _quoted(text: str) -> str:
    assert re.fullmatch(r"[\w-]+", text), text
    return f"'{text}'"


def _members(union: Any) -> tuple[type[msgspec.Struct], ...]:
    assert get_origin(union) in (Union, UnionType)
    return get_args(union)


def text() -> str:
    """The file."""
    writer = _Writer()
    sent = [writer.struct(cls) for cls in _members(ClientPackets)]
    received = [writer.struct(cls) for cls in _leaves(ServerPacket)]
    # States are encoded once, ahead of their packets; what they are is said here.
    states = writer.struct(packets.TaskState)
    for cls in _bodies():
        writer.struct(cls)
    declarations = "\n\n".join(writer.declarations.values())
    before = declarations
    declarations = declarations.replace(
        "statuses: Record<string, Json>;", f"statuses: Record<string, {states}>;"
    )
    assert declarations != before
    unions = [
        f"/** {about} */\nexport type {name} =\n" + "\n".join(f"  | {member}" for member in members) + ";"
        for name, about, members in (
            ("ClientPacket", "Everything that a client may send.", sent),
            ("ServerPacket", "Everything that a gateway sends.", received),
        )
    ]
    versions = (
        "/** The version of the protocol, as `hello` says it. */\n"
        f"export const PROTOCOL_VERSION = {packets.PROTOCOL_VERSION};"
    )
    return "\n\n".join([_HEAD.rstrip(), versions, declarations, *unions]) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    sys.stdout.write(f"{TARGET.relative_to(Path.cwd()) if TARGET.is_relative_to(Path.cwd()) else TARGET}\n")
