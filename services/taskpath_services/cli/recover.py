"""`taskpath recover`: after a server lost data.

What heals by itself is left to the services. This finds what does not show by itself: the index is compared
with the records, and the owners of unfinished instances, and of those that the index knew more about than the
records, are asked to publish all they know (``WantSnapshot``), which mends what storage lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from taskpath.runtime.bus import Bus
from taskpath.runtime.buses import bus_of
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_proto import topology
from taskpath_proto.events import WantSnapshot
from taskpath_proto.queries import ListInstances
from taskpath_proto.records import InstanceStatus
from taskpath_services.cli.operating import open_stores
from taskpath_services.cli.reindex import sentence
from taskpath_services.cli.session import DONE, console, print_json
from taskpath_services.storage.index.contract import InstanceIndex
from taskpath_services.storage.index.reconcile import reconcile

BROKER_SECONDS: Final = 15
PAGE: Final = 200


async def recover(settings: Settings, *, json: bool) -> int:
    """Has the servers make good what one of them lost; returns the exit code.

    Args:
        settings: the broker and the stores.
        json: whether to print one document.

    Raises:
        SettingsError: a server cannot be used, or the deployment began with other settings.
        StoreUnavailable: a store is away.
        ConnectionError: the broker is away.
    """
    if settings.broker.startswith("memory://"):
        raise SettingsError(
            f"TASKPATH_BROKER is {settings.broker!r}; expected is a URL that begins with amqp:// or "
            "amqps://. What `taskpath up` serves recovers by itself when it starts."
        )
    async with open_stores(settings) as (records, index):
        partitions = await records.partitions()
        if partitions not in (None, settings.partitions):
            raise SettingsError(
                f"TASKPATH_PARTITIONS is {settings.partitions}; expected is {partitions}, with which these "
                "records were begun."
            )
        walked = await reconcile(records, index)
        unfinished = await _unfinished(index)
        bus = bus_of(settings, name="recover")
        try:
            # Whatever the broker has lost of its mailboxes is declared by this.
            async with asyncio.timeout(BROKER_SECONDS):
                await bus.start()
            waiting = await _waiting(bus, settings.partitions)
            asked = dict.fromkeys([*walked.ahead, *unfinished])
            await _ask(bus, asked, settings.partitions)
        except TimeoutError:
            raise ConnectionError(f"The broker has not answered within {BROKER_SECONDS} s.") from None
        finally:
            await bus.stop()
    if json:
        print_json(
            {
                "instances": walked.instances,
                "missing": walked.missing,
                "different": walked.different,
                "extra": walked.extra,
                "ahead": len(walked.ahead),
                "unfinished": len(unfinished),
                "asked": len(asked),
                "waiting": waiting,
            }
        )
        return DONE
    out = console()
    for line in _said(sentence(walked), len(walked.ahead), len(unfinished), len(asked), waiting):
        out.print(line, soft_wrap=True)
    return DONE


async def _unfinished(index: InstanceIndex) -> list[str]:
    """The instances that have something queued or running."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await index.page(ListInstances(status=InstanceStatus.WORKING, limit=PAGE, cursor=cursor))
        found += [item.id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


async def _waiting(bus: Bus, partitions: int) -> dict[str, int]:
    """How much waits in each mailbox of a partition."""
    names = [
        mailbox(partition)
        for mailbox in (topology.scheduler_mailbox, topology.storage_mailbox)
        for partition in range(partitions)
    ]
    return {name: await bus.depth(name) for name in names}


async def _ask(bus: Bus, ids: Iterable[str], partitions: int) -> None:
    """Asks the owners of instances to publish all they know of them."""
    wanted = list(ids)
    for start in range(0, len(wanted), PAGE):
        await asyncio.gather(
            *(
                bus.send(topology.scheduler_mailbox(topology.partition_of(id, partitions)), WantSnapshot(id))
                for id in wanted[start : start + PAGE]
            )
        )


def _said(index: str, ahead: int, unfinished: int, asked: int, waiting: dict[str, int]) -> Sequence[str]:
    lines = [f"index    {index}"]
    if ahead:
        lines.append(
            f"records  The index knew more about {ahead:,} of them: the records have lost changes, "
            "or instances were deleted just now."
        )
    total = sum(waiting.values())
    lines.append(
        f"broker   The mailboxes of {len(waiting) // 2} partitions are there; {total:,} parcels wait in them."
    )
    lines.append(
        f"owners   {unfinished:,} instances are unfinished. The owners of {asked:,} were asked to publish "
        "all they know of them."
    )
    lines.append("")
    lines.append("What is left to do, if the broker lost its data:")
    lines.append(
        "  Restart the executors. What they held, or had reported to a mailbox that is gone, is then "
        "dispatched again. What merely waited in a lost queue is so without that, within twice "
        "TASKPATH_LEASE."
    )
    lines.append(
        "  The last change of an instance that had just ended may have been on its way to the records. "
        "Its scheduler knows it; this command asks for it only if the records show the instance as "
        "unfinished."
    )
    return lines
