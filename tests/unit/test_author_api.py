"""What authors write is checked where they write it, in sentences that name the task."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import msgspec
import pytest

import taskpath
from taskpath import App, Retry, Task, TaskContext, TaskpathError
from taskpath.app import load
from taskpath.calls import call_shape
from taskpath.tree import plan_of, queues_of, tree_of
from taskpath_proto.errors import ErrorCode
from taskpath_proto.plan import RetrySpec, TaskSpec


def run(arg: Any) -> Any:
    """A task's function."""
    return arg


def test_the_package_exports_what_authors_need() -> None:
    assert {"App", "Retry", "Task", "TaskContext", "TaskpathError", "UpdaterError"} <= set(taskpath.__all__)


@dataclasses.dataclass
class Size:
    """A part of a workflow's data."""

    width: int


class TestShapes:
    @pytest.mark.parametrize(
        ("function", "arity"),
        [
            (lambda: 1, 0),
            (lambda arg: 1, 1),
            (lambda arg, ctx: 1, 2),
            (lambda *both: 1, 2),
            (lambda arg, **more: 1, 1),
            (lambda arg=None: 1, 1),
            (lambda arg, verbose=True: 1, 1),
            (lambda arg, ctx=None: 1, 2),
            (functools.partial(lambda extra, arg: 1, "extra"), 1),
            (round, 1),
            (dict, 1),
            (str.upper, 1),
        ],
    )
    def test_a_function_is_given_what_it_takes(self, function: Any, arity: int) -> None:
        assert call_shape(function).arity == arity

    def test_what_is_no_task_is_given_all_that_it_takes(self) -> None:
        assert call_shape(lambda result, verbose=True: 1, whole=True).arity == 2
        assert call_shape(lambda result: 1, whole=True).arity == 1
        assert call_shape(print, whole=True).arity == 2

    def test_an_annotation_tells_the_context(self) -> None:
        def annotated(arg: Any, it: TaskContext | None = None) -> None: ...
        def by_type(arg: Any, it: TaskContext = None) -> None: ...  # type: ignore[assignment]

        assert call_shape(by_type).arity == 2
        assert call_shape(annotated).arity == 2

    def test_coroutines_are_known_through_wrappers(self) -> None:
        async def coroutine(arg: Any) -> None: ...

        class Callable:
            async def __call__(self, arg: Any, ctx: Any) -> None: ...

        assert call_shape(functools.partial(coroutine, 1)).is_async
        assert call_shape(Callable()) == (2, True)
        assert not call_shape(run).is_async


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("name", {"name": ""}, "empty"),
    ("name", {"name": "a.b"}, "'a.b'"),
    ("name", {"name": 7}, "7"),
    ("name", {"name": "x" * 201}, "201"),
    ("run", {"run": "later"}, "'later'"),
    ("run", {"run": lambda a, b, c: 1}, "3 arguments"),
    ("run", {"run": lambda arg, *, must: 1}, "'must'"),
    ("run", {"run": None}, "nothing to do"),
    ("description", {"description": 1}, "description"),
    ("condition", {"condition": True}, "condition"),
    ("condition", {"condition": lambda a, b: True}, "2 arguments"),
    ("condition", {"condition": lambda: True}, "no argument"),
    ("context_var", {"context_var": ""}, "context_var"),
    ("context_vars", {"context_vars": "abc"}, "context_vars"),
    ("context_vars", {"context_vars": [1]}, "context_vars"),
    ("dest", {"dest": "x"}, "dest"),
    ("subtasks", {"subtasks": 3}, "int"),
    ("subtasks", {"subtasks": [3]}, "entry 0"),
    ("sequential", {"sequential": True}, "sequential"),
    ("sequential", {"sequential": 1}, "sequential"),
    ("foreach", {"foreach": 3}, "foreach"),
    ("foreach", {"foreach": ""}, "foreach"),
    ("foreach", {"foreach": ["a"]}, "foreach"),
    ("foreach", {"foreach": True, "sequential": True}, "max_parallel=1"),
    ("max_parallel", {"max_parallel": 2}, "max_parallel"),
    ("max_parallel", {"foreach": True, "max_parallel": 0}, "max_parallel"),
    ("max_parallel", {"foreach": True, "max_parallel": True}, "max_parallel"),
    ("retry", {"retry": 3}, "Retry"),
    ("timeout", {"timeout": 0}, "timeout"),
    ("timeout", {"timeout": -1}, "timeout"),
    ("timeout", {"timeout": "60"}, "timeout"),
    ("timeout", {"timeout": float("nan")}, "timeout"),
    ("queue", {"queue": "a b "}, "queue"),
    ("queue", {"queue": 3}, "queue"),
    ("process", {"process": "yes"}, "process"),
    ("process", {"run": None, "subtasks": [], "process": True}, "process"),
    ("on_complete", {"on_complete": "done"}, "on_complete"),
    ("on_complete", {"on_complete": lambda: "done"}, "no argument"),
    ("debug", {"debug": lambda a, b, c: 1}, "debug"),
    ("debug", {"debug": lambda result: 1}, "one argument only"),
]


@pytest.mark.parametrize(("argument", "fields", "words"), WRONG)
def test_a_wrong_argument_is_refused(argument: str, fields: dict[str, Any], words: str) -> None:
    arguments = {"name": "resize", "run": run, **fields}
    with pytest.raises(TaskpathError) as caught:
        Task(**arguments)
    assert caught.value.code is ErrorCode.SCHEDULER_ERROR
    message = str(caught.value)
    assert words in message
    assert argument == "name" or "'resize'" in message or "Retry" in message
    assert message.endswith(".")
    assert "\n" not in message


def test_async_conditions_are_refused() -> None:
    async def condition(context: Any) -> bool:
        return True

    with pytest.raises(TaskpathError, match="async"):
        Task("t", run, condition=condition)


@pytest.mark.parametrize(
    "fields",
    [
        {"attempts": 0},
        {"attempts": 1.5},
        {"attempts": True},
        {"attempts": 10_001},
        {"backoff": -1},
        {"backoff": float("inf")},
        {"max_delay": "1"},
        {"jitter": 1.1},
        {"on": ValueError()},
        {"on": (ValueError, "x")},
        {"on": (int,)},
    ],
)
def test_a_wrong_retry_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(TaskpathError, match=f"Retry: {next(iter(fields))}"):
        Retry(**fields)


def test_retry_allows_what_it_is_for() -> None:
    assert Retry().allows(TimeoutError())
    assert not Retry().allows(SystemExit())
    assert Retry(on=OSError).allows(ConnectionError())
    assert not Retry(on=(OSError, KeyError)).allows(ValueError())


class TestPlans:
    def test_a_tree_becomes_a_plan(self) -> None:
        tree = tree_of(
            [
                Task("list", run, description="Find", context_var="photos", timeout=60),
                Task(
                    "resize",
                    run,
                    foreach="photos",
                    max_parallel=5,
                    retry=Retry(2, 0.5, 9, 0.0),
                    queue="images",
                ),
                Task(
                    "publish",
                    run,
                    dest="archive",
                    condition=lambda context: True,
                    subtasks=[Task("cdn", run, context_vars=["url"]), Task("mail", run)],
                    sequential=True,
                ),
                Task("group", subtasks=[]),
            ]
        )
        plan = plan_of(tree, "default")
        assert plan.tasks == (
            TaskSpec("list", "Find", context_var="photos", timeout=60.0),
            TaskSpec(
                "resize",
                foreach="photos",
                max_parallel=5,
                retry=RetrySpec(attempts=2, backoff=0.5, max_delay=9.0, jitter=0.0),
                queue="images",
            ),
            TaskSpec(
                "publish",
                condition=True,
                dest="archive",
                subtasks=(TaskSpec("cdn", context_vars=("url",)), TaskSpec("mail")),
                sequential=True,
            ),
            TaskSpec("group", run=False, subtasks=()),
        )
        assert queues_of(plan) == {"default", "images"}

    def test_the_seeds_form(self) -> None:
        tree = tree_of(
            [
                {"name": "a", "task": run, "onComplete": str, "debug": print, "condition": bool},
                {
                    "name": "b",
                    "task": run,
                    "dest": "x",
                    "subtasks": {"c": {"task": run}, "d": {"subtasks": [{"name": "e", "task": run}]}},
                },
                {"name": "f", "run": run, "foreach": True, "maxParallel": 2, "contextVar": "v"},
            ]
        )
        plan = plan_of(tree, "default")
        assert [task.name for task in plan.tasks[1].subtasks or ()] == ["c", "d"]
        assert plan.tasks[1].subtasks is not None
        assert plan.tasks[1].subtasks[1] == TaskSpec("d", run=False, subtasks=(TaskSpec("e"),))
        assert (plan.tasks[2].max_parallel, plan.tasks[2].context_var) == (2, "v")
        assert (tree[0].on_complete, tree[0].debug) == (str, print)

    @pytest.mark.parametrize(
        ("returned", "words"),
        [
            (None, "NoneType"),
            ("ab", "str"),
            ([run], "function"),
            ([{"task": run}], "no name"),
            ([{"name": "a", "task": run, "retries": 3}], "'retries'"),
            ([{"name": "a", "task": run, "run": run}], "twice"),
            ({"a": {"name": "b", "task": run}}, "same"),
            ({"a": Task("b", run)}, "same"),
            ([Task("a", run), Task("a", run)], "#.a"),
            ([Task("g", subtasks=[Task("a", run), {"name": "a", "task": run}])], "#.g.a"),
        ],
    )
    def test_what_is_no_tree_is_refused(self, returned: Any, words: str) -> None:
        with pytest.raises(TaskpathError, match=words):
            tree_of(returned)

    def test_depth_is_limited_and_items_are_a_level(self) -> None:
        def nested(levels: int, foreach: bool | None = None) -> Task:
            task = Task("t", run, foreach=foreach)
            for _ in range(levels - 1):
                task = Task("t", subtasks=[task])
            return task

        tree_of([nested(64)])
        tree_of([nested(63, foreach=True)])
        for too_deep in (nested(65), nested(64, foreach=True)):
            with pytest.raises(TaskpathError, match="64 levels"):
                tree_of([too_deep])

    def test_a_dict_that_contains_itself_is_refused(self) -> None:
        endless: dict[str, Any] = {"name": "a"}
        endless["subtasks"] = [endless, endless]
        with pytest.raises(TaskpathError, match="64 levels"):
            tree_of([endless])

    def test_the_length_of_paths_is_limited(self) -> None:
        task = Task("ä" * 99, run)
        for _ in range(4):
            task = Task("ä" * 99, subtasks=[task])
        tree_of([task])
        with pytest.raises(TaskpathError, match="1000 bytes"):
            tree_of([Task("xxxxx", subtasks=[task])])

    def test_the_number_of_tasks_is_limited(self) -> None:
        leaves = [Task(str(number), run) for number in range(1000)]
        tree_of([Task(str(number), subtasks=leaves) for number in range(999)])
        with pytest.raises(TaskpathError, match="1000000 tasks"):
            tree_of([Task(str(number), subtasks=leaves) for number in range(1000)])


class TestWorkflows:
    def test_registration(self) -> None:
        app = App()

        @app.workflow("album", queue="images")
        def album(data: Any) -> list[Task]:
            """Export an album.

            And more.
            """
            return []

        assert album({}) == []
        workflow = app.workflows["album"]
        assert (workflow.queue, workflow.description, workflow.schema) == ("images", "Export an album.", None)
        assert workflow.data_from('{"a":1}') == {"a": 1}

    @pytest.mark.parametrize("name", ["", "a.b", " a", "x" * 201, "a\n"])
    def test_wrong_names(self, name: str) -> None:
        with pytest.raises(TaskpathError, match="workflow name"):
            App().workflow(name)(list)
        with pytest.raises(TaskpathError, match="queue name"):
            App().workflow("w", queue=name)(list)

    def test_other_mistakes(self) -> None:
        app = App()
        app.workflow("w")(list)
        with pytest.raises(TaskpathError, match="registered already"):
            app.workflow("w")(list)
        with pytest.raises(TaskpathError, match="needs a name"):
            app.workflow(list)  # type: ignore[arg-type]
        with pytest.raises(TaskpathError, match="2 arguments"):
            app.workflow("two")(lambda a, b: [])
        with pytest.raises(TaskpathError, match="expected is a function"):
            app.workflow("none")(None)  # type: ignore[type-var]

    def test_typed_data(self) -> None:
        class Album(msgspec.Struct):
            name: str
            size: Size | None = None

        app = App()

        @app.workflow("album")
        def album(data: Album) -> list[Task]:
            return []

        @app.workflow("size")
        def size(data: Size | None) -> list[Task]:
            return []

        @app.workflow("plain")
        def plain(data: dict[str, Any]) -> list[Task]:
            return []

        workflow = app.workflows["album"]
        assert workflow.schema is not None
        assert "Album" in str(workflow.schema)
        assert workflow.data_from('{"name":"Sea","size":{"width":3}}') == Album("Sea", Size(3))
        with pytest.raises(TaskpathError) as caught:
            workflow.data_from('{"name":"Sea","size":{"width":"3"}}')
        assert caught.value.code is ErrorCode.INVALID_DATA
        assert "size.width" in str(caught.value)
        assert "'album'" in str(caught.value)
        with pytest.raises(TaskpathError, match="name"):
            workflow.data_from("{}")
        assert app.workflows["size"].data_from("null") is None
        assert app.workflows["plain"].schema is None

    def test_handlers(self) -> None:
        app = App()

        @app.on_error
        def error(instance_id: str, error: Any) -> None: ...

        @app.on_complete
        async def complete(instance_id: str, status: str) -> None: ...

        @app.on_delete
        def delete(instance_id: str) -> None: ...

        assert (app.error_handlers, app.complete_handlers, app.delete_handlers) == (
            [error],
            [complete],
            [delete],
        )
        with pytest.raises(TaskpathError, match="handler"):
            app.on_delete(lambda a, b: None)


class TestLoading:
    def test_by_file(self, tmp_path: Path) -> None:
        (tmp_path / "beside.py").write_text("NAME = 'w'\n")
        file = tmp_path / "some_app_file.py"
        file.write_text(
            "import beside\nfrom taskpath import App\nmine = App()\nmine.workflow(beside.NAME)(lambda: [])\n"
        )
        app = load(str(file))
        assert list(app.workflows) == ["w"]
        assert app.source == str(file)
        assert load(f"{file}:mine") is app

    def test_by_module(self) -> None:
        app = load("tests.support.process_app:app")
        assert "w" in app.workflows
        assert app.source == "tests.support.process_app:app"
        assert load("tests.support.process_app") is app

    @pytest.mark.parametrize(
        ("reference", "words"),
        [
            ("no_such_file.py", "no file"),
            ("no_such_module", "no module"),
            ("no_such_module:app", "no module"),
            ("json", "none of the type App"),
            ("json:dumps", "function"),
            ("json:none", "NoneType"),
        ],
    )
    def test_what_cannot_be_found(self, reference: str, words: str) -> None:
        with pytest.raises(TaskpathError, match=words) as caught:
            load(reference)
        assert caught.value.code is ErrorCode.INVALID_REQUEST

    def test_an_error_inside_is_the_authors(self, tmp_path: Path) -> None:
        file = tmp_path / "raising_app_file.py"
        file.write_text("import no_such_library\n")
        with pytest.raises(ModuleNotFoundError, match="no_such_library"):
            load(str(file))
