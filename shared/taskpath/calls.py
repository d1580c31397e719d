"""How an author's function wants to be called: decided once, when its task is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final, NamedTuple

AuthorFunction = Callable[..., Any]

_CONTEXT_NAMES: Final = frozenset({"ctx", "context", "task_context"})


class CallShape(NamedTuple):
    """What a function takes.

    Attributes:
        arity: how many of (argument, ctx) it is given: 0, 1 or 2.
        is_async: whether calling it gives a coroutine, to be run on the event loop.
    """

    arity: int
    is_async: bool


def call_shape(function: AuthorFunction, most: int = 2, *, whole: bool = False) -> CallShape:
    """How to call an author's function.

    A second parameter that has a default is taken for the context only if its name or its annotation says so.

    Args:
        function: any callable.
        most: how many arguments there are to give it.
        whole: whether it is to be given as many as it takes, defaults or not.

    Raises:
        ValueError: it cannot be called so; the message is a clause that says why.
    """
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  (an object with an async __call__)
    )
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):  # some builtins have no signature
        return CallShape(most if whole else min(1, most), is_async)
    required, optional, variadic = 0, 0, False
    second: inspect.Parameter | None = None
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            if required + optional == 1:
                second = parameter
            if parameter.default is parameter.empty:
                required += 1
            else:
                optional += 1
        elif parameter.kind is parameter.VAR_POSITIONAL:
            variadic = True
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise ValueError(f"its parameter {parameter.name!r} can only be given by name")
    if required > most:
        raise ValueError(f"it takes {required} arguments")
    if required == most or variadic:
        return CallShape(most, is_async)
    if whole:
        return CallShape(min(most, required + optional), is_async)
    if required + optional >= 2 and most >= 2 and second is not None and _is_context(second):
        return CallShape(2, is_async)
    return CallShape(max(required, min(1, optional)), is_async)


def _is_context(parameter: inspect.Parameter) -> bool:
    return parameter.name in _CONTEXT_NAMES or "TaskContext" in str(parameter.annotation)


def describe(function: object) -> str:
    """The name by which a message speaks of a function."""
    return str(getattr(function, "__qualname__", None) or type(function).__qualname__)
