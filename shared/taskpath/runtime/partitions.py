"""That everyone counts the same partitions: who does not would send to the wrong mailboxes."""

from __future__ import annotations

from typing import Final

import structlog

from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import Clock
from taskpath.runtime.settings import SettingsError
from taskpath_proto import topology
from taskpath_proto.errors import TaskpathError
from taskpath_proto.queries import AskPartitions, Partitions

log = structlog.get_logger("taskpath")

PATIENCE: Final = 5.0
"""How long one answer is waited for, in seconds."""

AGAIN: Final = 0.5
"""Seconds until storage is asked again that is away."""


async def agree(caller: Caller, clock: Clock, partitions: int) -> None:
    """Returns when storage says that there are so many partitions; asks until it says anything.

    Args:
        caller: asks.
        clock: for the time between two questions.
        partitions: how many there are by our settings.

    Raises:
        SettingsError: there is another number of them.
    """
    while True:
        try:
            said = await caller.ask(topology.QUERIES, AskPartitions(), Partitions, PATIENCE)
        except TaskpathError as error:
            log.warning("storage is waited for", reason=error.info.message)
            await clock.sleep(AGAIN)
            continue
        if said.count != partitions:
            raise SettingsError(
                f"TASKPATH_PARTITIONS is {partitions}; expected is {said.count}, with which this deployment "
                "began."
            )
        return
