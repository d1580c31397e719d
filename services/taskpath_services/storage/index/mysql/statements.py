"""The statements of the index in MySQL: nothing but what MySQL 8 and MariaDB 10.6 both understand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import UNSET

from taskpath_proto.queries import InstanceSummary, ListInstances
from taskpath_proto.records import InstanceProgress, InstanceStatus
from taskpath_services.storage.index.listing import after_prefix, start_of
from taskpath_services.storage.index.merging import Merge

COLUMNS: Final = (
    "id", "revision", "realm", "workflow", "name", "status", "total", "done", "failed", "running", "fraction",
    "created_at", "updated_at",
)  # fmt: skip

ROWS: Final = f"select {', '.join(COLUMNS)} from taskpath_instances where id in ({{}}) order by id for update"

DELETE: Final = "delete from taskpath_instances where id in ({})"

INSERT: Final = (
    f"insert into taskpath_instances ({', '.join(COLUMNS)}) values ({', '.join(['%s'] * len(COLUMNS))})"
)

# `values()` is what both servers know; MySQL would rather have a row alias, which MariaDB has not.
REPLACE: Final = (
    INSERT
    + " on duplicate key update "
    + ", ".join(f"{name} = values({name})" for name in COLUMNS if name != "id")
)
"""For rows that are there, and locked. Keys whose columns stay as they are are not touched."""

INDEXED: Final = "select id, revision from taskpath_instances where id > %s order by id limit %s"


def as_bytes(text: str) -> bytes:
    """A text as it is kept. Half a surrogate pair, which an author's text may hold, is a question mark."""
    return text.encode("utf-8", "replace")


def places(count: int) -> str:
    """So many placeholders."""
    return ", ".join(["%s"] * count)


Row = tuple[Any, ...]
"""The values of :data:`COLUMNS`."""


def row_of(merge: Merge, before: Row | None) -> Row:
    """The row that a merge makes: of the one that is there, or anew."""
    change = merge.change
    if before is None or merge.fresh:
        before = (b"", 0, b"default", b"", None, "inactive", 0, 0, 0, 0, 0.0, 0, 0)
    _, _, realm, workflow, name, status, *progress, created_at, updated_at = before
    if change.realm is not UNSET:
        realm = as_bytes(change.realm)
    if change.workflow is not UNSET:
        workflow = as_bytes(change.workflow)
    if change.name is not UNSET:
        name = None if change.name is None else as_bytes(change.name)
    if change.status is not UNSET:
        status = change.status.value
    if (new := change.progress) is not UNSET:
        progress = [new.total, new.done, new.failed, new.running, new.fraction]
    if change.created_at is not UNSET:
        created_at = change.created_at
    if change.updated_at is not UNSET:
        updated_at = change.updated_at
    id = as_bytes(merge.id)
    return (id, merge.revision, realm, workflow, name, status, *progress, created_at, updated_at)


def summary_of(row: Sequence[Any]) -> InstanceSummary:
    """What a list shows of a row."""
    id, _, realm, workflow, name, status, total, done, failed, running, fraction, created_at, updated_at = row
    return InstanceSummary(
        id=id.decode(),
        workflow=workflow.decode(),
        realm=realm.decode(),
        name=None if name is None else name.decode(),
        status=InstanceStatus(status),
        progress=InstanceProgress(total, done, failed, running, fraction),
        created_at=created_at,
        updated_at=updated_at,
    )


def page(query: ListInstances) -> tuple[str, list[Any]]:
    """The statement of a page, of one more than its limit, and its values.

    Which index serves it is said here, so that no page ever scans the table, whatever the server's statistics
    say. Of names that begin alike, their number decides: they have to be sorted by time, in the index alone.
    """
    start = start_of(query)
    where: list[str] = []
    values: list[Any] = []

    def restrict(condition: str, *given: Any) -> None:
        where.append(condition)
        values.extend(given)

    index = "by"
    if query.realm is not None:
        restrict("realm = %s", as_bytes(query.realm))
        index += "_realm"
    if query.name:
        restrict("name >= %s", as_bytes(query.name))
        if (end := after_prefix(query.name)) is not None:
            restrict("name < %s", as_bytes(end))
        index += "_name"
    else:
        index += "_workflow" if query.workflow is not None else ""
        index += "_status" if query.status is not None else ""
    if index == "by":
        index = "by_time"
    if query.status is not None:
        restrict("status = %s", query.status.value)
    if query.workflow is not None:
        restrict("workflow = %s", as_bytes(query.workflow))
    if query.created_after is not None:
        restrict("created_at > %s", query.created_after)
    if query.created_before is not None:
        restrict("created_at < %s", query.created_before)
    if start is not None:
        # Neither server finds the range of a comparison of pairs in an index.
        restrict("created_at <= %s", start.created_at)
        restrict("(created_at < %s or id < %s)", start.created_at, as_bytes(start.id))
    condition = f" where {' and '.join(where)}" if where else ""
    rows = (
        f"from taskpath_instances force index ({index}){condition} order by created_at desc, id desc limit %s"
    )
    values.append(query.limit + 1)
    columns = ", ".join(COLUMNS)
    if not query.name:
        return f"select {columns} {rows}", values
    wanted = ", ".join(f"i.{name}" for name in COLUMNS)
    return (
        f"select {wanted} from (select id {rows}) p join taskpath_instances i on i.id = p.id"
        " order by i.created_at desc, i.id desc",
        values,
    )
