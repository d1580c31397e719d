"""What many of these tests begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.gateway import Running, running


@pytest.fixture
async def gateway() -> AsyncIterator[Running]:
    """A real gateway, and a system behind it that answers as it is told."""
    async with running() as started:
        yield started
