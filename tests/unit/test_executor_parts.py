"""The bounds of what an executor keeps: logs, trees, values; and what a task may say of itself."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskpath import App, Task, TaskContext
from taskpath.runtime.buses.memory import MemoryBus
from taskpath.runtime.caller import Caller
from taskpath.runtime.clock import ManualClock
from taskpath_proto import topology
from taskpath_proto.events import LogsWritten
from taskpath_proto.values import Blob, Inline, Item
from taskpath_services.executor import trees as trees_module
from taskpath_services.executor.logs import MAX_LINE, MAX_WAITING, LogBook, cut
from taskpath_services.executor.trees import Tree, Trees
from taskpath_services.executor.values import Reading, Values
from tests.support.owner import Owner


@given(st.text(min_size=1), st.sampled_from([1, 1_000, 5_000, 17_000]))
def test_a_line_is_cut_to_what_it_may_have(piece: str, times: int) -> None:
    text = piece * times
    short = cut(text)
    assert len(short.encode(errors="replace")) <= MAX_LINE
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


async def test_lines_that_cannot_be_published_are_bounded_and_their_numbers_tell() -> None:
    bus = MemoryBus()
    storage = await bus.consume(topology.storage_mailbox(0))
    book = LogBook(ManualClock(), "i", 0, "#.t", 3)
    book.add("info", "first")
    book.publish(bus)
    for number in range(MAX_WAITING + 5):
        book.add("info", str(number))
        if number % 1000 == 0:
            book.publish(bus)  # the first line is not safe: nothing more goes out
    delivery = await storage.take()
    assert len(delivery.messages) == 1
    delivery.ack()
    book.publish(bus)
    lines = [
        line
        for message in (await storage.take()).messages
        if isinstance(message, LogsWritten)
        for line in message.lines
    ]
    assert len(lines) == MAX_WAITING
    assert [lines[0].n, lines[-1].n] == [7, MAX_WAITING + 6]
    assert lines[0].attempt == 3


async def test_published_logs_are_cut_into_messages_that_a_broker_takes() -> None:
    bus = MemoryBus()
    storage = await bus.consume(topology.storage_mailbox(0))
    book = LogBook(ManualClock(), "i", 0, "#.t", 1)
    for _ in range(100):
        book.add("info", "x" * 16_000)
    book.publish(bus)
    sizes = [
        sum(len(line.text) for line in message.lines)
        for message in (await storage.take()).messages
        if isinstance(message, LogsWritten)
    ]
    assert sum(sizes) == 1_600_000
    assert max(sizes) < 512 * 1024


async def test_cached_trees_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees_module, "MAX_CACHED", 300)
    app = App()
    calls: list[Any] = []

    @app.workflow("w")
    async def w(data: int) -> list[Task]:
        calls.append(data)
        return [Task(str(number), len) for number in range(data)]

    async def serve(queues: set[str]) -> None:
        assert queues == {"default"}

    trees = Trees(app, ManualClock(), serve)
    small, other, huge = [("i", "w", Inline(text)) for text in ("10", "11", "1000")]
    for key in (small, other, small):
        await trees.tree(key, key[2].json)
    assert calls == [10, 11]
    assert len(await trees.tree(huge, "1000")) == 1000
    assert trees.cached(huge) is not None
    assert trees.cached(small) is None
    await trees.tree(small, "10")
    assert trees.cached(huge) is None
    await trees.close()


def test_a_task_is_found_by_the_path_of_an_item() -> None:
    app = App()
    app.workflow("w")(list)
    leaf = Task("leaf", len)
    items = Task("items", len, foreach=True, subtasks=[leaf])
    tree = Tree(app.workflows["w"], (items,))
    assert tree.find("#.items") is items
    assert tree.find("#.items[12]") is items
    assert tree.find("#.items[12].leaf") is leaf
    assert tree.find("#.items.leaf") is leaf
    assert tree.find("#.items[1].gone") is None
    assert tree.missing("#.items[1].gone[2].deep").info.details == {
        "workflow": "w",
        "path": "#.items[1].gone[2].deep",
        "exists": "#.items",
    }


async def test_values_are_kept_within_a_bound_and_read_once_at_a_time() -> None:
    bus, clock = MemoryBus(), ManualClock()
    owner = Owner(bus)
    await owner.start()
    caller = Caller(bus, clock, "test")
    await caller.start()
    values = Values(caller, clock, most=250)
    blobs = [Blob("#.t", "body", number, 100) for number in range(3)]
    for blob in blobs:
        owner.blobs[blob] = '"' + "x" * 98 + '"'
    for blob in (blobs[0], blobs[1], blobs[0], blobs[2], blobs[0]):
        assert (await values.read("i", blob, 0)).frozen() == "x" * 98
    assert owner.reads == blobs
    assert values.at_hand("i", blobs[1], 0) is None
    large = Blob("#.t", "items", 9, 1000)
    owner.blobs[large] = "[" + ",".join(["[1]"] * 250) + "]"
    for index in range(5):
        assert (await values.read("i", Item(large, index), 0)).json == "[1]"
    assert owner.reads == [*blobs, large]
    await values.close()
    await caller.stop()
    await bus.stop()
    await owner.stop()


class Link:
    """What a task says."""

    instance_id, realm, path, attempt, cancelled = "i", "default", "#.t", 1, False

    def __init__(self) -> None:
        self.said: list[Any] = []

    def read_context(self) -> Any:
        return Reading('{"a":[1]}').frozen()

    def read_data(self) -> Any:
        return {}

    def read_previous(self) -> list[Any]:
        return []

    def write_log(self, level: str, text: str) -> None:
        self.said.append((level, text))

    def note_progress(self, fraction: float, message: str | None) -> None:
        self.said.append((fraction, message))


def test_progress_is_a_fraction_and_a_few_words() -> None:
    link = Link()
    ctx = TaskContext(link)
    ctx.progress(1)
    ctx.progress(-0.5, "x" * 5000)
    ctx.progress(1.0000001)
    assert link.said == [(1.0, None), (0.0, "x" * 1000), (1.0, None)]
    wrong: list[Any] = [math.nan, "half", None, True]
    for fraction in wrong:
        with pytest.raises((TypeError, ValueError)):
            ctx.progress(fraction)
    with pytest.raises(TypeError):
        ctx.progress(0.5, 7)  # type: ignore[arg-type]


def test_a_log_line_is_text_as_it_is_and_json_otherwise() -> None:
    link = Link()
    ctx = TaskContext(link)
    ctx.log()
    ctx.log("a", 1, None, {"b": (2,)}, {3})
    assert link.said == [("info", ""), ("info", 'a 1 null {"b":[2]} {3}')]
