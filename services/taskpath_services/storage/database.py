"""One SQLite file: a thread that writes, threads that read, and a schema version.

SQLite runs without Python's lock, but each step of a statement that returns to Python takes it, beside an
event loop that wants it as well. So a job makes few statements, each with a whole group as one JSON text, or
with a whole page as the one row of its result.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, Literal, TypeVar

from taskpath.runtime.settings import SettingsError
from taskpath_services.storage.faults import StoreUnavailable

T = TypeVar("T")

READERS: Final = 2


class Database:
    """A SQLite file in WAL mode.

    Args:
        path: the file; it is made, with its folder, if it is not there.
        kind: what it holds, for messages.
        mark: SQLite's application id; tells the files of the stores from each other and from foreign ones.
        migrations: the scripts that lead from one schema version to the next, from nothing on.
        synchronous: ``FULL`` if what was committed has to survive a loss of power.
        patience: how long a lock of another process is waited for, in seconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        kind: str,
        mark: int,
        migrations: Sequence[str],
        synchronous: Literal["FULL", "NORMAL"],
        patience: float = 0.2,
    ) -> None:
        self._path = path
        self._kind = kind
        self._mark = mark
        self._migrations = migrations
        self._synchronous = synchronous
        self._patience = patience
        self._connection: sqlite3.Connection | None = None
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._writer: ThreadPoolExecutor | None = None
        self._readers: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        """Opens the file and brings its schema up to date.

        Raises:
            SettingsError: it is no file that this version can use.
            StoreUnavailable: another process holds it.
        """
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"{self._kind} writer")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix=f"{self._kind} reader")
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._prepare)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finishes what is under way and closes the file. Safe to call twice, and before open."""
        writer, self._writer = self._writer, None
        readers, self._readers = self._readers, None
        loop = asyncio.get_running_loop()
        if readers is not None:
            await loop.run_in_executor(None, readers.shutdown)
            with contextlib.suppress(Empty):
                while True:
                    self._idle.get_nowait().close()
        if writer is not None:
            await loop.run_in_executor(writer, self._disconnect)
            writer.shutdown()

    async def write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a job in a transaction, after those before it, and commits it.

        Raises:
            StoreUnavailable: nothing of it was committed, and it may be tried again.
        """
        if self._writer is None:
            raise StoreUnavailable(f"The {self._kind} ({self._path}) is closed.")
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._write, job)

    async def read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Runs a job that reads, on one state of the file.

        Raises:
            StoreUnavailable: it could not be read.
        """
        if self._readers is None:
            raise StoreUnavailable(f"The {self._kind} ({self._path}) is closed.")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, job)

    def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.execute("begin immediate")
            result = job(self._connection)
            self._connection.execute("commit")
        except BaseException as error:
            # What a fault left of the connection is not trusted; a closed one rolls back.
            self._disconnect()
            if _is_fault(error):
                raise StoreUnavailable(
                    f"The {self._kind} ({self._path}) cannot be written: {error}."
                ) from error
            raise
        return result

    def _read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = None
        try:
            try:
                connection = self._idle.get_nowait()
            except Empty:
                connection = self._connect()
                connection.execute("pragma query_only = on")
            connection.execute("begin")
            result = job(connection)
            connection.execute("commit")
        except BaseException as error:
            if connection is not None:
                connection.close()
            if _is_fault(error):
                raise StoreUnavailable(f"The {self._kind} ({self._path}) cannot be read: {error}.") from error
            raise
        self._idle.put(connection)
        return result

    def _connect(self) -> sqlite3.Connection:
        # A file that has gone is not made again: a store that is suddenly empty would be taken for the truth.
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=self._patience,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=64,
        )
        connection.execute(f"pragma synchronous = {self._synchronous}")
        connection.execute("pragma cache_size = -32768")
        connection.execute("pragma wal_autocheckpoint = 4000")
        return connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _prepare(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
            connection = self._connection = self._connect()
            connection.execute("pragma journal_mode = wal")
            self._migrate(connection)
        except OSError as error:
            raise SettingsError(
                f"The {self._kind} cannot be kept in {self._path}: {error.strerror}."
            ) from error
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise StoreUnavailable(
                    f"The {self._kind} ({self._path}) cannot be opened: {error}."
                ) from error
            raise SettingsError(f"{self._path} is not a file of Taskpath's {self._kind}: {error}.") from error

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("begin immediate")
        (version,) = connection.execute("pragma user_version").fetchone()
        (mark,) = connection.execute("pragma application_id").fetchone()
        (tables,) = connection.execute("select count(*) from sqlite_master").fetchone()
        if mark != self._mark and (mark or version or tables):
            raise SettingsError(
                f"{self._path} holds something else; a file of Taskpath's {self._kind} is expected."
            )
        known = len(self._migrations)
        if version > known:
            raise SettingsError(
                f"{self._path} has schema version {version}, and this Taskpath knows those up to {known}; "
                "the newer Taskpath that wrote it is expected."
            )
        for script in self._migrations[version:]:
            for statement in script.split(";"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"pragma user_version = {known}")
        connection.execute(f"pragma application_id = {self._mark}")
        connection.execute("commit")


def _is_fault(error: BaseException) -> bool:
    """Whether an error is the file's, not the statement's."""
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.NotSupportedError)):
        return False
    if isinstance(error, sqlite3.OperationalError):
        # A statement that does not fit the schema is a bug, and trying again will not help.
        return error.sqlite_errorname != "SQLITE_ERROR"
    if isinstance(error, sqlite3.ProgrammingError):
        return "closed" in str(error)
    return isinstance(error, sqlite3.DatabaseError)
