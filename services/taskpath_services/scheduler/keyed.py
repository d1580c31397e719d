"""Keyed commands: one that comes again with the same idempotency key is not carried out again."""

from __future__ import annotations

from typing import Final

from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.records import CommandRecord
from taskpath_services.scheduler.instance import Instance

KEPT_MS: Final = 24 * 3600 * 1000
MOST: Final = 10_000
"""Commands that are remembered however many come within a day."""


def earlier(instance: Instance, key: str | None, digest: str | None) -> int | None:
    """The revision of the same command, if it was accepted before.

    Raises:
        TaskpathError: CONFLICT, if the key was used for something else.
    """
    if key is None:
        return None
    record = instance.commands.get(key)
    if record is None:
        return None
    if record.digest != digest:
        raise TaskpathError(
            ErrorCode.CONFLICT, "The same Idempotency-Key was used before, for another request."
        )
    return record.revision


def remember(instance: Instance, key: str | None, digest: str | None) -> None:
    """Notes a command that is accepted with the batch under way; those of more than a day ago go."""
    if key is None:
        return
    commands = instance.commands
    commands[key] = CommandRecord(key, digest or "", instance.revision + 1, instance.now)
    for old in list(commands):
        if len(commands) <= MOST and commands[old].time > instance.now - KEPT_MS:
            break
        del commands[old]
    instance.commands_changed = True
