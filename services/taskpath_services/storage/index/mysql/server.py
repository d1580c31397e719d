"""A MySQL or MariaDB server: a bounded pool of connections, time-outs, and what its errors mean.

A connection on which anything failed is not used again. One that had been idle may have died unnoticed (the
server was started anew, or closed it), so work that fails on lost connections is done once more on new ones;
that is why a job has to be one that can be repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias, TypeVar

from asyncmy import Connection, errors
from asyncmy.pool import Pool

from taskpath.runtime.settings import SettingsError
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.index.mysql.address import Address

# It logs what the server remarks of a statement, such as that a table is there already.
logging.getLogger("asyncmy").setLevel(logging.ERROR)

T = TypeVar("T")
Job: TypeAlias = Callable[[Connection], Awaitable[T]]

CONNECTIONS: Final = 10
CONNECT_SECONDS: Final = 5
SECONDS: Final = 20.0
"""How long a job may take, the wait for a connection included."""

TRIES: Final = 5
"""So often a job is done that loses against another one (a deadlock)."""

# In every session the same, whatever the server's own settings are: text is escaped as asyncmy escapes it, a
# value that does not fit is an error, and nobody locks the gaps between rows.
MODE: Final = "'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'"  # asyncmy puts it into its statement as it is
ISOLATION: Final = "set session transaction isolation level read committed"

_CONFLICTS: Final = frozenset({1020, 1062, 1205, 1213})
"""The row has changed, or is there by now; a lock was waited for too long; a deadlock."""

_LOST: Final = frozenset({1053, 1927, 2003, 2006, 2013, 2014, 2055})
_REFUSED: Final = frozenset({1044, 1045, 1049, 1251, 1698, 2054, 2059})
_NOT_OURS: Final = frozenset({1064, 1054, 1136, 1146, 1305})
"""Statements that do not fit the schema: bugs, or a schema that has gone."""
NO_SUCH_TABLE: Final = 1146


class Server:
    """Connections to one database.

    Args:
        address: of the database.
        most: how many connections there are at most.
        seconds: how long a job may take.
    """

    def __init__(self, address: Address, most: int = CONNECTIONS, seconds: float = SECONDS) -> None:
        self.address = address
        self._most = most
        self._seconds = seconds
        self._pool: Pool | None = None

    async def open(self) -> None:
        """Connects.

        Raises:
            SettingsError: the server refuses the user, or has no such database.
            StoreUnavailable: the server does not answer.
        """
        arguments = self.address.arguments()
        self._pool = Pool(
            0,
            self._most,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=self._seconds,
            program_name="taskpath",
            sql_mode=MODE,
            init_command=ISOLATION,
            **arguments,
        )
        try:
            await self.run(_hello)
        except StoreUnavailable as unavailable:
            await self.close()
            error = unavailable.__cause__
            if code_of(error) in _REFUSED:
                raise SettingsError(
                    f"TASKPATH_INDEX names the database {self.address}, which cannot be used: "
                    f"{message_of(error)}."
                ) from error
            raise
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnects. Safe to call twice, and before open."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        pool.close()
        with suppress(TimeoutError, OSError, errors.MySQLError):
            async with asyncio.timeout(CONNECT_SECONDS):
                await pool.wait_closed()
                return
        pool.terminate()

    async def run(self, job: Job[T]) -> T:
        """Does a job on a connection: again if it loses against another, and if the connection was dead.

        Raises:
            StoreUnavailable: it was not done, or nobody knows; the same may succeed later.
        """
        try:
            async with asyncio.timeout(self._seconds):
                return await self._run(job)
        except TimeoutError as error:
            raise StoreUnavailable(
                f"The index ({self.address}) has not answered within {self._seconds:g} s."
            ) from error

    async def _run(self, job: Job[T]) -> T:
        conflicts = 0
        fresh = False
        while True:
            pool = self._pool
            if pool is None:
                raise StoreUnavailable(f"The index ({self.address}) is closed.")
            try:
                async with pool.acquire() as connection:
                    try:
                        return await job(connection)
                    except BaseException:
                        connection.close()
                        raise
            except (errors.MySQLError, OSError, EOFError) as error:
                code = code_of(error)
                if code in _CONFLICTS and conflicts < TRIES:
                    conflicts += 1
                elif not fresh and (code in _LOST or not isinstance(error, errors.MySQLError)):
                    fresh = True
                    # What else is idle is as old as what has just failed.
                    await pool.clear()
                elif is_fault(error):
                    raise StoreUnavailable(
                        f"The index ({self.address}) cannot be used: {message_of(error)}."
                    ) from error
                else:
                    raise


async def _hello(connection: Connection) -> None:
    await execute(connection, "select 1")


async def execute(connection: Connection, statement: str, values: Any = None) -> int:
    """Executes a statement; returns how many rows it changed."""
    async with connection.cursor() as cursor:
        await cursor.execute(statement, values)
        return cursor.rowcount if isinstance(cursor.rowcount, int) else 0


async def select(connection: Connection, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
    """The rows of a statement."""
    async with connection.cursor() as cursor:
        await cursor.execute(statement, values)
        return list(await cursor.fetchall())


def code_of(error: BaseException | None) -> int:
    """The number of a server's or driver's error; 0 if it has none."""
    if isinstance(error, errors.MySQLError) and error.args and isinstance(error.args[0], int):
        return error.args[0]
    return 0


def message_of(error: BaseException | None) -> str:
    """What an error says, without its number and a full stop."""
    if isinstance(error, errors.MySQLError) and len(error.args) > 1:
        text = str(error.args[1])
    else:
        text = str(error) or type(error).__name__
    return " ".join(text.split()).rstrip(".")


def is_fault(error: BaseException) -> bool:
    """Whether an error is the server's, or of the way to it; not the statement's."""
    if isinstance(error, (errors.DataError, errors.IntegrityError, errors.NotSupportedError)):
        return False
    return code_of(error) not in _NOT_OURS or code_of(error) == NO_SUCH_TABLE
