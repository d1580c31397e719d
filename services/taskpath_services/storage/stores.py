"""Which stores the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import unquote

from taskpath.runtime.settings import Settings, SettingsError
from taskpath_services.storage.index.contract import InstanceIndex
from taskpath_services.storage.index.sqlite import SqliteIndex
from taskpath_services.storage.records.contract import RecordStore
from taskpath_services.storage.records.sqlite import SqliteRecords

_SQLITE: Final = "sqlite:///"


def records_of(settings: Settings) -> RecordStore:
    """The record store that the settings name.

    Raises:
        SettingsError: this version has no such store.
    """
    url = settings.records or ""
    # The drivers are needed by storage alone, and not by the embedded system.
    try:
        if url.startswith(("redis://", "rediss://")):
            from taskpath_services.storage.records.redis.store import RedisRecords

            return RedisRecords(url)
        if url.startswith("dynamodb://"):
            from taskpath_services.storage.records.dynamodb.store import DynamoRecords

            return DynamoRecords(url)
    except ImportError as error:
        raise SettingsError(
            f"TASKPATH_RECORDS is a {url.partition('://')[0]} URL, and {error.name} is not installed; "
            "it comes with `pip install taskpath[storage]`."
        ) from error
    return SqliteRecords(_file("TASKPATH_RECORDS", settings.records, settings.data / "records.sqlite"))


def index_of(settings: Settings) -> InstanceIndex:
    """The index that the settings name.

    Raises:
        SettingsError: this version has no such index.
    """
    if settings.index is not None and settings.index.startswith("mysql://"):
        # Its driver is needed by storage alone, and not by the embedded system.
        try:
            from taskpath_services.storage.index.mysql.address import Address
            from taskpath_services.storage.index.mysql.index import MysqlIndex
        except ImportError as error:
            raise SettingsError(
                f"TASKPATH_INDEX names a MySQL database, and {error.name} is not installed; "
                "it comes with `pip install taskpath[storage]`."
            ) from error
        return MysqlIndex(Address.of(settings.index))
    return SqliteIndex(_file("TASKPATH_INDEX", settings.index, settings.data / "index.sqlite"))


def _file(name: str, url: str | None, default: Path) -> Path:
    """The file of a SQLite URL: ``sqlite:///relative`` or ``sqlite:////absolute``."""
    if url is None:
        return default
    scheme, separator, _ = url.partition("://")
    # The rest of a URL may hold a password.
    if not url.startswith(_SQLITE):
        raise SettingsError(
            f"{name} is a URL with {scheme + separator if separator else 'no scheme'}; "
            f"this version stores in SQLite only: {_SQLITE}FILE is expected."
        )
    file = unquote(url.removeprefix(_SQLITE))
    if not file or file.endswith("/"):
        raise SettingsError(f"{name} is {url!r}; {_SQLITE}FILE is expected.")
    return Path(file)
