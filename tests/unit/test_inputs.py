"""What a task is given, told from the records, is what the scheduler gives it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskpath import TaskpathError
from taskpath.inputs import Derivation, before, has_left, leaves, way_to
from taskpath.layers import build
from taskpath_proto import paths
from taskpath_proto.commands import Accepted, Execute
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import Mode, TaskRecord, TaskStatus, Upstream
from taskpath_proto.values import NULL, Inline, Item, Joined, Stored
from taskpath_proto.work import OrderKind, RunTasks
from tests.support.scheduler_behaviour import digest
from tests.support.scheduler_functions import inline
from tests.support.scheduler_limits import small_limits
from tests.support.scheduler_trees import Grower, known_paths, some_path
from tests.support.scheduler_world import World


class Witness:
    """Compares every message to executors with what the records say at that moment."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.given: set[str] = set()
        self.compared = 0
        self._take = world.executors.take
        world.executors.take = self.take  # type: ignore[method-assign]  # looks on, and passes it on

    def take(self, message: RunTasks) -> None:
        shelf = self.world.storage.shelves[message.id]
        derivation = Derivation(shelf.record.plan, shelf.record.data or NULL, shelf.tasks)
        for order in message.orders:
            if order.kind is OrderKind.JOIN:
                continue  # it sees what its group is about to leave, not what the group is given
            inputs = derivation.inputs_of(order.path)
            assert inputs is not None
            told = build(message.base_context, inputs.layers, shelf.read)
            meant = build(message.base_context, message.layers, shelf.read)
            assert told == meant, (order.path, inputs.layers, message.layers)
            argument = shelf.read(message.argument_of(order))
            if digest(argument) not in self.given:
                assert shelf.read(inputs.argument) == argument, (order.path, inputs.argument, order.argument)
            self.compared += 1
        self._take(message)


def live(source: random.Random) -> Witness:
    """One instance, and a few executes one after the other, each with its crashes and retries."""
    world = World(source, crashes=source.choice([0.0, 0.0, 0.1]), calm=source.random() < 0.3)
    witness = Witness(world)
    workflow = Grower(source, source.choice([0, 0.2, 0.4])).workflow(source.choice([3, 6, 12, 20]))
    assert isinstance(world.answer(world.create("i", workflow)), Accepted)
    for number in range(source.randint(1, 5)):
        shelf = world.storage.shelves["i"]
        path = "#" if number == 0 else some_path(source, known_paths(shelf))
        argument = None
        if source.random() < 0.2:
            argument = f"argument {source.randrange(1_000)}"
            witness.given.add(digest(argument))
        execute = Execute(
            "i",
            path,
            source.choice(list(Mode)),
            source.choice(list(Upstream)),
            inline(argument) if argument is not None else None,
        )
        world.answer(world.call(execute))
        world.rest()
    return witness


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(min_value=0, max_value=2**32))
def test_what_is_told_from_the_records_is_what_the_scheduler_gives(seed: int) -> None:
    source = random.Random(seed)
    with small_limits(source):
        live(source)


def test_the_comparison_compares() -> None:
    compared = 0
    for seed in range(50):
        source = random.Random(seed)
        with small_limits(source):
            compared += live(source).compared
    assert compared > 200


PLAN = Plan(
    tasks=(
        TaskSpec(name="list", context_var="photos"),
        TaskSpec(name="each", foreach="photos", subtasks=(TaskSpec(name="one"), TaskSpec(name="two"))),
        TaskSpec(
            name="group",
            dest="mine",
            context_var="after",
            subtasks=(TaskSpec(name="left"), TaskSpec(name="right", context_vars=("k",))),
        ),
        TaskSpec(name="seq", run=False, sequential=True, subtasks=(TaskSpec(name="a"), TaskSpec(name="b"))),
        TaskSpec(name="last"),
    )
)


def record(path: str, **fields: Any) -> TaskRecord:
    return TaskRecord(path=path, status=fields.pop("status", TaskStatus.OK), **fields)


RECORDS = {
    one.path: one
    for one in (
        record("#.list", body=Stored("#.list", 2_000)),
        record("#.each", count=2, items=Stored("#.list", 2_000), left=7),
        record("#.each[1]", left=6),
        record("#.each[1].one", body=Inline("1"), updaters=Inline("[]")),
        record("#.group", own=TaskStatus.OK, body=Inline('"own"'), left=9),
        record("#.group.left", body=Inline("2")),
        record("#.group.right", body=Inline('{"k": 3}')),
        record("#.seq", status=TaskStatus.FAILED),
        record("#.seq.a", body=Inline("4")),
        record("#.seq.b", status=TaskStatus.FAILED),
    )
}
TOLD = Derivation(PLAN, Inline('"data"'), RECORDS)


@pytest.mark.parametrize(
    ("path", "argument"),
    [
        ("#", Inline('"data"')),
        ("#.list", Inline('"data"')),
        ("#.each", Stored("#.list", 2_000)),
        ("#.each[1]", Item(Stored("#.list", 2_000), 1)),
        ("#.group", Joined("#.each", "list", 2, (), 7)),
        ("#.group.right", Inline('"own"')),
        ("#.seq", Joined("#.group", "dict", 2, (("left", Inline("2")), ("right", Inline('{"k": 3}'))), 9)),
        ("#.seq.b", Inline("4")),
        ("#.last", NULL),
    ],
)
def test_arguments(path: str, argument: Any) -> None:
    inputs = TOLD.inputs_of(path)
    assert inputs is not None
    assert inputs.argument == argument


def test_an_item_with_subtasks_has_its_own_function() -> None:
    inputs = TOLD.inputs_of("#.each[1].two")
    assert inputs is not None
    # It has a function that has not run: there is nothing that it would hand on.
    assert inputs.argument == NULL


def test_layers_in_tree_order() -> None:
    inside, after = TOLD.inputs_of("#.group.right"), TOLD.inputs_of("#.seq")
    assert inside is not None
    assert after is not None
    assert [(layer.path, [name for name, _ in layer.variables]) for layer in inside.layers] == [
        ("#.list", ["photos"]),
        ("#.each[1].one", []),
        ("#.group", ["after"]),
        ("#.group", ["mine"]),
    ]
    assert [(layer.path, layer.keys) for layer in after.layers][-2:] == [
        ("#.group", ()),
        ("#.group.right", ("k",)),
    ]


@pytest.mark.parametrize(
    "path", ["#.nope", "#.list.x", "#.list[0]", "#.each[2]", "#.each.one", "#.each[0].x"]
)
def test_what_is_not_there_has_no_inputs(path: str) -> None:
    assert TOLD.inputs_of(path) is None


def test_what_is_no_path_is_refused() -> None:
    with pytest.raises(TaskpathError):
        TOLD.inputs_of("each")


def test_joined_results() -> None:
    assert TOLD.joined_at("#.each") == Joined("#.each", "list", 2, (), 7)
    # Its body is that of its own function; that of a task that failed is none.
    assert TOLD.joined_at("#.group") is None
    assert TOLD.joined_at("#.seq") is None
    assert TOLD.joined_at("#.list") is None
    assert TOLD.joined_at(paths.ROOT) is None


def test_what_runs_again_stands_for_what_it_left() -> None:
    running = TaskStatus.RUNNING
    assert not has_left(None, plain=True)
    assert not has_left(record("#.a", status=running), plain=True)
    assert has_left(record("#.a", status=running, body=NULL), plain=True)
    assert not has_left(record("#.a", status=running, body=NULL), plain=False)
    assert has_left(record("#.a", status=running, left=3), plain=False)
    assert not has_left(record("#.a", status=TaskStatus.CANCELLED, body=NULL), plain=True)


def test_the_way_and_what_is_before() -> None:
    way = way_to(PLAN, "#.each[1].two")
    assert [place.path for place in way] == ["#", "#.each", "#.each[1]", "#.each[1].two"]
    assert [place.path for place in before(way)] == ["#.list"]
    assert [place.path for place in before(way_to(PLAN, "#.seq.b"))] == [
        "#.list",
        "#.each",
        "#.group",
        "#.seq.a",
    ]
    assert way_to(PLAN, "#.each.two") == []
    assert not leaves(PLAN.tasks[1])
    assert leaves(TaskSpec(name="x", subtasks=(TaskSpec(name="y", subtasks=(PLAN.tasks[0],)),)))
