"""The table, by its few operations. Whatever goes wrong with it is StoreUnavailable.

What DynamoDB leaves undone of a batch, because it is asked for too much, is done again a moment later; so is
a transaction that met another one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, TypeAlias

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from taskpath.runtime.settings import SettingsError
from taskpath_services.storage.faults import StoreUnavailable
from taskpath_services.storage.records.dynamodb.address import Address
from taskpath_services.storage.records.dynamodb.portions import portions

Item: TypeAlias = dict[str, dict[str, Any]]
"""Attributes by name, as DynamoDB writes them: ``{"S": "text"}``."""

Key: TypeAlias = tuple[str, str]
"""Partition key and sort key."""

GET: Final = 100
WRITE: Final = 25
TRANSACT: Final = 100
"""Items in one request, by kind; DynamoDB's own limits."""

CONNECTIONS: Final = 32
TRIES: Final = 10
FIRST_DELAY: Final = 0.05
LAST_DELAY: Final = 2.0
"""Seconds before something is tried again that DynamoDB had no room for."""

# What will not be better when it is tried again: a bug.
_BUGS: Final = frozenset({"ValidationException", "SerializationException"})


class Table:
    """One DynamoDB table with the keys ``pk`` and ``sk``, both text.

    Args:
        address: where it is.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._exits = AsyncExitStack()
        self._client: Any = None
        self.made = False
        """Whether it was not there, and was made when it was opened."""

    async def open(self) -> None:
        """Connects.

        Raises:
            SettingsError: there is no such table, or nothing says where, or who we are.
            StoreUnavailable: it is away.
        """
        if self._client is not None:
            return
        address = self._address
        config = AioConfig(
            connect_timeout=3,
            read_timeout=20,
            max_pool_connections=CONNECTIONS,
            retries={"mode": "standard", "max_attempts": 2},
        )
        try:
            self._client = await self._exits.enter_async_context(
                get_session().create_client(
                    "dynamodb",
                    region_name=address.region,
                    endpoint_url=address.endpoint,
                    aws_access_key_id=address.key,
                    aws_secret_access_key=address.secret,
                    config=config,
                )
            )
        except NoRegionError:
            raise SettingsError(
                f"TASKPATH_RECORDS is {address.shown}, which names no region; ?region=… is expected."
            ) from None
        try:
            if not await self._exists():
                if not address.create:
                    raise SettingsError(
                        f"TASKPATH_RECORDS is {address.shown}, and there is no such table; "
                        "`taskpath migrate` makes it, and so does &create=1."
                    )
                await self.create()
                self.made = True
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnects."""
        self._client = None
        await self._exits.aclose()

    async def create(self) -> None:
        """Makes the table, unless it is there. What is asked of it is paid for; nothing has to be planned."""
        client = self._open_client()
        try:
            await client.create_table(
                TableName=self._address.table,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[
                    {"AttributeName": "pk", "KeyType": "HASH"},
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                ],
                AttributeDefinitions=[
                    {"AttributeName": "pk", "AttributeType": "S"},
                    {"AttributeName": "sk", "AttributeType": "S"},
                ],
            )
            await client.get_waiter("table_exists").wait(
                TableName=self._address.table, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
            )
        except (ClientError, BotoCoreError, OSError, TimeoutError) as error:
            if _code(error) != "ResourceInUseException":
                raise self._fault(error) from error

    async def _exists(self) -> bool:
        try:
            await self._open_client().describe_table(TableName=self._address.table)
        except NoCredentialsError:
            raise SettingsError(
                f"TASKPATH_RECORDS is {self._address.shown}, and no AWS credentials are found; those of the "
                "environment, a profile or the machine's role are expected."
            ) from None
        except (ClientError, BotoCoreError, OSError, TimeoutError) as error:
            if _code(error) == "ResourceNotFoundException":
                return False
            raise self._fault(error) from error
        return True

    async def get(self, key: Key) -> Item | None:
        """An item, as it is now."""
        answer = await self._call("get_item", Key=bare(key), ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    async def get_many(self, keys: Sequence[Key], attributes: Sequence[str] = ()) -> dict[Key, Item]:
        """Items by their keys; those that are not there are missing."""
        parts = [keys[start : start + GET] for start in range(0, len(keys), GET)]
        found: dict[Key, Item] = {}
        for some in await gathered([self._get_some(part, attributes) for part in parts]):
            found.update(some)
        return found

    async def _get_some(self, keys: Sequence[Key], attributes: Sequence[str]) -> dict[Key, Item]:
        found: dict[Key, Item] = {}
        wanted: dict[str, Any] = {"Keys": [bare(key) for key in keys], "ConsistentRead": True}
        if attributes:
            names = {f"#{place}": name for place, name in enumerate(("pk", "sk", *attributes))}
            wanted |= {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}

        async def attempt() -> bool:
            answer = await self._call_all("batch_get_item", RequestItems={self._address.table: wanted})
            for item in answer["Responses"].get(self._address.table, ()):
                found[key_of(item)] = item
            wanted["Keys"] = answer.get("UnprocessedKeys", {}).get(self._address.table, {}).get("Keys", [])
            return not wanted["Keys"]

        await self._patiently(attempt)
        return found

    async def write_many(self, puts: Iterable[Item] = (), deletes: Iterable[Key] = ()) -> None:
        """Puts and deletes items, each by itself and without a condition."""
        requests: list[dict[str, Any]] = [{"PutRequest": {"Item": item}} for item in puts]
        requests += [{"DeleteRequest": {"Key": bare(key)}} for key in deletes]
        await gathered([self._write_some(portion) for portion in portions(requests, WRITE)])

    async def _write_some(self, requests: list[dict[str, Any]]) -> None:
        async def attempt() -> bool:
            nonlocal requests
            answer = await self._call_all("batch_write_item", RequestItems={self._address.table: requests})
            requests = answer.get("UnprocessedItems", {}).get(self._address.table, [])
            return not requests

        await self._patiently(attempt)

    async def query(
        self,
        pk: str,
        *,
        low: str | None = None,
        high: str | None = None,
        after: str | None = None,
        limit: int | None = None,
        backwards: bool = False,
        attributes: Sequence[str] = (),
        newer: int = 0,
    ) -> list[Item]:
        """Items of one partition key, in the order of their sort keys.

        Args:
            pk: the partition key.
            low: the first sort key.
            high: the sort key before which it ends; not without ``low``.
            after: the sort key after which it begins; not with ``low``.
            limit: at most so many.
            backwards: whether they are wanted in the opposite order.
            attributes: only these, and the keys.
            newer: only those with a ``revision`` above this one.
        """
        condition, names, values = "#pk = :pk", {"#pk": "pk"}, {":pk": {"S": pk}}
        if low is not None and high is not None:
            # Both ends of BETWEEN are included; nothing has this very key.
            condition += " AND #sk BETWEEN :low AND :high"
            values |= {":low": {"S": low}, ":high": {"S": high}}
            names["#sk"] = "sk"
        elif after is not None:
            condition += " AND #sk > :after"
            values[":after"] = {"S": after}
            names["#sk"] = "sk"
        request: dict[str, Any] = {"ConsistentRead": True, "ScanIndexForward": not backwards}
        if attributes:
            projected = {f"#p{place}": name for place, name in enumerate(("pk", "sk", *attributes))}
            request["ProjectionExpression"] = ", ".join(projected)
            names |= projected
        if newer:
            request["FilterExpression"] = "#revision > :newer"
            names["#revision"] = "revision"
            values[":newer"] = {"N": str(newer)}
        found: list[Item] = []
        start: Item | None = None
        while True:
            if limit is not None:
                request["Limit"] = limit - len(found)
            if start is not None:
                request["ExclusiveStartKey"] = start
            answer = await self._call(
                "query",
                KeyConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                **request,
            )
            found.extend(item for item in answer["Items"] if high is None or item["sk"]["S"] < high)
            start = answer.get("LastEvaluatedKey")
            if start is None or (limit is not None and len(found) >= limit):
                return found

    async def put(self, item: Item, condition: Condition | None = None) -> bool:
        """Puts an item; false if its condition does not hold."""
        return await self._conditional("put_item", Item=item, **(condition or {}))

    async def update(self, action: Mapping[str, Any]) -> bool:
        """Makes one action of a transaction by itself; false if its condition does not hold."""
        ((kind, request),) = action.items()
        names = {"Put": "put_item", "Update": "update_item", "Delete": "delete_item"}
        return await self._conditional(names[kind], **request)

    async def transact(self, actions: Sequence[Mapping[str, Any]]) -> set[int]:
        """Makes some actions, all or none. Gives the places of those whose condition does not hold: then
        nothing was done."""
        failed: set[int] = set()
        request = [
            {kind: {"TableName": self._address.table, **action} for kind, action in one.items()}
            for one in actions
        ]

        async def attempt() -> bool:
            try:
                await self._open_client().transact_write_items(TransactItems=request)
            except ClientError as error:
                if _code(error) != "TransactionCanceledException":
                    raise
                reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", ())]
                failed.update(place for place, code in enumerate(reasons) if code == "ConditionalCheckFailed")
                if failed:
                    return True
                if "ValidationError" in reasons:
                    raise
                # It met another transaction, or there was no room for it.
                return False
            return True

        await self._patiently(attempt)
        return failed

    async def _conditional(self, operation: str, **request: Any) -> bool:
        try:
            await getattr(self._open_client(), operation)(TableName=self._address.table, **request)
        except (ClientError, BotoCoreError, OSError, TimeoutError) as error:
            if _code(error) == "ConditionalCheckFailedException":
                return False
            raise self._fault(error) from error
        return True

    async def _call(self, operation: str, **request: Any) -> Any:
        return await self._call_all(operation, TableName=self._address.table, **request)

    async def _call_all(self, operation: str, **request: Any) -> Any:
        try:
            return await getattr(self._open_client(), operation)(**request)
        except (ClientError, BotoCoreError, OSError, TimeoutError) as error:
            raise self._fault(error) from error

    async def _patiently(self, attempt: Callable[[], Awaitable[bool]]) -> None:
        """Makes attempts until one has done everything."""
        delay = FIRST_DELAY
        for _ in range(TRIES):
            try:
                if await attempt():
                    return
            except (ClientError, BotoCoreError, OSError, TimeoutError) as error:
                raise self._fault(error) from error
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))
            delay = min(delay * 2, LAST_DELAY)
        raise StoreUnavailable(f"The records ({self._address.shown}) have no room for what they are asked.")

    def _open_client(self) -> Any:
        if self._client is None:
            raise StoreUnavailable(f"The records ({self._address.shown}) are closed.")
        return self._client

    def _fault(self, error: Exception) -> Exception:
        code = _code(error)
        if code in _BUGS:
            return error
        return StoreUnavailable(
            f"The records ({self._address.shown}) cannot be used: {code or type(error).__name__}."
        )


Condition: TypeAlias = Mapping[str, Any]
"""A condition expression with its names and values."""


async def gathered(work: Sequence[Awaitable[Any]]) -> list[Any]:
    """What some work gives that goes on at once; if one fails the others are not left alone."""
    if len(work) == 1:
        return [await work[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_awaited(one)) for one in work]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


def key_of(item: Item) -> Key:
    """The key of an item."""
    return item["pk"]["S"], item["sk"]["S"]


def bare(key: Key) -> Item:
    """An item that is nothing but its key."""
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def _code(error: Exception) -> str | None:
    if not isinstance(error, ClientError):
        return None
    code: str | None = error.response.get("Error", {}).get("Code")
    return code
