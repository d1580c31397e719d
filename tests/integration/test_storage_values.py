"""Values as storage gives them out: over the bus, with real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.records import TaskChange, TaskStatus
from taskpath_proto.values import Blob, Inline, Item, Joined, Stored, Value
from tests.support.storage import FAN, LARGE, System, changed, created


async def test_bodies_and_blobs_are_read(system: System) -> None:
    blob = await system.put("#.one", "body", 1, '"blob"')
    assert blob == Blob("#.one", "body", 1, 6)
    await system.publish(created())
    await system.publish(
        changed(2, TaskChange(path="#.one", body=blob), TaskChange(path="#.two", body=Inline("2")))
    )
    assert await system.read(blob) == '"blob"'
    assert await system.read(Stored("#.one", 6)) == '"blob"'
    assert await system.read(Stored("#.two", 1)) == "2"
    await system.publish(changed(3, TaskChange(path="#.one", body=Inline(LARGE))))
    assert await system.read(Stored("#.one", 6)) == LARGE
    # The blob is gone, and stands for what the record has now.
    assert await system.read(blob) == LARGE
    assert await system.read(blob, min_revision=3) == LARGE


async def test_an_item_of_a_list(system: System) -> None:
    items = await system.put("#.fan", "items", 1, '[{"a": 1}, 2 ]')
    await system.publish(created())
    await system.publish(changed(2, TaskChange(path="#.fan", items=items, count=2)))
    assert await system.read(Item(items, 0)) == '{"a": 1}'
    assert await system.read(Item(items, 1)) == "2"
    with pytest.raises(TaskpathError, match="no item 2"):
        await system.read(Item(items, 2))


async def test_a_joined_list_has_the_items_in_their_order(system: System) -> None:
    changes = [TaskChange(path="#.plain", count=12)]
    bodies: list[Value | None] = [Inline(str(index)) for index in range(12)]
    bodies[2], bodies[3], bodies[10] = (
        None,
        Inline(LARGE),
        await system.put("#.plain[10]", "body", 1, '"blob"'),
    )
    changes += [
        TaskChange(path=f"#.plain[{index}]", status=TaskStatus.OK, body=body)
        for index, body in enumerate(bodies)
    ]
    await system.publish(created(FAN))
    await system.publish(changed(2, *changes))
    # What it left before does not count.
    await system.publish(changed(3, TaskChange(path="#.plain[5]", status=TaskStatus.CANCELLED)))
    joined = Joined("#.plain", "list", 12)
    assert await system.read(joined) == f'[0,1,null,{LARGE},4,null,6,7,8,9,"blob",11]'
    assert await system.read(Item(joined, 3)) == LARGE
    assert await system.read(Item(joined, 2)) == "null"
    shape = Joined("#", "dict", 2, (("é", joined), ("two", Stored("#.plain[1]", 1))))
    assert await system.read(shape) == f'{{"é":[0,1,null,{LARGE},4,null,6,7,8,9,"blob",11],"two":1}}'
    assert await system.read(Joined("#.plain", "list", 0)) == "[]"
    assert await system.read(Joined("#", "dict", 0)) == "{}"


async def test_items_that_are_groups_are_joined_themselves(system: System) -> None:
    ok, skipped = TaskStatus.OK, TaskStatus.SKIPPED
    item = "#.groups[0]"
    await system.publish(created(FAN))
    await system.publish(
        changed(
            2,
            TaskChange(path="#.groups", count=3),
            # The body of a group is of its own function; its result is made of its subtasks'.
            TaskChange(path=item, status=ok, body=Inline('"own"')),
            TaskChange(path=f"{item}.a", status=ok, body=Inline("1")),
            TaskChange(path=f'{item}.b"', status=ok),
            TaskChange(path=f'{item}.b".d', status=ok, body=Inline(LARGE)),
            TaskChange(path=f"{item}.inner", status=ok, count=2),
            TaskChange(path=f"{item}.inner[0]", status=ok, body=Inline("3")),
            TaskChange(path=f"{item}.inner[1]", status=ok, body=Inline("4")),
            TaskChange(path=f"{item}.skipped", status=skipped, body=Inline('"old"')),
            TaskChange(path="#.groups[1]", status=ok),
        )
    )
    joined = Joined("#.groups", "list", 3)
    first = f'{{"a":1,"b\\"":{{"d":{LARGE}}},"inner":[3,4]}}'
    assert await system.read(joined) == f"[{first},{{}},null]"
    assert await system.read(Item(joined, 0)) == first


async def test_a_value_that_is_not_there(system: System) -> None:
    with pytest.raises(TaskpathError) as caught:
        await system.read(Stored("#.one", 1))
    assert caught.value.code is ErrorCode.UNKNOWN_INSTANCE
    await system.publish(created())
    for value in (Stored("#.one", 1), Blob("#.one", "body", 1, 1), Blob("#.one", "nonsense", 1, 1)):
        with pytest.raises(TaskpathError) as caught:
            await system.read(value)
        assert caught.value.code is ErrorCode.CANNOT_FIND_TASK
    await system.publish(
        changed(
            2, TaskChange(path="#.x", body=Stored("#.y", 1)), TaskChange(path="#.y", body=Stored("#.x", 1))
        )
    )
    with pytest.raises(TaskpathError, match="refers to itself"):
        await system.read(Stored("#.x", 1))


async def test_a_value_above_the_limit_is_refused(tmp_path: Path) -> None:
    system = System(tmp_path, max_value=2_000)
    await system.start()
    try:
        with pytest.raises(TaskpathError) as caught:
            await system.put("#.one", "body", 1, '"' + "é" * 1_000 + '"')
        assert caught.value.code is ErrorCode.TOO_LARGE
        half = '"' + "x" * 1_000 + '"'
        await system.publish(created(FAN))
        await system.publish(
            changed(
                2,
                *(
                    TaskChange(path=f"#.plain[{i}]", status=TaskStatus.OK, body=Inline(half))
                    for i in range(2)
                ),
            )
        )
        with pytest.raises(TaskpathError) as caught:
            await system.read(Joined("#.plain", "list", 2))
        assert caught.value.code is ErrorCode.TOO_LARGE
    finally:
        await system.stop()
