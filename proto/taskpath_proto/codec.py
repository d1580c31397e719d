"""How messages become bytes on a broker: MessagePack, decoded strictly into the types of this package."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from taskpath_proto.calls import Answer, Call
from taskpath_proto.events import (
    Committed,
    ExecutorAnnounced,
    ExecutorBeat,
    InstanceChanged,
    InstanceDeleted,
    LogsWritten,
    Probe,
    SchedulerAnnounced,
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
    | SchedulerAnnounced
    | Committed
    | Probe
    | WantSnapshot
)
"""Everything that services say to each other."""

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[list[Message]] = msgspec.msgpack.Decoder(list[Message])


def encode_parcel(messages: list[Message]) -> bytes:
    """The bytes of one parcel: a list of messages for one mailbox."""
    return _encoder.encode(messages)


def decode_parcel(data: bytes) -> list[Message]:
    """The messages of a parcel.

    Raises:
        msgspec.ValidationError: the bytes are no parcel of this version.
    """
    return _decoder.decode(data)
