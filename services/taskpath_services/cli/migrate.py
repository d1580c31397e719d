"""`taskpath migrate`: makes what the stores need on their servers, and keeps the number of partitions."""

from __future__ import annotations

from taskpath.runtime.clock import SystemClock
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_services.cli.session import DONE, console, print_json
from taskpath_services.storage.stores import index_of, records_of


async def migrate(settings: Settings, *, json: bool) -> int:
    """Brings both stores up to date; returns the exit code.

    Args:
        settings: which stores, and how many partitions there are to be.
        json: whether to print one document.

    Raises:
        SettingsError: a store cannot be used, or began with another number of partitions.
        StoreUnavailable: a store is away.
    """
    records, index = records_of(settings), index_of(settings)
    done = {"records": await records.migrate(), "index": await index.migrate()}
    for store in (records, index):
        # A file is made, and brought up to date, by being opened.
        try:
            await store.open()
        finally:
            await store.close()
    try:
        await records.open()
        partitions = await records.begin(settings.partitions, SystemClock().now())
    finally:
        await records.close()
    if json:
        print_json({**done, "partitions": partitions})
    else:
        out = console()
        for store_name, steps in done.items():
            out.print(f"{store_name}: {', '.join(steps) or 'up to date'}")
        out.print(f"partitions: {partitions}")
    if partitions != settings.partitions:
        raise SettingsError(
            f"TASKPATH_PARTITIONS is {settings.partitions}; expected is {partitions}, with which these "
            "records were begun."
        )
    return DONE
