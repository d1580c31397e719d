"""JSON values that many functions may read and none may change.

They are dicts and lists, but whatever would change one raises :class:`TypeError`. Copying one
(``copy.copy``, ``copy.deepcopy``, ``.copy()``) gives a plain one.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

_MESSAGE: Final = "the context is read-only; use ctx.update_context, or change a copy (copy.deepcopy)"


def _refuse(*_: object, **__: object) -> NoReturn:
    raise TypeError(_MESSAGE)


class FrozenDict(dict[str, Any]):
    """An object of JSON that cannot be changed."""

    __slots__ = ()

    __setitem__ = __delitem__ = clear = pop = popitem = setdefault = update = __ior__ = _refuse

    def __copy__(self) -> dict[str, Any]:
        return dict(self)

    def __deepcopy__(self, _: object) -> dict[str, Any]:
        return {key: thaw(value) for key, value in self.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (thaw(self),)


class FrozenList(list[Any]):
    """An array of JSON that cannot be changed."""

    __slots__ = ()

    __setitem__ = __delitem__ = append = extend = insert = pop = remove = clear = _refuse
    sort = reverse = __iadd__ = __imul__ = _refuse

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, _: object) -> list[Any]:
        return [thaw(value) for value in self]

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (thaw(self),)


def freeze(value: Any) -> Any:
    """The JSON value, frozen through and through; parts that are frozen already are taken as they are."""
    kind = type(value)
    if kind is dict:
        return FrozenDict({key: freeze(inner) for key, inner in value.items()})
    if kind is list:
        return FrozenList([freeze(inner) for inner in value])
    return value


def thaw(value: Any) -> Any:
    """A plain copy of a frozen value."""
    if isinstance(value, dict):
        return {key: thaw(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [thaw(inner) for inner in value]
    return value
