"""Calls: a message that wants an answer, and the answer.

The caller listens on a reply queue of its own. A call whose deadline has passed is dropped unanswered.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from taskpath_proto.commands import (
    Accepted,
    Cancel,
    CreateInstance,
    Delete,
    Execute,
    SetContextUpdaters,
    UpdateInstance,
)
from taskpath_proto.errors import ErrorInfo
from taskpath_proto.queries import (
    AllCommitted,
    AskCommitted,
    AskPartitions,
    AskPlace,
    AskWanted,
    BlobPut,
    ClaimPartition,
    ExpectedTimes,
    InstanceLoaded,
    InstancesPage,
    InstanceView,
    ListInstances,
    LoadInstance,
    LogsView,
    PartitionClaimed,
    Partitions,
    Place,
    PutBlob,
    ReadExpected,
    ReadInstance,
    ReadLogs,
    ReadTask,
    ReadValue,
    TaskView,
    ValueRead,
    Wanted,
)

Command: TypeAlias = CreateInstance | Execute | Cancel | Delete | UpdateInstance | SetContextUpdaters
Query: TypeAlias = (
    ClaimPartition
    | LoadInstance
    | ReadInstance
    | ReadTask
    | ReadLogs
    | ListInstances
    | ReadExpected
    | ReadValue
    | PutBlob
    | AskPlace
    | AskWanted
    | AskCommitted
    | AskPartitions
)
Response: TypeAlias = (
    Accepted
    | PartitionClaimed
    | InstanceLoaded
    | InstanceView
    | TaskView
    | LogsView
    | InstancesPage
    | ExpectedTimes
    | ValueRead
    | BlobPut
    | Place
    | Wanted
    | AllCommitted
    | Partitions
)


class Call(msgspec.Struct, tag="Call", frozen=True, rename="camel", omit_defaults=True):
    """A command or query, and where its answer goes.

    Attributes:
        body: what is asked.
        reply_to: the caller's reply queue.
        call: the caller's number for it.
        deadline: ms since epoch; after it nobody waits for the answer.
        again: it was sent before and is not answered yet: it, or its answer, may be lost.
    """

    body: Command | Query
    reply_to: str
    call: int
    deadline: int
    again: bool = False


class Answer(msgspec.Struct, tag="Answer", frozen=True, rename="camel", omit_defaults=True):
    """The answer to a call: a response or an error."""

    call: int
    body: Response | None = None
    error: ErrorInfo | None = None
