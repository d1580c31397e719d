"""What must hold of what is stored: by itself at any time, and by the model when nothing is under way."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import msgspec

from taskpath.staleness import stale_of
from taskpath_proto import paths
from taskpath_proto.records import InstanceStatus, Rollup, TaskRecord
from tests.support.scheduler_behaviour import Behaviours, digest, plain
from tests.support.scheduler_functions import Seen
from tests.support.scheduler_model import Context, Model, Thing
from tests.support.scheduler_storage import Shelf

ORDER = ("inactive", "queued", "running", "ok", "failed", "skipped", "cancelled")


def stored_model(shelf: Shelf, like: Model, *, with_values: bool) -> Model:
    """A model whose tasks are as the records say."""
    model = Model(shelf.record.plan, like.does, like.data, like.base)
    _fill(model.root, shelf, with_values=with_values)
    return model


def _fill(thing: Thing, shelf: Shelf, *, with_values: bool) -> None:
    record = shelf.tasks.get(thing.path)
    if record is not None:
        own = record.status if thing.plain else record.own
        if thing.own is not None and own is not None:
            thing.own = str(own)
        thing.bound, thing.left, thing.attempt = record.bound, record.left, record.attempt
        thing.own_left = record.left if thing.plain else record.own_left
        thing.joined = record.left > 0
        thing.joining = str(record.joining) if record.joining not in (None, "ok") else None
        if with_values:
            thing.result, thing.updaters = shelf.read(record.body), shelf.read(record.updaters)
        if thing.foreach:
            if with_values and record.items is not None:
                thing.items = shelf.read(record.items)
            thing.children = [
                Thing(thing.spec, paths.item(thing.path, index), thing, item=True)
                for index in range(record.count or 0)
            ]
    for child in thing.children:
        _fill(child, shelf, with_values=with_values)


def check_tree(shelf: Shelf, like: Model) -> None:
    """Statuses of groups, rollups and limits agree with the tasks' own records, at any time."""
    stored = stored_model(shelf, like, with_values=False)
    working = bool(shelf.record.runs)
    _check_group(stored.root, shelf, working)
    rollup = _rollup(stored.root)
    progress = shelf.record.progress
    done = rollup.ok + rollup.skipped
    assert (progress.total, progress.done) == (rollup.total, done), (progress, rollup)
    assert (progress.failed, progress.running) == (rollup.failed, rollup.running)
    assert 0 <= progress.fraction <= 1
    assert (shelf.record.status is InstanceStatus.WORKING) == working
    if not working:
        expected = {"ok": "done", "skipped": "done"}.get(stored.root.status, stored.root.status)
        assert shelf.record.status == expected, (shelf.record.status, stored.root.status)
        assert (progress.fraction == 1) == (expected == "done") or rollup.total == 0 or expected == "inactive"


def _check_group(thing: Thing, shelf: Shelf, working: bool) -> str:
    """Checks what is stored of a group and of all below it; gives its status as stored."""
    shown = [_check_group(child, shelf, working) for child in thing.children]
    status = thing.derived(set(shown))
    record = shelf.tasks.get(thing.path)
    if thing.plain or record is None:
        # A group that is passed through without running anything is not written.
        assert thing.plain or status in ("inactive", "ok"), (thing.path, status)
        return status
    # A foreach whose turn has come, but not its window's, is queued whatever its items are.
    waiting = working and record.status == "queued" and status in ("inactive", "ok", "skipped")
    assert record.status == status or waiting, (thing.path, record.status, status)
    if record.rollup is not None:
        assert record.rollup == _rollup(thing), (thing.path, record.rollup, _rollup(thing))
    if thing.foreach:
        finished = sum(one.own in ORDER[3:] for one in thing.all() if one.plain)
        counts = [count for _, count in record.bounds]
        assert sum(counts) == finished, (thing.path, record.bounds, finished)
        assert all(count > 0 for count in counts), (thing.path, record.bounds)
    active = sum(status in ("queued", "running") for status in shown)
    limit = thing.spec.max_parallel
    assert not thing.foreach or limit is None or active <= limit, (thing.path, active, limit)
    return str(record.status)


def _rollup(thing: Thing) -> Rollup:
    statuses = [one.own for one in thing.all() if one.plain]
    counts = [statuses.count(status) for status in ORDER]
    return Rollup(len(statuses), *counts)


def check_rest(shelf: Shelf, like: Model) -> None:
    """When nothing is under way, nothing looks so; and staleness is shown as the letter has it."""
    check_tree(shelf, like)
    for path, record in shelf.tasks.items():
        assert record.status not in ("queued", "running"), (path, record.status)
        assert record.own not in ("queued", "running"), (path, record.own)
        assert record.joining not in ("queued", "running"), (path, record.joining)
        assert record.retry is None, (path, record.retry)
        assert record.losses == 0, (path, record.losses)
        assert record.reason is None, (path, record.reason)
    stored = stored_model(shelf, like, with_values=False)
    stale = stored.stale()
    _check_shown(stored.root, shelf, stale, shelf.tasks)
    collapsed = {path: record for path, record in shelf.tasks.items() if "[" not in path}
    _check_shown(stored.root, shelf, stale, collapsed)


def _check_shown(root: Thing, shelf: Shelf, stale: set[str], records: dict[str, TaskRecord]) -> None:
    shown = stale_of(shelf.record.plan, records)
    for thing in root.all():
        below = list(thing.all())
        if thing is root or thing.path not in records:
            continue
        if len(records) < len(shelf.tasks) and any(one.item and not one.plain for one in below):
            continue  # within items that are groups, a collapsed foreach knows only what stands before it
        expected = sum(one.path in stale for one in below)
        assert shown.get(thing.path, 0) == expected, (thing.path, shown.get(thing.path), expected)


def compare(shelf: Shelf, model: Model, seen: dict[str, Seen]) -> None:
    """The records are what the model says."""
    stored = stored_model(shelf, model, with_values=True)
    told = {thing.path: thing for thing in stored.root.all()}
    meant = {thing.path: thing for thing in model.root.all()}
    assert told.keys() == meant.keys(), told.keys() ^ meant.keys()
    for path, thing in reversed(meant.items()):
        one = told[path]
        _same(path, one.own, thing.own)
        record = shelf.tasks.get(path)
        if record is not None and path != "#":
            _same(path, str(record.status), thing.status)
        _same(path, one.attempt, thing.attempt)
        if thing.own == "ok" and (thing.plain or thing.spec.run or thing.foreach):
            _same(path, seen[path].argument, thing.argument)
            _same(path, seen[path].context, thing.context)
        if thing.own in ("ok", "skipped", "failed"):
            _same(path, one.result, thing.result)
            _same(path, one.updaters or None, thing.updaters or None)
        if thing.foreach and thing.own == "ok":
            _same(path, one.items, thing.items)
        if thing.status == "ok":
            _same(path, one.joined_result(), thing.joined_result())
    assert stored.stale() == model.stale(), (stored.stale() ^ model.stale(), stored.stale())


def check_fresh(shelf: Shelf, like: Model, seen: dict[str, Seen], given: Container[str]) -> None:
    """What looks fresh was given what it would be given now.

    Args:
        shelf: what is stored.
        like: the model of its workflow.
        seen: what each task was given last.
        given: the arguments that came from callers.
    """
    stored = stored_model(shelf, like, with_values=True)

    def check(thing: Thing, argument: Any, context: Context) -> None:
        if thing.own != "ok" or not (thing.plain or thing.spec.run or thing.foreach) or not thing.is_fresh():
            return
        was = seen[thing.path]
        _same(thing.path, was.context, context)
        if digest(was.argument) not in given and not (thing.foreach and thing.spec.foreach is not True):
            _same(thing.path, was.argument, argument)

    walk(stored, check)


def walk(model: Model, check: Callable[[Thing, Any, Context], None]) -> None:
    """Calls ``check`` for each task with the argument and the context that it would be given now."""
    _walk_below(model, model.root, model.data, model.base, check)


def _walk(model: Model, thing: Thing, argument: Any, context: Context, check: Callable[..., None]) -> None:
    check(thing, argument, context)
    if thing.plain:
        return
    if thing.spec.run and not thing.foreach:
        argument, context = thing.result, model.inner_context(thing, context)
    _walk_below(model, thing, argument, context, check)


def _walk_below(
    model: Model, thing: Thing, argument: Any, context: Context, check: Callable[..., None]
) -> None:
    for index, child in enumerate(thing.children):
        given = (thing.items[index] if index < len(thing.items) else None) if thing.foreach else argument
        _walk(model, child, given, context, check)
        if thing.sequential:
            argument = child.joined_result() if child.status == "ok" else argument
            context = model.left(child, context)


def _same(path: str, told: Any, meant: Any) -> None:
    assert told == meant, f"{path}: it is {told!r} and should be {meant!r}"


def copied(value: Any) -> Any:
    """A value that shares nothing with this one."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


def check_blame(shelf: Shelf, does: Behaviours) -> None:
    """Only a task that ends executors is given up for that."""
    for path, record in shelf.tasks.items():
        if record.error is not None and record.error.type == "ExecutorLost":
            assert record.status == "failed" or record.own == "failed", record
            assert plain(path) in does.killers, (path, "is blamed")
