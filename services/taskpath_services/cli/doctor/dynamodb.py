"""The record store's DynamoDB."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from taskpath.runtime.settings import SettingsError
from taskpath_services.cli.doctor.findings import Finding, ok, wrong
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.records.dynamodb.address import Address
from taskpath_services.storage.records.dynamodb.table import Table

CHECK = "records"


async def dynamodb(url: str) -> AsyncIterator[Finding]:
    """Checks that there is the table, and that we may use it; it is not made."""
    try:
        address = msgspec.structs.replace(Address.parse(url), create=False)
    except SettingsError as error:
        yield wrong(CHECK, str(error))
        return
    table = Table(address)
    try:
        await table.open()
        await table.get(("?doctor", "?doctor"))
    except (SettingsError, StoreUnavailable) as error:
        yield wrong(CHECK, str(error))
    else:
        yield ok(CHECK, f"DynamoDB has the table {address.table}, and answers.")
    finally:
        await table.close()
