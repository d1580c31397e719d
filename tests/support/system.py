"""The embedded system for tests, on a free port with a data folder of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from taskpath import App
from taskpath.runtime.settings import Settings
from taskpath_services.embedded import Embedded


def settings_for(folder: Path, **flags: Any) -> Settings:
    """Settings with the data in a folder, on a free port; nothing from the environment."""
    return Settings.read({}, data=folder, port=0, **flags)


@asynccontextmanager
async def embedded(app: App, folder: Path, **flags: Any) -> AsyncIterator[Embedded]:
    """Runs the embedded system."""
    async with Embedded(app, settings_for(folder, **flags)) as system:
        yield system
