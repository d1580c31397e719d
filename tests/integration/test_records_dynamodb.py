"""What is DynamoDB's own about the record store there: its table, its URL, and what it tells of faults."""

from __future__ import annotations

import pytest

from taskpath.runtime.settings import Settings, SettingsError
from taskpath_proto.events import InstanceChanged
from taskpath_proto.records import InstanceChange
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.records.contract import Outcome
from taskpath_services.storage.records.dynamodb.store import DynamoRecords
from taskpath_services.storage.stores import records_of
from tests.support.servers.dynamodb import DynamoDB
from tests.support.servers.keeper import Keeper


async def test_a_table_that_is_not_there_stops_the_start_unless_it_may_be_made(dynamodb: DynamoDB) -> None:
    place = dynamodb.new_table()
    store = DynamoRecords(f"{place}&create=0")
    with pytest.raises(SettingsError, match="no such table"):
        await store.open()
    await store.close()
    for _ in range(2):
        store = DynamoRecords(f"{place}&create=1")
        await store.open()
        await store.close()
    store = DynamoRecords(f"{place}&create=0")
    await store.open()
    change = InstanceChanged("a", 0, 1, 1, 0, instance=InstanceChange(realm="r"))
    assert await store.commit([change], 5) == [Outcome.APPLIED]
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.load("a")


async def test_no_secret_is_told(keeper: Keeper) -> None:
    endpoint = f"http://127.0.0.1:{keeper.port()}"
    store = DynamoRecords(f"dynamodb://AKIA:hunter2@Table_1?region=eu-west-1&endpoint={endpoint}")
    with pytest.raises(StoreUnavailable) as raised:
        await store.open()
    assert "hunter2" not in str(raised.value)
    assert "Table_1" in str(raised.value)
    await store.close()


@pytest.mark.parametrize(
    "url",
    [
        "dynamodb://AKIA:hunter2@",
        "dynamodb://AKIA:hunter2@table/deeper",
        "dynamodb://hunter2@table",
        "dynamodb://AKIA:hunter2@table?colour=red",
        "dynamodb://AKIA:hunter2@table?create=perhaps",
    ],
)
def test_a_wrong_url_stops_the_start(url: str) -> None:
    with pytest.raises(SettingsError) as raised:
        records_of(Settings(records=url))
    assert "TASKPATH_RECORDS" in str(raised.value)
    assert "hunter2" not in str(raised.value)
