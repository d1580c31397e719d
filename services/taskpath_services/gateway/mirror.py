"""The mirror of one instance: what a gateway knows of it, moved on by its events. Pure.

It holds what can be seen: of a collapsed foreach not the items, unless a lens names them. Beside the records
it keeps what has changed since it was last asked (:class:`Pending`), and enough of when things changed to
tell a client that is behind what it has missed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from msgspec import UNSET

from taskpath.staleness import stale_of
from taskpath_proto import paths
from taskpath_proto.errors import ErrorInfo
from taskpath_proto.events import InstanceChanged
from taskpath_proto.packets import TaskNode, TaskState
from taskpath_proto.plan import TaskSpec
from taskpath_proto.records import InstanceChange, InstanceRecord, InstanceStatus, TaskRecord, TaskStatus
from taskpath_services.gateway import tree
from taskpath_services.gateway.expected import NOTHING, Expected
from taskpath_services.gateway.lens import Lens, collapsed_above
from taskpath_services.gateway.merging import merge, slim
from taskpath_services.gateway.pending import Outcome, Pending
from taskpath_services.gateway.rollups import collapses, state_of

_MOST_REMOVALS: Final = 2_000
_MOST_FAILURES: Final = 200


class Mirror:
    """An instance as it can be seen.

    Args:
        instance: its record, as read; its values are not kept.
        records: the records of its tasks, as read.
        lenses: those that name items.
        items: the records of the items that they name, read no earlier.
        removed_at: the revision at which tasks were last removed before that, it is not known which.
        expected: how long tasks usually take.
    """

    def __init__(
        self,
        instance: InstanceRecord,
        records: Iterable[TaskRecord],
        lenses: Iterable[Lens] = (),
        items: Iterable[TaskRecord] = (),
        removed_at: int = 0,
        expected: Expected = NOTHING,
    ) -> None:
        self.id: Final = instance.id
        self.realm: Final = instance.realm
        self.workflow: Final = instance.workflow
        self.epoch = instance.epoch
        self.revision = instance.revision
        self.plan: Final = instance.plan
        self.status = instance.status
        self.progress = instance.progress
        self.started = instance.started_at is not None
        self.tasks: Final[dict[str, TaskRecord]] = {}
        self.items: Final[dict[str, TaskRecord]] = {}
        self.collapsed: Final[set[str]] = set()
        self.pending = Pending()
        self.complete_from = instance.revision
        self._removed_at = removed_at
        self._expected = expected
        self._lenses = {lens.key: lens for lens in lenses}
        self._described = instance.revision
        self._stale: dict[str, int] = {}
        self._stale_changed: dict[str, int] = {}
        self._expanded: dict[str, int] = {}
        self._removals: deque[tuple[int, str]] = deque()
        self._renumbered = True
        self._overlooked = False
        self._fill(records, items)

    @property
    def rests(self) -> bool:
        """Whether it has ended, or a part of it was run and nothing runs any more."""
        return self.status.ended or (self.started and self.status is InstanceStatus.INACTIVE)

    @property
    def changed_unsent(self) -> bool:
        """Whether something is, or may be, pending."""
        return self._renumbered or bool(self.pending)

    def state(self, path: str) -> TaskState:
        """How the task is shown."""
        record = self.tasks.get(path) or self.items.get(path)
        return state_of(record, self._stale.get(path, 0), self._expected.of(path, record))

    def description(self) -> list[TaskNode]:
        """The tree."""
        return tree.describe(self.plan, self.tasks)

    def paths(self, lens: Lens) -> Iterator[str]:
        """The tasks that are seen through a lens, in tree order, then the items that it names."""
        for path in tree.walk(self.plan, self.tasks):
            if lens.shows(path, self.collapsed):
                yield path
        if lens.item_patterns:
            for spec, path in tree.foreaches(self.plan.tasks, paths.ROOT, self.tasks):
                if path in self.collapsed:
                    yield from self._named(spec, path, lens)

    def _named(self, spec: TaskSpec, foreach: str, lens: Lens) -> Iterator[str]:
        record = self.tasks.get(foreach) or self.items.get(foreach)
        for index in lens.items(foreach, (record.count or 0) if record is not None else 0):
            item = paths.item(foreach, index)
            for path in tree.walk_item(spec, item, self.items):
                if lens.shows(path, self.collapsed):
                    yield path
            for inner, path in tree.foreaches(spec.subtasks or (), item, self.items):
                if path in self.collapsed:
                    yield from self._named(inner, path, lens)

    def expect(self, expected: Expected) -> None:
        """How long tasks usually take is known better now: those of which it differs look different."""
        before, self._expected = self._expected, expected
        for path in chain(tree.walk(self.plan, self.tasks), self.items):
            record = self.tasks.get(path) or self.items.get(path)
            if expected.of(path, record).differs(before.of(path, record)):
                self.pending.tasks[path] = None

    def can_tell(self, since: int) -> bool:
        """Whether what changed after ``since`` is known: whether nothing was removed unseen."""
        return self._removed_at <= since <= self.revision

    def changed(self, since: int, lens: Lens) -> list[str]:
        """The tasks seen through the lens that look different since a revision that :meth:`can_tell`."""
        stale_changed, unknown = self._stale_changed, since < self.complete_from
        found: dict[str, None] = {}
        for records in (self.tasks, self.items):
            for path, record in records.items():
                if (
                    record.revision > since
                    or stale_changed.get(path, 0) > since
                    or (unknown and self._stale.get(path, 0))
                ) and lens.shows(path, self.collapsed):
                    found[path] = None
                if unknown and record.count is not None and record.revision > since:
                    # It may have got its items after that; those that nothing happened to have no record.
                    found.update(dict.fromkeys(self._below(path, lens)))
        for foreach, revision in self._expanded.items():
            if revision > since:
                found.update(dict.fromkeys(self._below(foreach, lens)))
        return list(found)

    def removed(self, since: int, lens: Lens) -> list[str]:
        """The items seen through the lens that were removed after a revision and are not there again."""
        gone = dict.fromkeys(path for revision, path in self._removals if revision > since)
        return [path for path in gone if not self._exists(path) and lens.shows(path, self.collapsed)]

    def described_after(self, since: int) -> bool:
        """Whether the description is, or may be, newer than a revision."""
        return self._described > since or since < self.complete_from

    def take_pending(self, *, stale: bool = True) -> Pending:
        """What has changed since this was last asked.

        Args:
            stale: whether anybody sees what has become stale; finding out looks at every task.
        """
        if stale:
            self.renumber()
        else:
            self._overlooked = self._overlooked or self._renumbered
            self._renumbered = False
        pending, self.pending = self.pending, Pending()
        pending.removed = [path for path in dict.fromkeys(pending.removed) if not self._exists(path)]
        return pending

    def renumber(self) -> None:
        """Brings staleness up to date; what has become stale or fresh is pending."""
        if not self._renumbered and not self._overlooked:
            return
        self._renumbered = self._overlooked = False
        before, now = self._stale, stale_of(self.plan, self.tasks)
        if self.items and any(now.get(path) for path in self.collapsed):
            counted = stale_of(self.plan, {**self.tasks, **self.items})
            now.update((path, counted.get(path, 0)) for path in self.items)
        self._stale = now
        for path, count in now.items():
            if count != before.get(path, 0):
                self.pending.tasks[path] = None
                self._stale_changed[path] = self.revision
        for path in self.items.keys() & before.keys() - now.keys():
            if before[path]:
                self.pending.tasks[path] = None
                self._stale_changed[path] = self.revision

    def holds(self, lens: Lens) -> bool:
        """Whether the items that a lens names are held."""
        return lens.key in self._lenses

    def keep(self, lens: Lens, records: Iterable[TaskRecord], events: Iterable[InstanceChanged]) -> None:
        """Holds the items that a further lens names.

        Args:
            lens: names them.
            records: they, as they were read.
            events: those that were applied since the reading began.
        """
        self._lenses[lens.key] = lens
        for record in records:
            if record.path not in self.items and self._held(record.path):
                self.items[record.path] = slim(record)
        for event in events:
            for change in event.tasks:
                if "[" in change.path and self._held(change.path):
                    record = self.items.setdefault(change.path, TaskRecord(path=change.path))
                    if record.revision < event.revision:
                        merge(record, change, event.revision)
        self._renumbered = True

    def drop(self, lens: Lens) -> None:
        """Holds the items that this lens names no more, unless another one does."""
        if self._lenses.pop(lens.key, None) is not None:
            for path in [path for path in self.items if not self._held(path)]:
                del self.items[path]

    def apply(self, event: InstanceChanged) -> Outcome:
        """Moves on by an event, if it continues what is known."""
        if event.epoch < self.epoch or (event.epoch == self.epoch and event.revision <= self.revision):
            return Outcome.OLD
        if event.base_revision > self.revision:
            return Outcome.GAP
        if event.epoch > self.epoch and event.base_revision != self.revision:
            return Outcome.GAP  # the owner before said something that its successor does not know of
        if (instance := event.instance) is not None and not self._take_instance(instance):
            return Outcome.REPLANTED
        self.epoch, self.revision = event.epoch, event.revision
        self.pending.moved = True
        if event.removed:
            self._remove(event.removed)
        for change in event.tasks:
            if change.count is not UNSET and not self._count(change.path, change.count):
                return Outcome.UNHELD
        self._take_tasks(event)
        return Outcome.APPLIED

    def _take_tasks(self, event: InstanceChanged) -> None:
        tasks, collapsed, pending, revision = self.tasks, self.collapsed, self.pending, event.revision
        for change in event.tasks:
            path = change.path
            if path == paths.ROOT:
                continue  # the root's record is for its owner; watchers have the instance's own status
            records = tasks
            if collapsed and "[" in path and collapsed_above(path, collapsed) is not None:
                if not self._lenses or not self._held(path):
                    continue
                records = self.items
            record = records.get(path)
            if record is None:
                record = records[path] = TaskRecord(path=path)
            elif record.revision >= revision:
                continue
            shown, numbers = merge(record, change, revision)
            if numbers:
                self._renumbered = True
            if shown:
                pending.tasks[path] = None
            error = change.error
            if (
                record.status is TaskStatus.FAILED
                and isinstance(error, ErrorInfo)
                and (len(pending.failures) < _MOST_FAILURES)
            ):
                pending.failures.append((path, error))

    def _take_instance(self, change: InstanceChange) -> bool:
        if change.plan is not UNSET and change.plan != self.plan:
            return False
        if change.started_at is not UNSET:
            self.started = change.started_at is not None
        if change.status is not UNSET and change.status is not self.status:
            self.status = change.status
            self.pending.status = True
            self.pending.rests = self.rests
        if change.progress is not UNSET:
            self.progress = change.progress
            self.pending.status = True
        return True

    def _count(self, path: str, count: int | None) -> bool:
        """Takes in how many items a foreach has; false if they are wanted now and were never held."""
        record = self.tasks.get(path) or self.items.get(path)
        if (record.count if record is not None else None) == count:
            return True
        if path in self.collapsed and not collapses(count):
            return False
        self.pending.tree = True
        self._described = self._expanded[path] = self.revision
        if record is None:
            record = TaskRecord(path=path)
            if collapsed_above(path, self.collapsed) is None:
                self.tasks[path] = record
            elif self._held(path):
                self.items[path] = record
            else:
                return True
        record.count = count
        if collapses(count):
            self.collapsed.add(path)
            self.pending.expanded = True
            for below in [below for below in self.tasks if below.startswith(f"{path}[")]:
                gone = self.tasks.pop(below)
                self._stale_changed.pop(below, None)
                if self._held(below):
                    self.items[below] = gone
        for below in self._below(path, None):
            self.pending.tasks[below] = None
        self._renumbered = True
        return True

    def _below(self, foreach: str, lens: Lens | None) -> Iterator[str]:
        """The items of a foreach and what is below them, as far as they are shown without being named."""
        if foreach in self.collapsed:
            if lens is not None and lens.item_patterns:
                prefix = f"{foreach}["
                yield from (path for path in self.paths(lens) if path.startswith(prefix))
            return
        spec = self._spec(foreach)
        record = self.tasks.get(foreach)
        if spec is None or record is None:
            return
        for index in range(record.count or 0):
            for path in tree.walk_item(spec, paths.item(foreach, index), self.tasks):
                if lens is None or lens.shows(path, self.collapsed):
                    yield path

    def _spec(self, path: str) -> TaskSpec | None:
        specs, found = self.plan.tasks, None
        for step in paths.split(path):
            if isinstance(step, str):
                found = next((spec for spec in specs if spec.name == step), None)
                if found is None:
                    return None
                specs = found.subtasks or ()
        return found

    def _exists(self, item: str) -> bool:
        foreach, _, index = item[:-1].rpartition("[")
        record = self.tasks.get(foreach) or self.items.get(foreach)
        return record is not None and record.count is not None and int(index) < record.count

    def _remove(self, items: list[str]) -> None:
        gone = set(items)
        self.pending.removed.extend(items)
        for path in items:
            if len(self._removals) == _MOST_REMOVALS:
                self._removed_at = max(self._removed_at, self._removals.popleft()[0])
            self._removals.append((self.revision, path))
        for below in (self.tasks, self.items, self.pending.tasks, self._stale_changed, self._expanded):
            for path in [path for path in below if "[" in path and _is_under_any(path, gone)]:
                del below[path]
                self.collapsed.discard(path)
        self._renumbered = True

    def _held(self, path: str) -> bool:
        """Whether a lens names the item, or one above the task."""
        return any(lens.shows(path, self.collapsed) for lens in self._lenses.values())

    def _fill(self, records: Iterable[TaskRecord], items: Iterable[TaskRecord]) -> None:
        """Takes what was read: parents before what is below them, so that it is known what is collapsed."""
        for record in sorted(chain(records, items), key=_depth):
            if record.path == paths.ROOT:
                continue
            if collapsed_above(record.path, self.collapsed) is None:
                holder = self.tasks
            elif self._held(record.path):
                holder = self.items
            else:
                continue
            if record.path not in holder or holder[record.path].revision < record.revision:
                holder[record.path] = slim(record)
                if collapses(record.count):
                    self.collapsed.add(record.path)
        self.renumber()
        self.pending = Pending()
        self._stale_changed.clear()


def _depth(record: TaskRecord) -> int:
    return record.path.count("[")


def _is_under_any(path: str, items: set[str]) -> bool:
    end = path.find("]")
    while end > 0:
        if path[: end + 1] in items:
            return True
        end = path.find("]", end + 1)
    return False
