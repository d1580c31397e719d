"""Tasks as authors write them: a name, a function, and how it is to be run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from taskpath.calls import AuthorFunction, call_shape, describe
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.paths import MAX_LEVELS, name_error
from taskpath_proto.plan import RetrySpec

MAX_SECONDS: Final = 30 * 86_400.0
"""The longest timeout and delay, in seconds: thirty days."""
MAX_TRIES: Final = 10_000


class Retry:
    """How often, when, and after which exceptions a failed task is tried again.

    The delay before try n+1 is ``min(max_delay, backoff * 2**(n - 1))``, give or take the jitter fraction.

    Args:
        attempts: how many tries there are in all, 1 to 10,000.
        backoff: the first delay, in seconds.
        max_delay: the longest delay, in seconds.
        jitter: a fraction from 0 to 1 by which delays vary at random.
        on: the exception classes that may be tried again; a timeout is a ``TimeoutError``.

    Raises:
        TaskpathError: SCHEDULER_ERROR, if a value is out of range.
    """

    __slots__ = ("on", "spec")

    def __init__(
        self,
        attempts: int = 3,
        backoff: float = 1.0,
        max_delay: float = 60.0,
        jitter: float = 0.1,
        on: type[BaseException] | Sequence[type[BaseException]] = (Exception,),
    ) -> None:
        if type(attempts) is not int or not 1 <= attempts <= MAX_TRIES:
            raise _invalid(
                f"Retry: attempts is {attempts!r}; expected is a whole number from 1 to {MAX_TRIES}."
            )
        _require_number("Retry: backoff", backoff, 0, MAX_SECONDS, "seconds")
        _require_number("Retry: max_delay", max_delay, 0, MAX_SECONDS, "seconds")
        _require_number("Retry: jitter", jitter, 0, 1)
        classes = (on,) if isinstance(on, type) else on
        if not isinstance(classes, (tuple, list)) or not all(
            isinstance(one, type) and issubclass(one, BaseException) for one in classes
        ):
            raise _invalid(f"Retry: on is {on!r}; expected is a tuple of exception classes.")
        self.spec = RetrySpec(
            attempts=attempts, backoff=float(backoff), max_delay=float(max_delay), jitter=float(jitter)
        )
        self.on: tuple[type[BaseException], ...] = tuple(classes)

    def allows(self, error: BaseException) -> bool:
        """Whether a task that failed with this exception may be tried again."""
        return isinstance(error, self.on)

    def __repr__(self) -> str:
        return f"Retry(attempts={self.spec.attempts})"


class Task:
    """One task of a workflow's tree.

    Args:
        name: unique among its siblings; 1 to 200 characters, none of ``. [ ] * #``.
        run: its function, of ``()``, ``(arg)`` or ``(arg, ctx)``, sync or async.
        description: for people.
        condition: a function of the context; if what it returns is false, the task is skipped.
        context_var: the name under which its result is left in the context.
        context_vars: the keys of its result that are left in the context.
        dest: the name under which its result is bound in the context of its subtasks.
        subtasks: tasks that run after its own function, in parallel.
        sequential: the subtasks run one after the other.
        foreach: the name of a list in the context, or True for the result before it: one task an item.
        max_parallel: how many items of a foreach may run at once.
        retry: how often and when it is tried again after a failure.
        timeout: of one attempt, in seconds.
        queue: the queue whose executors run it, if not the workflow's own.
        process: the function runs in a worker process.
        on_complete: a function of the result that returns text for the log.
        debug: a function of result and context, called after success when debugging is on.

    Raises:
        TaskpathError: SCHEDULER_ERROR, if an argument is wrong; the message names the task.
    """

    __slots__ = (
        "arity",
        "condition",
        "context_var",
        "context_vars",
        "debug",
        "description",
        "dest",
        "foreach",
        "is_async",
        "max_parallel",
        "name",
        "on_complete",
        "process",
        "queue",
        "retry",
        "run",
        "sequential",
        "subtasks",
        "timeout",
    )

    def __init__(
        self,
        name: str,
        run: AuthorFunction | None = None,
        *,
        description: str = "",
        condition: Callable[[Any], Any] | None = None,
        context_var: str | None = None,
        context_vars: Sequence[str] = (),
        dest: str | None = None,
        subtasks: Sequence[Task | Mapping[str, Any]] | Mapping[str, Task | Mapping[str, Any]] | None = None,
        sequential: bool = False,
        foreach: str | bool | None = None,
        max_parallel: int | None = None,
        retry: Retry | None = None,
        timeout: float | None = None,
        queue: str | None = None,
        process: bool = False,
        on_complete: Callable[[Any], Any] | None = None,
        debug: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        if not isinstance(name, str):
            raise _invalid(f"A task's name is {name!r}; expected is text.")
        if wrong := name_error(name):
            raise _invalid(f"The task name {name!r} is wrong: {wrong}.")
        self.name = name
        self.run = run
        self.description = self._text("description", description) or ""
        self.condition = self._function("condition", condition, 1)
        self.context_var = self._variable("context_var", context_var)
        self.context_vars = self._variables(context_vars)
        self.dest = self._variable("dest", dest)
        self.subtasks = None if subtasks is None else self._children(subtasks)
        self.sequential = self._flag("sequential", sequential)
        self.foreach = self._list_name(foreach)
        self.max_parallel = self._count("max_parallel", max_parallel)
        self.retry = retry
        self.timeout = timeout
        self.queue = queue
        self.process = self._flag("process", process)
        self.on_complete = self._function("on_complete", on_complete, 1)
        self.debug = self._function("debug", debug, 2)
        self.arity, self.is_async = 0, False
        if run is not None:
            if not callable(run):
                raise self._wrong(f"its function is {run!r}; expected is something that can be called")
            try:
                self.arity, self.is_async = call_shape(run)
            except ValueError as error:
                raise self._wrong(
                    f"its function {describe(run)} cannot be called: {error}; "
                    "expected is (), (arg) or (arg, ctx)"
                ) from None
        if retry is not None and not isinstance(retry, Retry):
            raise self._wrong(f"retry is {retry!r}; expected is a Retry")
        if timeout is not None:
            _require_number(f"Task {name!r}: timeout", timeout, 0, MAX_SECONDS, "seconds", above=True)
        if queue is not None:
            if not isinstance(queue, str):
                raise self._wrong(f"queue is {queue!r}; expected is text")
            if wrong := name_error(queue):
                raise self._wrong(f"the queue name {queue!r} is wrong: {wrong}")
        self._check_combinations()

    def _check_combinations(self) -> None:
        if self.run is None:
            if self.subtasks is None:
                raise self._wrong("it has nothing to do; expected is a function, or subtasks")
            for given, what in (
                (self.process, "process"),
                (self.on_complete, "on_complete"),
                (self.debug, "debug"),
            ):
                if given:
                    raise self._wrong(f"{what} is for its own function, and it has none")
        if self.subtasks is None:
            if self.sequential and self.foreach is not None:
                raise self._wrong(
                    "sequential is about subtasks; items run one after the other with max_parallel=1"
                )
            if self.sequential:
                raise self._wrong("sequential is about subtasks, and it has none")
            if self.dest is not None:
                raise self._wrong("dest binds its result for its subtasks, and it has none; use context_var")
        if self.foreach is None and self.max_parallel is not None:
            raise self._wrong("max_parallel is about the items of a foreach, and it has none")

    # The arguments, one kind each.

    def _wrong(self, why: str) -> TaskpathError:
        return _invalid(f"Task {self.name!r}: {why}.")

    def _text(self, what: str, text: object) -> str | None:
        if text is not None and not isinstance(text, str):
            raise self._wrong(f"{what} is {text!r}; expected is text")
        return text

    def _flag(self, what: str, flag: object) -> bool:
        if not isinstance(flag, bool):
            raise self._wrong(f"{what} is {flag!r}; expected is True or False")
        return flag

    def _variable(self, what: str, name: object) -> str | None:
        if name is not None and (not isinstance(name, str) or not name):
            raise self._wrong(f"{what} is {name!r}; expected is the name of a variable, as text")
        return name

    def _variables(self, names: object) -> tuple[str, ...]:
        if not isinstance(names, (tuple, list)) or not all(isinstance(one, str) and one for one in names):
            raise self._wrong(f"context_vars is {names!r}; expected is a list of names, as text")
        return tuple(names)

    def _list_name(self, foreach: object) -> str | bool | None:
        if foreach is None or foreach is False:
            return None
        if foreach is not True and (not isinstance(foreach, str) or not foreach):
            raise self._wrong(
                f"foreach is {foreach!r}; expected is the name of a list in the context, "
                "or True for the result before it"
            )
        return foreach

    def _count(self, what: str, count: object) -> int | None:
        if count is None:
            return None
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise self._wrong(f"{what} is {count!r}; expected is a whole number from 1 on")
        return count

    def _function(self, what: str, function: AuthorFunction | None, arguments: int) -> AuthorFunction | None:
        if function is None:
            return None
        gets = "the context" if what == "condition" else "(result)" if arguments == 1 else "(result, context)"
        if not callable(function):
            raise self._wrong(f"{what} is {function!r}; expected is a function of {gets}")
        try:
            shape = call_shape(function, arguments, whole=True)
        except ValueError as error:
            raise self._wrong(f"{what} cannot be called: {error}; expected is a function of {gets}") from None
        if shape.arity < arguments:
            takes = "no argument" if shape.arity == 0 else "one argument only"
            raise self._wrong(f"{what} takes {takes}; expected is a function of {gets}")
        if shape.is_async:
            raise self._wrong(f"{what} is async; expected is a plain function of {gets}")
        return function

    def _children(self, subtasks: object) -> tuple[Task, ...]:
        return tasks_of(subtasks, f"Task {self.name!r}: subtasks", 1)

    def __repr__(self) -> str:
        return f"Task({self.name!r})"


def tasks_of(definitions: object, what: str, level: int) -> tuple[Task, ...]:
    """The tasks that a list, or the seed's mapping of names, defines.

    Args:
        definitions: tasks, or dicts of the seed's form.
        what: how a message speaks of the list.
        level: how deep it stands; dicts may contain themselves.

    Raises:
        TaskpathError: SCHEDULER_ERROR, if it is something else.
    """
    if level > MAX_LEVELS:
        raise _invalid(f"The tree is too deep; at most {MAX_LEVELS} levels are allowed.")
    if isinstance(definitions, Mapping):
        return tuple(_task_of(one, f"{what}: {name!r}", level, name) for name, one in definitions.items())
    if not isinstance(definitions, (list, tuple)):
        raise _invalid(f"{what} is of type {type(definitions).__name__}; expected is a list of tasks.")
    return tuple(_task_of(one, f"{what}: entry {number}", level) for number, one in enumerate(definitions))


# The seed's names, and those of Task's own arguments, to Task's.
_KEYS: Final = {
    "name": "name",
    "task": "run",
    "run": "run",
    "description": "description",
    "condition": "condition",
    "contextVar": "context_var",
    "contextVars": "context_vars",
    "context_var": "context_var",
    "context_vars": "context_vars",
    "dest": "dest",
    "subtasks": "subtasks",
    "sequential": "sequential",
    "foreach": "foreach",
    "maxParallel": "max_parallel",
    "max_parallel": "max_parallel",
    "retry": "retry",
    "timeout": "timeout",
    "queue": "queue",
    "process": "process",
    "onComplete": "on_complete",
    "on_complete": "on_complete",
    "debug": "debug",
}


def _task_of(definition: object, what: str, level: int, name: object = None) -> Task:
    if isinstance(definition, Task):
        if name is not None and name != definition.name:
            raise _invalid(f"{what} stands for the task {definition.name!r}; both names must be the same.")
        return definition
    if not isinstance(definition, Mapping):
        raise _invalid(f"{what} is of type {type(definition).__name__}; expected is a Task or a dict.")
    arguments: dict[str, Any] = {}
    for key, value in definition.items():
        argument = _KEYS.get(key)
        if argument is None:
            raise _invalid(f"{what} has the unknown key {key!r}; known are {', '.join(_KEYS)}.")
        if argument in arguments:
            raise _invalid(f"{what} has the key {key!r} twice, in two spellings.")
        arguments[argument] = value
    if name is not None and arguments.setdefault("name", name) != name:
        raise _invalid(f"{what} has the name {arguments['name']!r}; both names must be the same.")
    if "name" not in arguments:
        raise _invalid(f"{what} has no name.")
    if (subtasks := arguments.get("subtasks")) is not None:
        arguments["subtasks"] = tasks_of(subtasks, f"Task {arguments['name']!r}: subtasks", level + 1)
    return Task(**arguments)


def _require_number(
    what: str, number: object, least: float, most: float, unit: str = "", *, above: bool = False
) -> None:
    fits = (
        isinstance(number, (int, float))
        and not isinstance(number, bool)
        and math.isfinite(number)
        and least <= number <= most
        and not (above and number == least)
    )
    if not fits:
        of = f" of {unit}" if unit else ""
        start = "above" if above else "from"
        raise _invalid(f"{what} is {number!r}; expected is a number{of} {start} {least:g} to {most:g}.")


def _invalid(message: str) -> TaskpathError:
    return TaskpathError(ErrorCode.SCHEDULER_ERROR, message)
