"""The index's MySQL or MariaDB."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from asyncmy import Connection, errors

from taskpath.runtime.settings import SettingsError
from taskpath_services.cli.doctor.findings import Finding, clock, note, ok, wrong
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.index.mysql import schema, statements
from taskpath_services.storage.index.mysql.address import Address
from taskpath_services.storage.index.mysql.server import Server, execute, message_of, select

CHECK: Final = "index"
SECONDS: Final = 5.0
MARIADB: Final = (10, 5)
MYSQL: Final = (8, 0)
PACKET: Final = 4 * 1024 * 1024
"""So many bytes a statement may need: a thousand rows with long names."""

_FACTS: Final = """
    select version(), @@max_allowed_packet, @@innodb_flush_log_at_trx_commit, @@global.read_only,
           unix_timestamp(now(3)), @@max_connections
"""
_COLUMNS: Final = """
    select column_name, data_type from information_schema.columns
    where table_schema = database() and table_name = 'taskpath_instances'
"""
_INDEXES: Final = """
    select distinct index_name from information_schema.statistics
    where table_schema = database() and table_name = 'taskpath_instances'
"""
_EXACT: Final = ("id", "realm", "workflow", "name")


async def mysql(url: str) -> AsyncIterator[Finding]:
    """Checks that the index can be used: reached, new enough, migrated, and written to."""
    server = Server(Address.of(url), most=1, seconds=SECONDS)
    try:
        await server.open()
        for finding in await server.run(_look):
            yield finding
    except (SettingsError, StoreUnavailable) as error:
        yield wrong(CHECK, str(error))
    finally:
        await server.close()


async def _look(connection: Connection) -> list[Finding]:
    ((version, packet, flush, read_only, now, connections),) = await select(connection, _FACTS)
    found = [_version(str(version))]
    if (skew := clock(CHECK, int(float(now) * 1000), time.time_ns() // 1_000_000)) is not None:
        found.append(skew)
    if packet < PACKET:
        found.append(
            wrong(CHECK, f"max_allowed_packet is {packet}; at least {PACKET} is expected, 16 MiB is usual.")
        )
    if connections < 50:
        found.append(note(CHECK, f"max_connections is {connections}; each storage process may open ten."))
    if flush != 1:
        found.append(
            note(
                CHECK,
                f"innodb_flush_log_at_trx_commit is {flush}: after a crash the index may lack its last "
                "second, which `taskpath reindex` puts right.",
            )
        )
    if read_only in (1, "1", "ON"):
        found.append(wrong(CHECK, "The server is read-only; its primary is expected."))
        return found
    missing = await schema.missing(connection)
    if missing:
        names = ", ".join(f"{migration.number:04} {migration.name}" for migration in missing)
        found.append(
            wrong(CHECK, f"Its tables are not those of this version ({names}); run `taskpath migrate`.")
        )
        return found
    found.extend(await _table(connection))
    return found


def _version(version: str) -> Finding:
    numbers = re.match(r"(?:5\.5\.5-)?(\d+)\.(\d+)", version)
    found = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    name, least = ("MariaDB", MARIADB) if "mariadb" in version.lower() else ("MySQL", MYSQL)
    expected = ".".join(map(str, least))
    if found < least:
        return wrong(CHECK, f"It is {name} {version}; at least {expected} is expected.")
    return ok(CHECK, f"{name} {version} answers; {expected} would do.")


async def _table(connection: Connection) -> list[Finding]:
    """The table as it is there, and whether it can be written to; what is written is taken back."""
    types = {str(name).lower(): str(kind).lower() for name, kind in await select(connection, _COLUMNS)}
    if inexact := [name for name in _EXACT if types.get(name) != "varbinary"]:
        return [
            wrong(
                CHECK,
                f"The column {inexact[0]} of taskpath_instances is {types.get(inexact[0], 'not there')}; "
                "varbinary is expected, or texts that differ in case or accents would be taken for the same.",
            )
        ]
    there = {str(name).lower() for (name,) in await select(connection, _INDEXES)}
    text = " ".join(part for migration in schema.migrations() for part in migration.statements)
    if lost := sorted(set(re.findall(r"\bindex (by_\w+)", text)) - there):
        return [
            wrong(
                CHECK, f"The table taskpath_instances lacks the keys {', '.join(lost)}: pages cannot be read."
            )
        ]
    row: tuple[Any, ...] = (b"?doctor", 0, b"", b"", None, "done", 0, 0, 0, 0, 0.0, 0, 0)
    try:
        await connection.begin()
        await execute(connection, statements.INSERT, row)
        await select(connection, statements.ROWS.format("%s"), (row[0],))
        await execute(connection, statements.DELETE.format("%s"), (row[0],))
        await connection.rollback()
    except errors.OperationalError as error:
        return [wrong(CHECK, f"Its user may not do what is needed: {message_of(error)}.")]
    return [ok(CHECK, "Its tables are up to date, and can be written to.")]
