"""Commands: what a gateway asks of the owner of an instance, and what it is told.

Each travels in a :class:`~taskpath_proto.calls.Call` to the mailbox ``scheduler.<p>`` of the instance's
partition. It is answered only when storage has what it changed.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from taskpath_proto.records import Mode, Upstream
from taskpath_proto.values import Value


class CreateInstance(msgspec.Struct, tag="CreateInstance", frozen=True, rename="camel", omit_defaults=True):
    """Creates an instance, and starts it if ``execute`` is set.

    Attributes:
        id: chosen by the gateway; with an idempotency key a hash of realm and key.
        workflow: its registered name.
        queue: whose executors have the workflow's generator.
        data: what the generator is called with.
        base_context: a JSON object.
        creation_key: a digest of the request, if it came with an idempotency key.
        argument: for the first task, in place of the data.
    """

    id: str
    workflow: str
    queue: str
    realm: str
    data: Value
    base_context: Value
    name: str | None = None
    ephemeral: bool = False
    execute: bool = False
    argument: Value | None = None
    creation_key: str | None = None


class Execute(msgspec.Struct, tag="Execute", frozen=True, rename="camel", omit_defaults=True):
    """Runs the tasks at a path or pattern.

    Attributes:
        key: the caller's idempotency key.
        digest: of the request, if it came with a key.
    """

    id: str
    path: str = "#"
    mode: Mode = Mode.ALL
    upstream: Upstream = Upstream.REQUIRE
    argument: Value | None = None
    key: str | None = None
    digest: str | None = None


class Cancel(msgspec.Struct, tag="Cancel", frozen=True, rename="camel", omit_defaults=True):
    """Cancels what runs at or under a path or pattern; what does not run stays as it is. Keys as in an
    execute."""

    id: str
    path: str = "#"
    key: str | None = None
    digest: str | None = None


class UpdateInstance(msgspec.Struct, tag="UpdateInstance", frozen=True, rename="camel", omit_defaults=True):
    """Changes an instance's data, and with it its tree, or its name.

    Attributes:
        id: the instance.
        data: an updater of the data; None to leave it.
        name: the new name; UNSET to leave it.
    """

    id: str
    data: Value | None = None
    name: str | None | UnsetType = UNSET


class SetContextUpdaters(
    msgspec.Struct, tag="SetContextUpdaters", frozen=True, rename="camel", omit_defaults=True
):
    """Replaces what a task's ``update_context`` left: a JSON list of updaters. What follows becomes stale.
    Keys as in an execute."""

    id: str
    path: str
    updaters: Value
    key: str | None = None
    digest: str | None = None


class Delete(msgspec.Struct, tag="Delete", frozen=True, rename="camel", omit_defaults=True):
    """Cancels what runs and removes the instance with everything stored about it."""

    id: str


class Accepted(msgspec.Struct, tag="Accepted", frozen=True, rename="camel", omit_defaults=True):
    """The command is stored; what it changed shows at ``revision``. ``created`` is false for a repeat."""

    id: str
    revision: int
    created: bool = False
