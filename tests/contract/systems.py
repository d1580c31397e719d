"""The systems that the contract's tests can run against."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from taskpath.app import load
from tests.support.system import embedded

System: TypeAlias = Callable[..., AbstractAsyncContextManager[str]]
"""Starts a system that serves an app, with its data in a folder and these settings; gives its address."""


@asynccontextmanager
async def _embedded(app: Path, folder: Path, **settings: Any) -> AsyncIterator[str]:
    async with embedded(load(str(app)), folder, **settings) as system:
        yield system.url


SYSTEMS: Final[Mapping[str, System]] = {"embedded": _embedded}
"""By the name that ``TASKPATH_TEST_SYSTEM`` gives."""
