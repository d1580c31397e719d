"""Commands: what callers want done, sent to the owner of the instance and answered when it is stored."""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Raw, UnsetType

from taskpath import updaters
from taskpath.runtime.caller import Caller
from taskpath_proto import paths, topology
from taskpath_proto.calls import Command
from taskpath_proto.commands import (
    Accepted,
    Cancel,
    CreateInstance,
    Delete,
    Execute,
    SetContextUpdaters,
    UpdateInstance,
)
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.packets import CreateInstanceBody
from taskpath_proto.records import Mode, Upstream
from taskpath_proto.values import NULL, Inline
from taskpath_services.gateway import strict
from taskpath_services.gateway.acquaintance import Acquaintance
from taskpath_services.gateway.values import Values

GENERATOR_SECONDS: Final = 40.0
"""How long a call is waited for that may have to call a generator, which has 30 s."""

COMMAND_SECONDS: Final = 15.0
"""How long any other command is waited for."""

_NO_CONTEXT: Final = Inline("{}")
_encode = msgspec.json.Encoder().encode


class Commands:
    """Sends commands.

    Args:
        caller: for the owners.
        partitions: how many mailboxes share the instances.
        acquaintance: finds workflows.
        values: takes the callers' values in.
    """

    def __init__(self, caller: Caller, partitions: int, acquaintance: Acquaintance, values: Values) -> None:
        self._caller = caller
        self._partitions = partitions
        self._acquaintance = acquaintance
        self._values = values

    async def create(self, body: CreateInstanceBody, key: str | None) -> tuple[CreateInstance, Accepted]:
        """Creates an instance; with an idempotency key, once.

        Returns:
            What was asked of the owner, and its answer.

        Raises:
            TaskpathError: what was asked for is not possible.
        """
        if wrong := paths.name_error(body.workflow):
            raise TaskpathError(ErrorCode.INVALID_REQUEST, f"The workflow's name is wrong: {wrong}.")
        if body.base_context and not bytes(body.base_context).startswith(b"{"):
            raise TaskpathError(
                ErrorCode.INVALID_REQUEST, "The baseContext is no object; a JSON object is expected."
            )
        if body.argument and not body.execute:
            raise TaskpathError(
                ErrorCode.INVALID_REQUEST,
                "An argument is given without `execute`; it is for what is executed.",
            )
        workflow = await self._acquaintance.find(body.workflow)
        instance = secrets.token_hex(12) if key is None else _id_of(body.realm, key)
        values = self._values
        create = CreateInstance(
            id=instance,
            workflow=body.workflow,
            queue=workflow.queue,
            realm=body.realm,
            data=await values.take(body.data, instance, "data") if body.data else NULL,
            base_context=(
                await values.take(body.base_context, instance, "context")
                if body.base_context
                else _NO_CONTEXT
            ),
            name=body.name,
            ephemeral=body.ephemeral,
            execute=body.execute,
            argument=await values.take(body.argument, instance, "argument") if body.argument else None,
            creation_key=None if key is None else _digest(body),
        )
        return create, await self._ask(create, GENERATOR_SECONDS)

    async def execute(
        self,
        instance: str,
        path: str,
        mode: Mode = Mode.ALL,
        upstream: Upstream = Upstream.REQUIRE,
        argument: Raw | None = None,
        key: str | None = None,
    ) -> Accepted:
        """Runs the tasks at a path or pattern.

        Raises:
            TaskpathError: what was asked for is not possible.
        """
        paths.Pattern(path)
        digest = (
            None if key is None else _hash(_encode(("execute", path, mode, upstream)), _canonical(argument))
        )
        return await self._ask(
            Execute(
                id=instance,
                path=path,
                mode=mode,
                upstream=upstream,
                argument=await self._values.take(argument, instance, "argument") if argument else None,
                key=key,
                digest=digest,
            ),
            GENERATOR_SECONDS,
        )

    async def cancel(self, instance: str, path: str, key: str | None = None) -> Accepted:
        """Cancels what runs at or under a path or pattern.

        Raises:
            TaskpathError: what was asked for is not possible.
        """
        paths.Pattern(path)
        digest = None if key is None else _hash(_encode(("cancel", path)))
        return await self._ask(Cancel(id=instance, path=path, key=key, digest=digest), COMMAND_SECONDS)

    async def update(self, instance: str, data: Raw, name: str | None | UnsetType) -> Accepted:
        """Changes an instance's data by an updater, or its name.

        Args:
            instance: its id.
            data: the updater; an empty text leaves the data.
            name: the name; UNSET leaves it.

        Raises:
            TaskpathError: what was asked for is not possible.
        """
        updater = None
        if data:
            _check_updater("data", data)
            updater = await self._values.take(data, instance, "update")
        # A name needs no generator.
        timeout = COMMAND_SECONDS if updater is None else GENERATOR_SECONDS
        return await self._ask(UpdateInstance(id=instance, data=updater, name=name), timeout)

    async def set_updaters(self, instance: str, path: str, given: Raw, key: str | None = None) -> Accepted:
        """Replaces what a task's ``update_context`` left.

        Args:
            instance: the id of the instance.
            path: the task.
            given: a JSON list of updaters.
            key: an idempotency key.

        Raises:
            TaskpathError: what was asked for is not possible.
        """
        paths.split(path)
        _check_updaters(given)
        digest = None if key is None else _hash(_encode(("setContextUpdaters", path)), _canonical(given))
        value = await self._values.take(given, instance, "updaters")
        return await self._ask(
            SetContextUpdaters(id=instance, path=path, updaters=value, key=key, digest=digest),
            COMMAND_SECONDS,
        )

    async def delete(self, instance: str) -> Accepted:
        """Deletes an instance.

        Raises:
            TaskpathError: what was asked for is not possible.
        """
        return await self._ask(Delete(id=instance), COMMAND_SECONDS)

    async def _ask(self, command: Command, timeout: float) -> Accepted:
        partition = topology.partition_of(command.id, self._partitions)
        return await self._caller.ask(topology.scheduler_mailbox(partition), command, Accepted, timeout)


def _check_updater(what: str, raw: Raw) -> None:
    try:
        updaters.check(msgspec.json.decode(raw))
    except updaters.UpdaterError as error:
        raise TaskpathError(ErrorCode.INVALID_REQUEST, f"`{what}` is no updater: {error}") from None


def _check_updaters(given: Raw) -> None:
    try:
        listed = msgspec.json.decode(given, type=list[Raw])
    except msgspec.ValidationError:
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST, "`updaters` is no list; a list of updaters is expected."
        ) from None
    for index, updater in enumerate(listed):
        _check_updater(f"updaters[{index}]", updater)


def _id_of(realm: str, key: str) -> str:
    """The id of the instance that belongs to an idempotency key: the same through every gateway."""
    return _hash(_encode((realm, key)))


def _digest(body: CreateInstanceBody) -> str:
    plain = _encode((body.workflow, body.realm, body.name, body.ephemeral, body.execute))
    return _hash(plain, *map(_canonical, (body.data, body.base_context, body.argument)))


def _canonical(raw: Raw | None) -> bytes:
    """The value without the choices that mean nothing; nothing at all for one that is absent."""
    return strict.canonical(bytes(raw)) if raw else b""


def _hash(*parts: bytes) -> str:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
