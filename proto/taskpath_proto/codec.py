"""How messages become bytes on a broker: MessagePack, decoded strictly into the types of this package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from taskpath_proto.calls import Answer, Call
from taskpath_proto.events import (
    AnnounceYourself,
    ExecutorAnnounced,
    ExecutorBeat,
    IndexChanged,
    InstanceChanged,
    InstanceDeleted,
    LogsWritten,
    Probe,
    ReplicaAnnounced,
    WantSnapshot,
)
from taskpath_proto.work import (
    CancelAttempts,
    ExpandPlan,
    HandlerFinished,
    PlanExpanded,
    RunHandler,
    RunTasks,
    TaskFinished,
    TaskProgressed,
    TasksHeld,
    TasksReturned,
    TaskStarted,
    WhatIsHeld,
)

Message: TypeAlias = (
    Call
    | Answer
    | RunTasks
    | ExpandPlan
    | PlanExpanded
    | RunHandler
    | HandlerFinished
    | CancelAttempts
    | WhatIsHeld
    | TasksHeld
    | TasksReturned
    | TaskStarted
    | TaskProgressed
    | TaskFinished
    | InstanceChanged
    | InstanceDeleted
    | LogsWritten
    | ExecutorAnnounced
    | ExecutorBeat
    | ReplicaAnnounced
    | AnnounceYourself
    | Probe
    | IndexChanged
    | WantSnapshot
)
"""Everything that services say to each other."""

_encoder = msgspec.msgpack.Encoder()
_parcel: msgspec.msgpack.Decoder[list[Message]] = msgspec.msgpack.Decoder(list[Message])
_parts: msgspec.msgpack.Decoder[list[msgspec.Raw]] = msgspec.msgpack.Decoder(list[msgspec.Raw])
_message: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)

MAX_IN_PARCEL = 65_535
"""So many messages fit into one parcel."""


def encode_message(message: Message) -> bytes:
    """The bytes of one message, as a part of a parcel."""
    return _encoder.encode(message)


def join_parcel(messages: Sequence[bytes]) -> bytes:
    """The bytes of one parcel: a list of messages for one mailbox, each of them encoded already."""
    count = len(messages)
    if count < 16:
        head = bytes((0x90 | count,))
    elif count <= MAX_IN_PARCEL:
        head = b"\xdc" + count.to_bytes(2, "big")
    else:
        raise ValueError(f"{count} messages are too many for a parcel of at most {MAX_IN_PARCEL}")
    return head + b"".join(messages)


def decode_parcel(data: bytes) -> tuple[list[Message], list[str]]:
    """The messages of a parcel, and what is wrong with those that are no messages of this version.

    One that cannot be read takes none of its neighbours along.
    """
    try:
        return _parcel.decode(data), []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_one_by_one(data)


def _decode_one_by_one(data: bytes) -> tuple[list[Message], list[str]]:
    messages: list[Message] = []
    wrong: list[str] = []
    try:
        parts = _parts.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        return [], [str(error)]
    for part in parts:
        try:
            messages.append(_message.decode(part))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            wrong.append(str(error))
    return messages, wrong
