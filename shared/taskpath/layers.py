"""Contexts from layers: what a task sees is the base context, and on it what the tasks before it left.

Pure: values are read by whoever needs the context, and nothing that is passed in is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from taskpath import updaters
from taskpath.updaters import UpdaterError
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.values import Value
from taskpath_proto.work import Layer

Read = Callable[[Value], Any]
"""Gives the JSON value that a :data:`~taskpath_proto.values.Value` stands for; it has been read before."""


class Leaving(Protocol):
    """What is said of a task about what it leaves in the context."""

    @property
    def context_var(self) -> str | None:
        """The name of its result."""
        ...

    @property
    def context_vars(self) -> tuple[str, ...]:
        """The keys of its result that are left."""
        ...


def left_by(
    path: str, task: Leaving, result: Value, updaters: Value | None, *, runs: bool
) -> tuple[Layer, ...]:
    """What a task's own function left in the context.

    Args:
        path: the task's.
        task: what it leaves.
        result: what the function returned.
        updaters: those that it left, a JSON list.
        runs: whether there is a function.
    """
    if task.context_var is None and not task.context_vars and updaters is None:
        return ()
    return (
        Layer(
            path=path,
            variables=((task.context_var, result),) if task.context_var is not None and runs else (),
            keys=task.context_vars if runs else (),
            result=result if task.context_vars and runs else None,
            updaters=updaters,
        ),
    )


def values_of(base: Value, layers: Iterable[Layer]) -> Iterator[Value]:
    """The values that building the context will read."""
    yield base
    for layer in layers:
        for _, value in layer.variables:
            yield value
        if layer.result is not None and layer.keys:
            yield layer.result
        if layer.updaters is not None:
            yield layer.updaters


def build(base: Value, layers: Iterable[Layer], read: Read) -> dict[str, Any]:
    """The context: the base context, then for each layer its variables, its keys, its updaters, in order.

    A key that the result does not have leaves nothing, nor does a result that is no object.

    Args:
        base: a JSON object.
        layers: what the tasks before left, in tree order.
        read: gives the JSON value of each value.

    Returns:
        A new dict; its values are those that ``read`` gave.

    Raises:
        TaskpathError: EXECUTION_FAILED, if an updater does not fit; its path is the task that left it.
    """
    context: dict[str, Any] = dict(read(base) or {})
    for layer in layers:
        for name, value in layer.variables:
            context[name] = read(value)
        if layer.keys and layer.result is not None:
            result = read(layer.result)
            if isinstance(result, dict):
                context.update((key, result[key]) for key in layer.keys if key in result)
        if layer.updaters is not None:
            context = _updated(context, read(layer.updaters), layer.path)
    return context


def _updated(context: dict[str, Any], changes: Any, path: str) -> dict[str, Any]:
    try:
        for change in changes:
            changed = updaters.apply(context, change)
            if not isinstance(changed, dict):
                raise UpdaterError("The context must stay an object.")
            context = changed
    except UpdaterError as error:
        raise TaskpathError(
            ErrorCode.EXECUTION_FAILED,
            f"What {path} left in the context cannot be applied: {error}",
            path=path,
        ) from error
    # An updater that changes nothing gives what it was given, and the next layer writes into it.
    return dict(context)


def source_of(name: str, layers: Iterable[Layer]) -> Value | None:
    """The value that a variable of the context is, if a layer bound it and no updater may have changed it."""
    found: Value | None = None
    for layer in layers:
        for variable, value in layer.variables:
            if variable == name:
                found = value
        if layer.updaters is not None or name in layer.keys:
            found = None
    return found
