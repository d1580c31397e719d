"""The embedded system's folder, its lock, and SQLite."""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from taskpath.runtime.settings import Settings
from taskpath_services.cli.doctor.findings import Finding, ok, wrong

SQLITE: Final = (3, 38, 0)
"""The oldest SQLite that has what the statements use."""

SPACE: Final = 100 * 1024 * 1024
"""So many bytes have to be free."""


def holder_of(folder: Path) -> str | None:
    """The process that serves from a data folder; None if none does."""
    try:
        with (folder / "lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return file.read().strip() or "unknown"
    except OSError:
        pass  # there is none yet, or none that may be read
    return None


def folder(folder: Path, holder: str | None) -> Iterator[Finding]:
    shown = f"TASKPATH_DATA is {str(folder)!r}"
    there = next((one for one in (folder, *folder.absolute().parents) if one.exists()), Path("/"))
    if not there.is_dir():
        yield wrong("data folder", f"{shown}, and {str(there)!r} is no folder.")
        return
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        yield wrong("data folder", f"{shown}, and nothing can be written there: {reason}.")
        return
    free = shutil.disk_usage(there).free
    if free < SPACE:
        yield wrong("data folder", f"{shown}, where only {free // 1024 // 1024} MiB are free.")
        return
    if holder is not None:
        yield ok("data folder", f"{shown}; the server with process {holder} uses it.")
    elif folder.exists():
        yield ok("data folder", f"{shown}; it can be written, and no server uses it.")
    else:
        yield ok("data folder", f"{shown}; it is not there yet, and will be made.")


def sqlite(settings: Settings) -> Iterator[Finding]:
    needed = ".".join(map(str, SQLITE))
    if sqlite3.sqlite_version_info < SQLITE:
        yield wrong(
            "SQLite",
            f"Its version is {sqlite3.sqlite_version}; at least {needed} is expected.",
        )
        return
    yield ok("SQLite", f"Its version is {sqlite3.sqlite_version}; {needed} would do.")
    for file in (settings.data / "records.sqlite", settings.data / "index.sqlite"):
        if not file.exists():
            continue
        try:
            connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
            try:
                connection.execute("select count(*) from sqlite_schema").fetchone()
            finally:
                connection.close()
        except sqlite3.Error as error:
            yield wrong("SQLite", f"{str(file)!r} cannot be read: {error}.")
