"""What every record store does with values and log lines."""

from __future__ import annotations

from taskpath_proto.events import LogLine, LogsWritten
from taskpath_proto.queries import PutBlob
from taskpath_proto.records import (
    TaskChange,
    TaskStatus,
)
from taskpath_proto.values import INLINE_BYTES, KEEP_BYTES, Blob, Inline, Stored
from taskpath_services.storage.records.contract import (
    OWN,
    RecordStore,
)
from taskpath_services.storage.selection import items_of
from tests.support.changes import changed
from tests.support.record_changes import (
    APPLIED,
    LARGE,
    NOW,
    commit,
    created,
    tasks,
)


async def test_a_large_value_is_kept_beside_the_record(store: RecordStore) -> None:
    change = TaskChange(path="#.one", body=Inline(LARGE), items=Inline(LARGE), argument=Inline("1"))
    await commit(store, created(), changed(2, change))
    record = (await tasks(store))["#.one"]
    assert record.body == Stored("#.one", len(LARGE))
    assert record.items == Blob("#.one", "items", OWN, len(LARGE))
    assert record.argument == Inline("1")
    assert await store.value("a", "#.one", "body") == record.body
    assert await store.value("a", "#.one", "updaters") is None
    keys = [("#.one", "body", OWN), ("#.one", "items", OWN), ("#.one", "updaters", OWN)]
    assert await store.texts("a", keys) == {keys[0]: LARGE, keys[1]: LARGE}
    shown = await store.task("a", "#.one")
    assert shown.task is not None
    assert (shown.task.body, shown.task.items) == (Inline(LARGE), Inline(LARGE))


async def test_the_size_that_counts_is_that_in_bytes(store: RecordStore) -> None:
    text = '"' + "é" * (KEEP_BYTES // 2) + '"'
    await commit(store, created(), changed(2, TaskChange(path="#.one", body=Inline(text))))
    assert (await tasks(store))["#.one"].body == Stored("#.one", KEEP_BYTES + 2)
    fits = "x" * (KEEP_BYTES - 2)
    await commit(store, changed(3, TaskChange(path="#.one", body=Inline(f'"{fits}"'))))
    assert (await tasks(store))["#.one"].body == Inline(f'"{fits}"')


async def test_a_value_too_large_for_a_message_stays_a_reference(store: RecordStore) -> None:
    text = '"' + "x" * INLINE_BYTES + '"'
    await commit(store, created(), changed(2, TaskChange(path="#.one", body=Inline(text))))
    shown = await store.task("a", "#.one")
    assert shown.task is not None
    assert shown.task.body == Stored("#.one", len(text))


async def test_a_small_value_after_a_large_one(store: RecordStore) -> None:
    await commit(store, created(), changed(2, TaskChange(path="#.one", body=Inline(LARGE))))
    await commit(store, changed(3, TaskChange(path="#.one", duration=1)))
    assert len(await store.texts("a", [("#.one", "body", OWN)])) == 1
    await commit(store, changed(4, TaskChange(path="#.one", body=Inline("1"))))
    assert await store.texts("a", [("#.one", "body", OWN)]) == {}
    assert (await tasks(store))["#.one"].body == Inline("1")


async def test_large_values_within_one_group_are_replaced(store: RecordStore) -> None:
    other = LARGE.replace("x", "y")
    await commit(
        store,
        created(),
        changed(
            2, TaskChange(path="#.one", body=Inline(LARGE)), TaskChange(path="#.two", body=Inline(LARGE))
        ),
        changed(3, TaskChange(path="#.one", body=Inline(other)), TaskChange(path="#.two", body=None)),
    )
    one, two = ("#.one", "body", OWN), ("#.two", "body", OWN)
    assert await store.texts("a", [one, two]) == {one: other}


async def put(store: RecordStore, version: int) -> tuple[str, str, int]:
    await commit(store, PutBlob("a", "#.one", "body", version, f'"{version}"'))
    return ("#.one", "body", version)


async def test_blobs_older_than_the_current_one_are_removed(store: RecordStore) -> None:
    first, second, third = [await put(store, version) for version in (1, 2, 3)]
    await commit(store, created(), changed(2, TaskChange(path="#.one", body=Blob("#.one", "body", 2, 3))))
    # The third belongs to an attempt whose report has not come yet.
    assert await store.texts("a", [first, second, third]) == {second: '"2"', third: '"3"'}
    await commit(store, changed(3, TaskChange(path="#.one", body=Inline("1"))))
    assert await store.texts("a", [second, third]) == {third: '"3"'}
    await commit(store, changed(4, TaskChange(path="#.one", body=Blob("#.one", "body", 3, 3))))
    await commit(store, changed(5, TaskChange(path="#.one", body=Inline(LARGE))))
    own = ("#.one", "body", OWN)
    assert await store.texts("a", [third, own]) == {own: LARGE}
    fourth = await put(store, 4)
    await commit(store, changed(6, TaskChange(path="#.one", body=Blob("#.one", "body", 4, 3))))
    assert await store.texts("a", [fourth, own]) == {fourth: '"4"'}


async def test_a_record_may_repeat_the_reference_to_its_own_value(store: RecordStore) -> None:
    await commit(store, created(), changed(2, TaskChange(path="#.one", items=Inline(LARGE))))
    record = (await tasks(store))["#.one"]
    await commit(store, changed(3, TaskChange(path="#.one", items=record.items)))
    assert len(await store.texts("a", [("#.one", "items", OWN)])) == 1


async def test_what_tasks_have_left(store: RecordStore) -> None:
    paths = [f"#.fan[{index}]" for index in range(12)] + ["#.fan[3].sub", "#.fan", "#.fan2", "#.fan2[0]"]
    await commit(
        store, created(), changed(2, *(TaskChange(path=path, body=Inline(f'"{path}"')) for path in paths))
    )
    await commit(
        store,
        changed(
            3,
            TaskChange(path="#.fan[1]", updaters=Inline("[]")),
            TaskChange(path="#.fan[2]", updaters=None, executor='"updaters":['),
            TaskChange(path="#.fan[4]", updaters=Inline(LARGE)),
            TaskChange(
                path="#.fan", own=TaskStatus.OK, left=7, items=Inline("[0]"), count=12, status=TaskStatus.OK
            ),
        ),
    )
    spans = [items_of("#.fan")]
    found = {one.path: one.body for one in await store.results("a", spans)}
    assert found == {path: Inline(f'"{path}"') for path in paths if path.startswith("#.fan[")}
    updated = {one.path: one.updaters for one in await store.results("a", spans, updated=True)}
    assert updated == {"#.fan[1]": Inline("[]"), "#.fan[4]": Blob("#.fan[4]", "updaters", OWN, len(LARGE))}
    (foreach,) = await store.results("a", [("#.fan", "#.fan\x01")])
    assert (foreach.status, foreach.own, foreach.left) == (TaskStatus.OK, TaskStatus.OK, 7)
    assert (foreach.items, foreach.count) == (Inline("[0]"), 12)
    assert await store.results("a", []) == []


def lines(first: int, last: int, attempt: int = 1) -> LogsWritten:
    written = [LogLine(NOW, "info", f"line {n}", attempt, n) for n in range(first, last + 1)]
    return LogsWritten("a", 0, "#.one", written)


async def test_logs_are_read_in_order_and_go_on(store: RecordStore) -> None:
    await commit(store, created(), lines(1, 3))
    first = await store.logs("a", "#.one", 0, 2)
    assert [line.n for line in first.lines] == [1, 2]
    rest = await store.logs("a", "#.one", first.next, 10)
    assert [line.n for line in rest.lines] == [3]
    end = await store.logs("a", "#.one", rest.next, 10)
    assert (end.lines, end.next) == ([], rest.next)
    await commit(store, lines(1, 1, attempt=2))
    assert [line.attempt for line in (await store.logs("a", "#.one", end.next, 10)).lines] == [2]
    assert (await store.logs("a", "#.other", 0, 10)).lines == []


async def test_repeated_lines_are_dropped(store: RecordStore) -> None:
    await commit(store, created(), lines(1, 3), lines(2, 4))
    await commit(store, lines(1, 5), lines(1, 1, attempt=2))
    found = await store.logs("a", "#.one", 0, 100)
    assert [(line.attempt, line.n) for line in found.lines] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (1, 5),
        (2, 1),
    ]
    assert found.next == 6


async def test_old_lines_go_and_the_cursor_keeps_counting(store: RecordStore) -> None:
    await commit(store, created())
    for start in range(1, 12_001, 3_000):
        await commit(store, lines(start, start + 2_999))
    found = await store.logs("a", "#.one", 0, 20_000)
    seen = found.lines
    while found.lines:
        found = await store.logs("a", "#.one", found.next, 20_000)
        seen = seen + found.lines
    assert [line.n for line in seen] == list(range(2_001, 12_001))
    assert found.next == 12_000


async def test_a_page_of_long_lines_fits_into_a_message(store: RecordStore) -> None:
    long = [LogLine(NOW, "info", "é" * 20_000, 1, n) for n in range(1, 101)]
    await commit(store, created(), LogsWritten("a", 0, "#.one", long))
    found = await store.logs("a", "#.one", 0, 100)
    assert 1 < len(found.lines) < 100
    assert all(line.text == "é" * 8_192 for line in found.lines)
    assert (await store.logs("a", "#.one", found.next, 100)).lines[0].n == found.lines[-1].n + 1


async def test_lines_may_come_before_their_instance(store: RecordStore) -> None:
    assert await commit(store, lines(1, 2)) == [APPLIED]
    assert not (await store.logs("a", "#.one", 0, 10)).known
    await commit(store, created())
    assert len((await store.logs("a", "#.one", 0, 10)).lines) == 2
