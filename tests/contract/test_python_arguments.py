"""What tasks are given, and what groups and lists of tasks are. Each test shows a claim of the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskpath import Retry, Task, TaskContext, TaskpathError
from tests.support.authors import app_of, outcome, serving


def echo(arg: Any) -> Any:
    return arg


@pytest.mark.contract("python.argument-chain")
async def test_each_task_receives_the_result_before_it() -> None:
    ended = await outcome(
        Task("first", echo),
        Task("second", lambda arg: [arg, "second"]),
        Task("third", echo),
        data={"album": "Sea"},
    )
    assert ended.results["#.first"] == {"album": "Sea"}
    assert ended.results["#.third"] == [{"album": "Sea"}, "second"]


@pytest.mark.contract("python.argument-parallel")
async def test_what_subtasks_and_items_receive() -> None:
    both = [Task("a", echo), Task("b", echo)]
    ended = await outcome(
        Task("own", lambda: "own result", subtasks=both),
        Task("between", lambda: "between"),
        Task("none", subtasks=both),
        Task("list", lambda: [1, 2]),
        Task(
            "chain",
            lambda: "start",
            subtasks=[Task("a", echo), Task("b", lambda arg: [arg])],
            sequential=True,
        ),
        Task("items", echo, foreach="numbers", subtasks=[Task("sub", lambda arg: [arg])]),
        base_context={"numbers": [10, 20]},
    )
    results = ended.results
    assert (results["#.own.a"], results["#.own.b"]) == ("own result", "own result")
    # Without a function of its own a group passes on its argument.
    assert (results["#.none.a"], results["#.none.b"]) == ("between", "between")
    assert (results["#.chain.a"], results["#.chain.b"]) == ("start", ["start"])
    assert (results["#.items[0]"], results["#.items[1]"]) == (10, 20)
    assert results["#.items[1].sub"] == [20]


@pytest.mark.contract("python.argument-join")
async def test_what_comes_after_a_group_receives() -> None:
    ended = await outcome(
        Task(
            "group",
            lambda: "own",
            subtasks=[
                Task("b", lambda: 2),
                Task("a", lambda: 1),
                Task("skipped", echo, condition=lambda context: False),
            ],
        ),
        Task("after-group", lambda arg: [list(arg), arg]),
        Task("list", lambda: [3, 1, 2]),
        Task("items", lambda arg: 10 * arg, foreach=True),
        Task("after-items", echo),
        Task("none", lambda arg: []),
        Task("empty", echo, foreach=True),
        Task("after-empty", echo),
    )
    assert ended.results["#.after-group"] == [["b", "a"], {"b": 2, "a": 1}]
    assert ended.results["#.after-items"] == [30, 10, 20]
    assert ended.results["#.after-empty"] == []


@pytest.mark.contract("python.argument-explicit")
async def test_an_explicit_argument_goes_to_the_first_step_that_runs() -> None:
    both = Task("both", subtasks=[Task("a", echo), Task("b", echo)])
    ended = await outcome(both, Task("next", echo), data="data", argument="given")
    assert ended.results["#.both"] == {"a": "given", "b": "given"}
    assert ended.results["#.next"] == {"a": "given", "b": "given"}
    assert (await outcome(Task("t", echo), data="data", argument=None)).results["#.t"] is None
    assert (await outcome(Task("t", echo), data="data")).results["#.t"] == "data"
    skipped = Task("skipped", echo, condition=lambda context: False)
    assert (await outcome(skipped, both, argument="given")).results["#.both.b"] == "given"


@pytest.mark.contract("python.argument-explicit")
async def test_an_explicit_argument_for_a_path(tmp_path: Path) -> None:
    app = app_of(Task("first", lambda: [1, 2]), Task("items", echo, foreach=True), Task("last", echo))
    async with serving(app, tmp_path) as client:
        instance = await client.create("w", execute=True)
        await client.wait(instance.id)
        await client.execute(instance.id, "#.last", argument={"by": "hand"})
        await client.wait(instance.id)
        assert await client.result(instance.id, "#.last") == {"by": "hand"}
        await client.execute(instance.id, "#.last", argument=None)
        await client.wait(instance.id)
        assert await client.result(instance.id, "#.last") is None
        with pytest.raises(TaskpathError) as caught:
            await client.execute(instance.id, "#.items[*]", argument=7)
        assert caught.value.code == "INVALID_REQUEST"


@pytest.mark.contract("python.groups")
async def test_what_a_group_has_of_its_own(tmp_path: Path) -> None:
    def flaky(arg: Any, ctx: TaskContext) -> dict[str, int]:
        if ctx.attempt == 1:
            raise ConnectionError("not yet")
        return {"own": ctx.attempt}

    def fail(arg: Any) -> None:
        raise ValueError("out of paper")

    app = app_of(
        Task(
            "group",
            flaky,
            context_var="mine",
            on_complete=lambda result: f"own: {result['own']}",
            retry=Retry(backoff=0.001),
            subtasks=[Task("good", lambda arg, ctx: ctx.context["mine"]), Task("bad", fail)],
        )
    )
    async with serving(app, tmp_path) as client:
        instance = await client.create("w", execute=True)
        await client.wait(instance.id)
        group = await client.task(instance.id, "#.group")
        good = await client.task(instance.id, "#.group.good")
        logs = await client.logs(instance.id, "#.group")
    assert group.status == "failed"
    assert group.body == {"own": 2}
    assert [attempt.status for attempt in group.attempts] == ["failed", "ok"]
    assert good.body == {"own": 2}
    assert [line.text for line in logs.lines] == ["own: 2"]


@pytest.mark.contract("python.foreach-condition")
async def test_a_foreach_asks_its_condition_once_and_before_its_list() -> None:
    asked = list[Any]()

    def condition(context: Any) -> bool:
        asked.append(dict(context))
        return bool(context["wanted"])

    items = Task("items", echo, foreach="numbers", condition=condition, subtasks=[Task("sub", echo)])
    ended = await outcome(items, base_context={"wanted": True, "numbers": [1, 2, 3]})
    assert ended.results["#.items"] == [{"sub": 1}, {"sub": 2}, {"sub": 3}]
    assert len(asked) == 1
    # There is no list at all, and nobody misses it.
    ended = await outcome(items, base_context={"wanted": False})
    assert (ended.status, ended.statuses) == ("done", {"#.items": "skipped"})
    assert len(asked) == 2


@pytest.mark.contract("python.foreach-condition")
async def test_a_skipped_group_skips_all_below_it() -> None:
    group = Task("group", echo, condition=lambda context: False, subtasks=[Task("a", echo), Task("b", echo)])
    ended = await outcome(group, Task("after", echo), data="data")
    assert ended.statuses == {
        "#.group": "skipped",
        "#.group.a": "skipped",
        "#.group.b": "skipped",
        "#.after": "ok",
    }
    assert ended.results["#.after"] == "data"


@pytest.mark.contract("updaters.commands")
async def test_every_command_of_an_updater() -> None:
    before: dict[str, Any] = {
        "set": 1,
        "merge": {"a": 1},
        "unset": {"a": 1, "b": 2},
        "list": [2],
        "splice": [1, 2, 3],
        "toggle": {"on": False},
        "deep": {"list": [{"name": "x"}]},
    }
    updater = {
        "set": {"$set": 2},
        "merge": {"$merge": {"b": 2}},
        "unset": {"$unset": ["a"]},
        "list": {"$push": [3], "$unshift": [1]},
        "splice": {"$splice": [[1, 1, "two"]]},
        "toggle": {"$toggle": ["on"]},
        "$updatePath": {"path": "#.deep.list.0.name", "updater": {"$set": "y"}},
    }
    ended = await outcome(
        Task("t", lambda arg, ctx: ctx.update_context(updater)),
        Task("after", lambda arg, ctx: dict(ctx.context)),
        base_context=before,
    )
    after = {
        "set": 2,
        "merge": {"a": 1, "b": 2},
        "unset": {"b": 2},
        "list": [1, 2, 3],
        "splice": [1, "two", 3],
        "toggle": {"on": True},
        "deep": {"list": [{"name": "y"}]},
    }
    assert ended.status == "done", ended.errors
    assert ended.results["#.after"] == ended.context == after


@pytest.mark.contract("updaters.values")
async def test_what_an_updater_leaves_is_what_json_says() -> None:
    ended = await outcome(
        Task("hole", lambda arg, ctx: ctx.update_context({"list": {"3": {"$set": "x"}}})),
        Task("gone", lambda arg, ctx: ctx.update_context({"list": {"$unset": [0]}, "$unset": ["other"]})),
        base_context={"list": [1], "other": 1},
    )
    assert ended.context == {"list": [None, None, None, "x"]}


@pytest.mark.contract("updaters.commands")
async def test_what_parallel_tasks_leave_is_applied_in_tree_order() -> None:
    async def push(arg: Any, ctx: TaskContext) -> None:
        ctx.update_context({"list": {"$push": [ctx.path]}})

    group = Task("group", subtasks=[Task(name, push) for name in ("c", "a", "b")])
    ended = await outcome(group, base_context={"list": []})
    assert ended.context == {"list": ["#.group.c", "#.group.a", "#.group.b"]}


@pytest.mark.contract("updaters.join-error")
async def test_updaters_that_do_not_fit_together_fail_the_parent() -> None:
    def leave(updater: dict[str, Any]) -> Any:
        return lambda arg, ctx: ctx.update_context(updater)

    ended = await outcome(
        Task(
            "group",
            subtasks=[
                Task("a", leave({"list": {"$set": "gone"}})),
                Task("b", leave({"list": {"$push": [1]}})),
            ],
        ),
        Task("after", echo),
        base_context={"list": []},
    )
    statuses = {path: str(status) for path, status in ended.statuses.items()}
    assert statuses == {"#.group": "failed", "#.group.a": "ok", "#.group.b": "ok", "#.after": "inactive"}
    error = ended.errors["#.group"]
    assert error.code == "EXECUTION_FAILED"
    assert "#.group.b" in str(error)
    assert ended.status == "failed"
