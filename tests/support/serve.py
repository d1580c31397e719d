"""Runs the embedded system as a process of its own.

``python -m tests.support.serve APP FOLDER [SECONDS]`` prints ``at URL`` once it listens, and lives until it
is ended. With SECONDS each commit of records begins that much later, as on a slow disk: what does not wait
for its commit is then seen not to.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from taskpath.app import load
from taskpath_services.storage.records.contract import Outcome, Write
from taskpath_services.storage.records.sqlite import SqliteRecords
from tests.support.system import embedded


def slow_down(seconds: float) -> None:
    """Makes the record store slow; it is the real one in all else."""
    commit = SqliteRecords.commit

    async def slow(self: SqliteRecords, group: Sequence[Write], now: int) -> list[Outcome]:
        await asyncio.sleep(seconds)  # noqa: TID251  (it is the slow disk; no test waits for it by time)
        return await commit(self, group, now)

    setattr(SqliteRecords, "commit", slow)  # noqa: B010  (a plain assignment to a method is no valid typing)


async def serve(reference: str, folder: Path) -> None:
    """Serves an app."""
    async with embedded(load(reference), folder) as system:
        print(f"at {system.url}", flush=True)
        await system.wait()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if len(sys.argv) > 3:
        slow_down(float(sys.argv[3]))
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2])))
