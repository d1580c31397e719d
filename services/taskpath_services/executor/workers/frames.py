"""What an executor and its worker processes say to each other: MessagePack, each message after its length."""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

import msgspec

from taskpath_services.executor.outcome import Outcome

LENGTH: Final = struct.Struct(">I")


class Hello(msgspec.Struct, tag="Hello", frozen=True):
    """To a new process: the app to import, and where modules are found."""

    source: str
    path: list[str]
    max_value: int


class Job(msgspec.Struct, tag="Job", frozen=True):
    """To a process: run the function of one task.

    Attributes:
        tree: names the tree for the process's cache; what it is made from is asked for.
        argument: JSON text.
    """

    id: str
    realm: str
    workflow: str
    tree: str
    path: str
    attempt: int
    argument: str


class Given(msgspec.Struct, tag="Given", frozen=True):
    """To a process: the JSON text that it asked for, or why there is none."""

    json: str
    error: str | None = None


class Want(msgspec.Struct, tag="Want", frozen=True):
    """From a process: asks for ``data``, ``context`` or ``previous`` of its job."""

    what: str


class Said(msgspec.Struct, tag="Said", frozen=True):
    """From a process: a line for the log."""

    level: str
    text: str


class Progressed(msgspec.Struct, tag="Progressed", frozen=True):
    """From a process: how far its job is."""

    fraction: float
    message: str | None = None


class Done(msgspec.Struct, tag="Done", frozen=True):
    """From a process: its job has ended."""

    outcome: Outcome


class Broken(msgspec.Struct, tag="Broken", frozen=True):
    """From a process: it cannot import the app, and ends."""

    reason: str


ToChild: TypeAlias = Hello | Job | Given
FromChild: TypeAlias = Want | Said | Progressed | Done | Broken

to_child: msgspec.msgpack.Decoder[ToChild] = msgspec.msgpack.Decoder(ToChild)
from_child: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)
_encode = msgspec.msgpack.Encoder().encode


def frame(message: ToChild | FromChild) -> bytes:
    """The bytes of a message, with their length before them."""
    body = _encode(message)
    return LENGTH.pack(len(body)) + body
