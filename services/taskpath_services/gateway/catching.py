"""Catching up: when storage has every change that was published before one began to hear.

A durable bus passes a change on before storage has it. So whoever begins to hear the changes of an instance,
and then reads it, could know of one by neither: it was published before the one, and stored after the other.
Those who begin in one partition at about the same time, as all do after a connection was lost, share one
question.
"""

from __future__ import annotations

import asyncio
from typing import Final

from taskpath.runtime.service import Service
from taskpath_proto import topology
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_services.gateway.reads import READ_SECONDS, Reads


class Catching(Service):
    """Asks storage, for each partition one question at a time.

    Args:
        reads: asks.
        partitions: how many mailboxes share the instances.
    """

    def __init__(self, reads: Reads, partitions: int) -> None:
        super().__init__("gateway catching up")
        self._reads = reads
        self._partitions: Final = partitions
        self._turns: dict[int, asyncio.Lock] = {}
        self._next: dict[int, asyncio.Future[None]] = {}

    async def up(self, instance: str) -> None:
        """Returns when storage has every change of an instance that was published before this was called.

        Raises:
            TaskpathError: UNAVAILABLE.
        """
        partition = topology.partition_of(instance, self._partitions)
        caught = self._next.get(partition)
        if caught is None:
            caught = self._next[partition] = asyncio.get_running_loop().create_future()
            self.spawn(self._ask(partition, caught), f"partition {partition}")
        await asyncio.shield(caught)

    async def _ask(self, partition: int, caught: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS), self._turns.setdefault(partition, asyncio.Lock()):
                del self._next[partition]  # whoever comes from now on is too late for this question
                await self._reads.caught_up(partition)
        except TaskpathError as error:
            _fail(caught, error)
        except TimeoutError:
            _fail(caught, TaskpathError(ErrorCode.UNAVAILABLE, "Storage does not answer; try again."))
        else:
            caught.set_result(None)
        finally:
            if self._next.get(partition) is caught:
                del self._next[partition]
            caught.cancel()


def _fail(caught: asyncio.Future[None], error: TaskpathError) -> None:
    caught.set_exception(error)
    caught.exception()  # those who waited may have gone
