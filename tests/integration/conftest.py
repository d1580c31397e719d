"""What many of these tests begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.gateway import Running, running
from tests.support.storage import System


@pytest.fixture
async def gateway() -> AsyncIterator[Running]:
    """A real gateway, and a system behind it that answers as it is told."""
    async with running() as started:
        yield started


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    """A real storage service, on files of its own."""
    made = System(tmp_path)
    await made.start()
    yield made
    await made.stop()
