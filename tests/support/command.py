"""The command ``taskpath`` as a process, as a person starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple


class Said(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


async def begin(
    *arguments: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> asyncio.subprocess.Process:
    """Starts the command in a session of its own."""
    environ = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1", **(environ or {})}
    return await start(
        sys.executable, "-m", "taskpath_services.cli.main", *arguments, environ=environ, cwd=cwd
    )


async def start(
    *arguments: str, environ: Mapping[str, str], cwd: Path | None = None
) -> asyncio.subprocess.Process:
    """Starts a program in a session of its own."""
    return await asyncio.create_subprocess_exec(
        *arguments,
        env=environ,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def taskpath(
    *arguments: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Said:
    """Runs the command to its end."""
    process = await begin(*arguments, environ=environ, cwd=cwd)
    out, err = await process.communicate()
    return Said(process.returncode or 0, out.decode(), err.decode())


@asynccontextmanager
async def up(
    app: Path, data: Path, *, port: str = "0"
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Runs ``taskpath up``, by default on a free port; gives its address and the process."""
    process = await begin("up", str(app), "--port", port, "--data", str(data))
    assert process.stdout is not None
    try:
        seen = []
        async for line in process.stdout:
            seen.append(line.decode())
            if "web page" in seen[-1]:
                yield seen[-1].split()[-1].rstrip("/"), process
                break
        else:
            assert process.stderr is not None
            raise AssertionError("".join(seen) + (await process.stderr.read()).decode())
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()
