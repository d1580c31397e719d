"""Changes for record stores, and short words for what is done with a store."""

from __future__ import annotations

from taskpath_proto.events import InstanceChanged, InstanceDeleted
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import (
    InstanceChange,
    InstanceStatus,
    TaskRecord,
)
from taskpath_proto.values import KEEP_BYTES, Inline
from taskpath_services.storage.records.contract import (
    Outcome,
    RecordStore,
    Write,
)
from taskpath_services.storage.records.dynamodb.store import DynamoRecords
from taskpath_services.storage.selection import Selection
from tests.support.changes import changed

NOW = 1_700_000_000_000
LARGE = '"' + "x" * KEEP_BYTES + '"'
APPLIED, REPEATED, REFUSED = Outcome.APPLIED, Outcome.REPEATED, Outcome.REFUSED
GAP, CONFLICT = Outcome.GAP, Outcome.CONFLICT


def deleted(
    revision: int, *, epoch: int = 1, id: str = "a", status: InstanceStatus | None = None
) -> InstanceDeleted:
    """An instance is gone."""
    return InstanceDeleted(id=id, partition=0, epoch=epoch, revision=revision, realm="r", status=status)


def created(
    id: str = "a", *, plan: Plan | None = None, epoch: int = 1, partition: int = 0
) -> InstanceChanged:
    """The first change of an instance."""
    change = InstanceChange(
        realm="r",
        workflow="w",
        data=Inline('{"n": 1}'),
        base_context=Inline("{}"),
        plan=plan or Plan(tasks=(TaskSpec(name="one"),), queue="q"),
        created_at=NOW,
    )
    return changed(1, id=id, epoch=epoch, partition=partition, instance=change)


async def commit(store: RecordStore, *writes: Write, now: int = NOW) -> list[Outcome]:
    """Commits at a time."""
    return await store.commit(writes, now)


def fitting(store: RecordStore, count: int) -> int:
    """How many of something fit into a test: the server in the place of DynamoDB takes 2 ms for each."""
    return count // 12 if isinstance(store, DynamoRecords) else count


async def tasks(store: RecordStore, id: str = "a") -> dict[str, TaskRecord]:
    """The records of an instance's tasks, by path."""
    return {task.path: task for task in (await store.load(id)).tasks}


async def view(store: RecordStore, **selection: object) -> set[str]:
    """The paths that a view shows."""
    found = await store.view("a", Selection(**selection))  # type: ignore[arg-type]  # named by the tests
    return {task.path for task in found.tasks}
