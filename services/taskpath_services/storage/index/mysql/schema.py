"""The schema of the index on a server: numbered SQL files, each applied once.

MySQL cannot take back a change of a schema, so each statement is one that can be repeated, and what has been
applied is noted after it. A migration leaves the version before it working, because that still runs while
replicas are replaced; so a service accepts a schema that is newer than it knows, and none that is older.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from importlib.resources import files
from typing import Final

import msgspec
from asyncmy import Connection, errors

from taskpath.runtime.settings import SettingsError
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.index.mysql.server import NO_SUCH_TABLE, code_of, execute, select

LOCK_SECONDS: Final = 60
"""How long a migration waits for another one."""

APPLIED: Final = """
    create table if not exists taskpath_migrations (
        number int not null primary key, name varchar(200) not null, applied_at datetime(3) not null
    ) engine = InnoDB default charset = utf8mb4 collate = utf8mb4_bin
"""

NOTED: Final = """
    insert into taskpath_migrations (number, name, applied_at) values (%s, %s, utc_timestamp(3))
"""

_DONE_BEFORE: Final = frozenset({1050, 1060, 1061, 1091})
"""There is such a table, column or key already; there is none that could be dropped."""

_NAME: Final = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class Migration(msgspec.Struct, frozen=True):
    """A numbered file of statements."""

    number: int
    name: str
    statements: tuple[str, ...]


def migrations() -> list[Migration]:
    """All that this version knows, in their order."""
    found: list[Migration] = []
    for file in files(f"{__package__}.migrations").iterdir():
        if match := _NAME.fullmatch(file.name):
            found.append(Migration(int(match[1]), match[2], _statements(file.read_text(encoding="utf-8"))))
    return sorted(found, key=lambda migration: migration.number)


def _statements(text: str) -> tuple[str, ...]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return tuple(part.strip() for part in "\n".join(lines).split(";") if part.strip())


async def migrate(connection: Connection, database: str) -> list[str]:
    """Applies what is missing; says what that was.

    Args:
        connection: to the database, not in a transaction.
        database: its name.

    Raises:
        StoreUnavailable: another migration has been under way for too long.
    """
    lock = "taskpath-migrate-" + blake2b(database.encode(), digest_size=8).hexdigest()
    ((got,),) = await select(connection, "select get_lock(%s, %s)", (lock, LOCK_SECONDS))
    if got != 1:
        raise StoreUnavailable(f"Another migration of {database} has not ended within {LOCK_SECONDS} s.")
    try:
        await execute(connection, APPLIED)
        known = await applied(connection)
        done: list[str] = []
        for migration in migrations():
            if migration.number in known:
                continue
            for statement in migration.statements:
                await _apply(connection, statement)
            await execute(
                connection,
                NOTED,
                (migration.number, migration.name),
            )
            done.append(f"{migration.number:04} {migration.name}")
        return done
    finally:
        await select(connection, "select release_lock(%s)", (lock,))


async def _apply(connection: Connection, statement: str) -> None:
    try:
        await execute(connection, statement)
    except errors.MySQLError as error:
        if code_of(error) not in _DONE_BEFORE:
            raise


async def applied(connection: Connection) -> set[int]:
    """The numbers of the migrations that have been applied; none if the database is empty."""
    try:
        return {number for (number,) in await select(connection, "select number from taskpath_migrations")}
    except errors.MySQLError as error:
        if code_of(error) == NO_SUCH_TABLE:
            return set()
        raise


async def missing(connection: Connection) -> list[Migration]:
    """What this version needs and has not been applied."""
    known = await applied(connection)
    return [migration for migration in migrations() if migration.number not in known]


async def expect(connection: Connection, database: str) -> None:
    """Sees whether the schema will do.

    Raises:
        SettingsError: it is older than this version needs.
    """
    if lacks := await missing(connection):
        names = ", ".join(f"{migration.number:04} {migration.name}" for migration in lacks)
        raise SettingsError(
            f"TASKPATH_INDEX names the database {database}, whose tables are not those of this version "
            f"(missing: {names}); run `taskpath migrate`."
        )
