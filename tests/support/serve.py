"""Runs the embedded system as a process of its own: ``python -m tests.support.serve APP FOLDER``.

Prints ``at URL`` once it listens, and lives until it is ended.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import structlog

from taskpath.app import load
from tests.support.system import embedded


async def serve(reference: str, folder: Path) -> None:
    """Serves an app."""
    async with embedded(load(reference), folder) as system:
        print(f"at {system.url}", flush=True)
        await system.wait()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2])))
