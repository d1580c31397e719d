"""The record stores that are tested, each with a place of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from taskpath.runtime.settings import Settings
from taskpath_services.storage.records.contract import RecordStore
from taskpath_services.storage.stores import records_of
from tests.support.servers.dynamodb import DynamoDB
from tests.support.servers.redis import Redis

STORES: Final = ("sqlite", "redis", "dynamodb")


def new_place(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of a store that nobody has used."""
    if kind == "sqlite":
        return f"sqlite:///{folder / 'records.sqlite'}"
    if kind == "redis":
        server: Redis = request.getfixturevalue("redis")
        return server.new_database()
    assert kind == "dynamodb"
    tables: DynamoDB = request.getfixturevalue("dynamodb")
    return tables.new_table()


def store_at(place: str) -> RecordStore:
    """A store, or another replica of it."""
    return records_of(Settings(records=place))


def new_store(kind: str, request: pytest.FixtureRequest, folder: Path) -> RecordStore:
    """A store that nobody has used."""
    return store_at(new_place(kind, request, folder))
