"""Inputs: what a task is given and what it sees in the context, from the plan and the records alone.

A scheduler takes both along on its way through the tree; this tells them as the tree stands now, for whoever
looks at a task afterwards. Pure: values stay the references that they are, and nobody's records are changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final, NamedTuple, Protocol

from taskpath_proto import paths
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import NULL, Item, Joined, Value
from taskpath_proto.work import Layer

_ACTIVE: Final = (TaskStatus.QUEUED, TaskStatus.RUNNING)


class Recorded(Protocol):
    """As much of a task's record as those after it see."""

    @property
    def status(self) -> TaskStatus:
        """Of a group, that of its subtree."""
        ...

    @property
    def own(self) -> TaskStatus | None:
        """Of a group, the status of its own function; of a foreach, of its list."""
        ...

    @property
    def left(self) -> int:
        """Greater than 0 if a group has been joined."""
        ...

    @property
    def body(self) -> Value | None:
        """The result of its own function."""
        ...

    @property
    def updaters(self) -> Value | None:
        """What ``update_context`` left."""
        ...

    @property
    def items(self) -> Value | None:
        """The list that a foreach read."""
        ...

    @property
    def count(self) -> int | None:
        """How many items a foreach has."""
        ...


class Inputs(NamedTuple):
    """What a task is given.

    Attributes:
        argument: for its function; of a foreach, what it reads its list from if that is the result before it.
        layers: what the tasks before left in the context, in tree order.
    """

    argument: Value
    layers: tuple[Layer, ...]


class Place(NamedTuple):
    """A task of the plan at a path; ``item`` if it is one of a foreach, by whose description it goes."""

    path: str
    spec: TaskSpec
    item: bool = False

    @property
    def is_foreach(self) -> bool:
        """Whether it has items below it."""
        return self.spec.foreach is not None and not self.item

    @property
    def is_plain(self) -> bool:
        """Whether it has nothing below it."""
        return self.spec.subtasks is None and not self.is_foreach

    @property
    def has_function(self) -> bool:
        """Whether it has a body of its own."""
        return self.spec.run and not self.is_foreach

    def below(self) -> Iterable[Place]:
        """The subtasks of a group, in tree order."""
        if self.is_foreach:
            return ()
        return [Place(paths.child(self.path, spec.name), spec) for spec in self.spec.subtasks or ()]


def root_of(plan: Plan) -> Place:
    """The root: a sequence of the tasks of the root list."""
    return Place(paths.ROOT, TaskSpec(name="root", run=False, subtasks=plan.tasks, sequential=True))


def way_to(plan: Plan, path: str) -> list[Place]:
    """The root, then every task on the way to a path, the last being its own; empty if there is no such task.

    How many items a foreach has is not looked at.

    Raises:
        TaskpathError: INVALID_PATH, the text is no path.
    """
    here = root_of(plan)
    way = [here]
    for step in paths.split(path):
        if isinstance(step, int):
            if not here.is_foreach:
                return []
            here = Place(paths.item(here.path, step), here.spec, item=True)
        else:
            found = next((place for place in here.below() if place.spec.name == step), None)
            if found is None:
                return []
            here = found
        way.append(here)
    return way


def before(way: Iterable[Place]) -> list[Place]:
    """The tasks that stand in sequence before the last one of a way: siblings of it and of its ancestors."""
    found: list[Place] = []
    above: Place | None = None
    for here in way:
        if above is not None and above.spec.sequential:
            for sibling in above.below():
                if sibling.path == here.path:
                    break
                found.append(sibling)
        above = here
    return found


def has_left(record: Recorded | None, *, plain: bool) -> bool:
    """Whether a task hands anything on: it is ok, or runs again and stands for what it left the last time."""
    if record is None:
        return False
    if record.status is TaskStatus.OK:
        return True
    return record.status in _ACTIVE and (record.body is not None if plain else record.left > 0)


def leaves(spec: TaskSpec) -> bool:
    """Whether tasks below a foreach leave variables in the context, by their description."""
    return any(
        sub.context_var is not None or bool(sub.context_vars) or leaves(sub) for sub in spec.subtasks or ()
    )


class Derivation:
    """Tells the inputs of tasks as an instance's tree stands.

    Args:
        plan: the tree.
        data: the instance's data.
        records: by path. What is asked for needs those of all tasks that are not inside items, and of the
            items on the way; of a foreach that stands before, those inside its items if any of them leaves
            something (:func:`leaves`) or has left updaters.
    """

    def __init__(self, plan: Plan, data: Value, records: Mapping[str, Recorded]) -> None:
        self._plan = plan
        self._data = data
        self._records = records
        self._items: dict[str, list[int]] = {}
        for path in records:
            if path.endswith("]"):
                at = path.rindex("[")
                self._items.setdefault(path[:at], []).append(int(path[at + 1 : -1]))

    def inputs_of(self, path: str) -> Inputs | None:
        """What a task is given; None if there is no such task.

        Raises:
            TaskpathError: INVALID_PATH, the text is no path.
        """
        way = way_to(self._plan, path)
        if not way:
            return None
        argument, layers = self._data, list[Layer]()
        for above, here in pairwise(way):
            record = self._records.get(above.path)
            if isinstance(step := paths.split(here.path)[-1], int):
                if record is None or step >= (record.count or 0):
                    return None
                argument = Item(record.items or NULL, step)
                continue
            if above.has_function:
                argument = record.body if record is not None and record.body is not None else NULL
                layers.extend(self._inner(above, record))
            if not above.spec.sequential:
                continue
            for sibling in above.below():
                if sibling.path == here.path:
                    break
                found = self._records.get(sibling.path)
                if has_left(found, plain=sibling.is_plain):
                    argument = self._result(sibling)
                    layers.extend(self._leavings(sibling))
                elif found is None or found.status is not TaskStatus.SKIPPED:
                    argument = NULL
        return Inputs(argument, tuple(layers))

    def joined_at(self, path: str) -> Value | None:
        """The joined result of a foreach, or of a group that has no function; None if there is none.

        Raises:
            TaskpathError: INVALID_PATH, the text is no path.
        """
        way = way_to(self._plan, path)
        if len(way) < 2 or way[-1].is_plain or way[-1].has_function:
            return None
        return self._result(way[-1]) if has_left(self._records.get(path), plain=False) else None

    def _result(self, place: Place) -> Value:
        """What the next sibling gets of a task that has left something."""
        record = self._records[place.path]
        if place.is_plain:
            return record.body if record.body is not None else NULL
        if place.is_foreach:
            return Joined(place.path, "list", record.count or 0, (), record.left)
        parts = tuple(
            (below.spec.name, self._result(below))
            for below in place.below()
            if has_left(self._records.get(below.path), plain=below.is_plain)
        )
        return Joined(place.path, "dict", len(parts), parts, record.left)

    def _inner(self, place: Place, record: Recorded | None) -> list[Layer]:
        """What the own function of a group adds to the context of its subtasks."""
        if record is None or not _has_own(record):
            return []
        layers = _own_leavings(place, record)
        if place.spec.dest is not None:
            layers.append(Layer(place.path, variables=((place.spec.dest, record.body or NULL),)))
        return layers

    def _leavings(self, place: Place) -> list[Layer]:
        """What a task left in the context, with all below it, in tree order."""
        record = self._records.get(place.path)
        if record is None or not has_left(record, plain=place.is_plain):
            return []
        if place.is_foreach:
            return self._foreach_leavings(place)
        layers: list[Layer] = []
        if place.is_plain or _has_own(record):
            layers = _item_leavings(place, record) if place.item else _own_leavings(place, record)
        for below in place.below():
            layers.extend(self._leavings(below))
        return layers

    def _foreach_leavings(self, place: Place) -> list[Layer]:
        layers: list[Layer] = []
        for index in sorted(self._items.get(place.path, ())):
            layers.extend(self._leavings(Place(paths.item(place.path, index), place.spec, item=True)))
        if place.spec.context_var is not None:
            layers.append(Layer(place.path, variables=((place.spec.context_var, self._result(place)),)))
        return layers


def _has_own(record: Recorded) -> bool:
    """Whether a group's own function is done, or runs again and stands for what it left the last time."""
    return record.own is TaskStatus.OK or (record.own in _ACTIVE and record.body is not None)


def _own_leavings(place: Place, record: Recorded) -> list[Layer]:
    """What a task's own function left in the context."""
    spec = place.spec
    if spec.context_var is None and not spec.context_vars and record.updaters is None:
        return []
    result = record.body or NULL
    return [
        Layer(
            place.path,
            variables=((spec.context_var, result),) if spec.context_var is not None and spec.run else (),
            keys=spec.context_vars if spec.run else (),
            result=result if spec.context_vars and spec.run else None,
            updaters=record.updaters,
        )
    ]


def _item_leavings(place: Place, record: Recorded) -> list[Layer]:
    """An item leaves its updaters; its result is left by the foreach, in the list."""
    return [] if record.updaters is None else [Layer(place.path, updaters=record.updaters)]
