"""How the commands for operators run: with settings and stores, to an exit code, never to a traceback."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from taskpath.runtime.settings import Settings, SettingsError
from taskpath_services.cli.serving import configure_logs, run_loop
from taskpath_services.cli.session import INTERRUPTED, NOT_CARRIED_OUT, NOT_DONE, complain
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.index.contract import InstanceIndex
from taskpath_services.storage.records.contract import RecordStore
from taskpath_services.storage.stores import index_of, records_of


def carry_out(work: Callable[[Settings], Awaitable[int]], flags: Mapping[str, Any]) -> int:
    """Runs a command; returns its exit code: 2 if a setting is wrong, 1 if a server is away.

    Args:
        work: the command.
        flags: settings as they were given, by name; None for those that were not.
    """
    configure_logs(logging.ERROR)

    async def command() -> int:
        return await work(Settings.read(**flags))

    try:
        return run_loop(command())
    except SettingsError as error:
        complain(str(error))
        return NOT_CARRIED_OUT
    except (StoreUnavailable, ConnectionError, TimeoutError) as error:
        complain(str(error) or "A server has not answered in time.")
        return NOT_DONE
    except KeyboardInterrupt:
        return INTERRUPTED


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[tuple[RecordStore, InstanceIndex]]:
    """Opens the stores that the settings name; a file has to be there already.

    Raises:
        SettingsError: one of them cannot be used.
        StoreUnavailable: one of them is away.
    """
    _expect_file(settings)
    records, index = records_of(settings), index_of(settings)
    async with AsyncExitStack() as stack:
        for store in (records, index):
            stack.push_async_callback(store.close)
            await store.open()
        yield records, index


def _expect_file(settings: Settings) -> None:
    """A command that is given in the wrong place must not make an empty store there."""
    if settings.records is None:
        file = settings.data / "records.sqlite"
    elif settings.records.startswith("sqlite:///"):
        file = Path(settings.records.removeprefix("sqlite:///"))
    else:
        return
    if not file.exists():
        raise SettingsError(
            f"There are no records in {str(file)!r}; TASKPATH_DATA (--data) or TASKPATH_RECORDS (--records) "
            "should say where they are."
        )
