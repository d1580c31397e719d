"""Every record store, for the tests of what all of them do. A new implementation joins with a parameter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from taskpath_services.storage.records.contract import RecordStore
from tests.support.record_stores import STORES, new_store


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RecordStore]:
    """A record store that nobody has used, open."""
    records = new_store(request.param, request, tmp_path)
    await records.open()
    yield records
    await records.close()
