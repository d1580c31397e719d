"""Updaters: a change of a JSON value, described by a JSON value.

An updater is an object of commands, and of keys whose values are updaters for what stands under those keys::

    {"photos": {"$push": [{"id": 7}]}, "album": {"title": {"$set": "Sea"}, "$unset": ["draft"]}}

================================= ====================================================================
``$set: value``                   the value itself; no other key may stand beside it
``$merge: {key: value, …}``       these keys replaced, the others kept; one level deep
``$unset: [key, …]``              these keys gone; an index of an array becomes null
``$toggle: [key, …]``             true where it was false, 0, "", null or absent; else false
``$push: [item, …]``              these items after the array's own
``$unshift: [item, …]``           these items before the array's own
``$splice: [[start, n, item …]]`` for each entry: n items from start on replaced by these; a negative start
                                  counts from the end, without n all that follow go
``$updatePath: {path, updater}``  the updater applied to what is at the path
================================= ====================================================================

The semantics are those of the npm package ``immutability-helper`` for JSON values, and results are what JSON
text carries: a hole in an array is null, what is undefined is absent. So:

- Commands and keys of one updater apply in the order written. A command goes on from the result so far; a
  key's updater reads what stood there before them all, and what it gives is put into the result so far.
- The updater of an absent key may create it, as ``$set`` does; a step further into the absent is an error.
- Setting an index beyond the end of an array pads it with null. Where an array is expected, an updater may
  itself be an array: its entries are for the items 0, 1, 2 …
- The path of ``$updatePath`` is relative to where the command stands: ``a.b``, ``#.a.b``, ``photos.0.name``;
  ``#`` and the empty path mean the very place. All steps but the last must exist; the last is like a key.
  Unlike a key, a step may begin with ``$``. Keys that are empty, contain a dot or end in ``[3]`` are nested.

Stricter than JavaScript, which would coerce or lose the change in silence: an array has indices only (not
``length``, ``-1`` or ``name``), text and numbers have no keys, ``$splice`` takes whole numbers, keys are text
or whole numbers, an array merges into arrays only, and what begins with ``$`` but is no command is an error.

Nothing is mutated. The result shares what did not change with the value, and what came in with the updater.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum
from types import NoneType
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
"""What JSON text decodes to."""

MAX_DEPTH: Final = 200
"""How deep updaters may be nested."""
MAX_PADDING: Final = 1_000_000
"""How many nulls one :func:`apply` may pad arrays with."""

_ROOT: Final = "#"
_MAX_WHOLE: Final = 2**53 - 1
_INDEX = re.compile(r"0|[1-9][0-9]{0,15}")
_STEP = re.compile(r"(?!.*\[-?[0-9]*\]$)[^.]+", re.DOTALL)


class UpdaterError(ValueError):
    """An updater that is malformed, or that does not fit the value.

    Args:
        message: one sentence: what was wrong and what is expected.
        path: where in the value, as in ``#.photos.0.name``.
    """

    def __init__(self, message: str, path: str = _ROOT) -> None:
        super().__init__(message)
        self.path = path


def apply(value: JSON, updater: JSON) -> JSON:
    """The value that the updater makes of ``value``; the same object if nothing changes.

    Raises:
        UpdaterError: if the updater is malformed or does not fit the value.
    """
    _check(updater, _ROOT, 0)
    return _or_null(_update(value, updater, _ROOT, _Padding()))


def check(updater: JSON) -> None:
    """Checks the form of an updater: all that can be told without the value.

    Raises:
        UpdaterError: if the updater would fail whatever the value.
    """
    _check(updater, _ROOT, 0)


def _check(updater: JSON, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _error("The updater", path, f"is nested too deep; at most {MAX_DEPTH} levels are allowed")
    if not isinstance(updater, dict | list):
        raise _error("The updater", path, f"must be an object of commands and keys, not {_kind(updater)}")
    if isinstance(updater, dict) and "$set" in updater and len(updater) > 1:
        other = next(key for key in updater if key != "$set")
        raise _error("$set", path, f"must stand alone, but {_shown(other)} stands beside it")
    for key, argument, command in _parts(updater, path):
        if command is None:
            _check(argument, f"{path}.{key}", depth + 1)
            continue
        read = command.read(key, path, argument)
        if isinstance(read, _Target):
            _check(read.updater, ".".join((path, *read.steps)), depth + 1)


def _update(value: _Value, updater: JSON, path: str, padding: _Padding) -> _Value:
    """What an updater that passed the check makes of what is at ``path``."""
    if isinstance(updater, list) and not isinstance(value, list):
        raise _error("An array as updater", path, f"needs an array, but finds {_kind(value)}")
    draft = _Draft(value, path, padding)
    for key, argument, command in _parts(updater, path):
        if command is None:
            draft.put(key, _update(_get(value, key, path), argument, f"{path}.{key}", padding))
        else:
            command.run(draft, command.read(key, path, argument))
    return draft.value


def _parts(updater: JSON, path: str) -> Iterator[tuple[str, JSON, _Command | None]]:
    """The commands and keys of an updater with their arguments, in the order written; a key has none."""
    if isinstance(updater, dict):
        for key, argument in updater.items():
            command = _COMMANDS.get(key)
            if command is None and key.startswith("$"):
                raise _error(_shown(key), path, f"is no command; the commands are {', '.join(_COMMANDS)}")
            yield key, argument, command
    elif isinstance(updater, list):
        for index, argument in enumerate(updater):
            yield str(index), argument, None


class _Absent(Enum):
    """What is where nothing is; JavaScript's undefined."""

    ABSENT = "absent"


_ABSENT: Final = _Absent.ABSENT
_Value: TypeAlias = "JSON | _Absent"
_Container = TypeVar("_Container", dict[str, JSON], list[JSON])


class _Padding:
    """Bounds the nulls of one application: a short updater must not make a huge value."""

    def __init__(self) -> None:
        self._left = MAX_PADDING

    def take(self, count: int, path: str) -> None:
        self._left -= count
        if self._left < 0:
            raise _error("The index", path, f"pads too far; one update adds at most {MAX_PADDING} nulls")


class _Draft:
    """What is at one path while commands change it: copied before the first change."""

    def __init__(self, value: _Value, path: str, padding: _Padding) -> None:
        self.value = value
        self.path = path
        self.padding = padding
        self._own = False

    def replace(self, value: _Value) -> None:
        """Makes a value that others may hold the result so far."""
        self.value, self._own = value, False

    def array(self, command: str) -> list[JSON]:
        """The array that the command is for."""
        if not isinstance(self.value, list):
            raise _error(command, self.path, f"needs an array, but finds {_kind(self.value)}")
        return self.value

    def require_container(self, command: str) -> None:
        """Refuses what has no keys."""
        if not isinstance(self.value, dict | list):
            raise _error(command, self.path, f"needs an object or an array, but finds {_kind(self.value)}")

    def cut(self, start: int, count: int | None, items: list[JSON]) -> None:
        """Replaces ``count`` items of the array from ``start`` on, or all from there."""
        array = self._owned(self.array("$splice"))
        begin = start if start >= 0 else max(len(array) + start, 0)
        end = len(array) if count is None else begin + max(count, 0)
        array[begin:end] = items

    def put(self, key: str, new: _Value) -> None:
        """Puts ``new`` under the key."""
        old = _get(self.value, key, self.path)
        if isinstance(self.value, list):
            index, item, gap = int(key), _or_null(new), int(key) - len(self.value)
            if gap >= 0:
                self.padding.take(gap, f"{self.path}.{key}")
                self._owned(self.value).extend([*[None] * gap, item])
            elif not _same(old, item):
                self._owned(self.value)[index] = item
        elif isinstance(self.value, dict) and not _same(old, new):
            if isinstance(new, _Absent):
                del self._owned(self.value)[key]
            else:
                self._owned(self.value)[key] = new

    def _owned(self, held: _Container) -> _Container:
        if not self._own:
            held = held.copy()
            self.value, self._own = held, True
        return held


def _get(value: _Value, key: str, path: str) -> _Value:
    """What stands under the key of what is at ``path``."""
    if isinstance(value, dict):
        return value.get(key, _ABSENT)
    if not isinstance(value, list):
        raise _error(f"The key {_shown(key)}", path, f"needs an object or an array, but finds {_kind(value)}")
    if not _INDEX.fullmatch(key):
        raise _error(f"The key {_shown(key)}", path, "must be an index of the array there: 0, 1, 2 and so on")
    index = int(key)
    return value[index] if index < len(value) else _ABSENT


def _same(old: _Value, new: _Value) -> bool:
    """Whether ``new`` in the place of ``old`` changes nothing; objects and arrays go by identity."""
    return old is new or (type(old) is type(new) and not isinstance(old, dict | list) and old == new)


def _or_null(value: _Value) -> JSON:
    return None if isinstance(value, _Absent) else value


# The arguments: each reader gets the command's name, the path and the argument, and refuses a wrong form.


def _items(command: str, path: str, argument: JSON) -> list[JSON]:
    if not isinstance(argument, list):
        raise _error(command, path, f"takes an array of items, not {_kind(argument)}")
    return argument


def _keys(command: str, path: str, argument: JSON) -> list[str]:
    if not isinstance(argument, list):
        raise _error(command, path, f"takes an array of keys, not {_kind(argument)}")
    keys = [entry if isinstance(entry, str) else _whole(entry) for entry in argument]
    if None in keys:
        wrong = _kind(argument[keys.index(None)])
        raise _error(command, path, f"takes keys that are text or whole numbers, not {wrong}")
    return [str(key) for key in keys]


def _fields(command: str, path: str, argument: JSON) -> dict[str, JSON] | list[JSON]:
    if not isinstance(argument, dict | list):
        raise _error(command, path, f"takes an object, not {_kind(argument)}")
    return argument


def _cuts(command: str, path: str, argument: JSON) -> list[tuple[int, int | None, list[JSON]]]:
    form = "takes an array of arrays [start, deleteCount, item …]"
    if not isinstance(argument, list):
        raise _error(command, path, f"{form}, not {_kind(argument)}")
    cuts: list[tuple[int, int | None, list[JSON]]] = []
    for number, entry in enumerate(argument):
        if not isinstance(entry, list):
            raise _error(command, path, f"{form}, but its entry {number} is {_kind(entry)}")
        match [_whole(bound) for bound in entry[:2]]:
            case [int() as start]:
                cuts.append((start, None, []))
            case [int() as start, int() as count]:
                cuts.append((start, count, entry[2:]))
            case [_, *_]:
                raise _error(command, path, f"{form}, but entry {number} does not begin with whole numbers")
    return cuts


class _Target(NamedTuple):
    steps: list[str]
    updater: JSON


def _target(command: str, path: str, argument: JSON) -> _Target:
    if not isinstance(argument, dict):
        raise _error(command, path, f"takes an object of path and updater, not {_kind(argument)}")
    if argument.keys() != {"path", "updater"}:
        found = _shown(", ".join(argument)) or "no key"
        raise _error(command, path, f"takes an object of path and updater, but finds {found} in it")
    text = argument["path"]
    if not isinstance(text, str):
        raise _error(command, path, f"takes a path that is text, not {_kind(text)}")
    dotted = "." + text if text and text[0] != _ROOT else text.removeprefix(_ROOT)
    before, *steps = dotted.split(".")
    if before or not all(map(_STEP.fullmatch, steps)):
        raise _error(
            command, path, f"takes a path of steps joined by dots, as in #.photos.0.name, not {_shown(text)}"
        )
    return _Target(steps, argument["updater"])


def _whole(number: JSON) -> int | None:
    """The whole number that it is, if JavaScript tells it from its neighbours."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return int(number) if -_MAX_WHOLE <= number <= _MAX_WHOLE and number == int(number) else None


# The commands.


class _Command(NamedTuple):
    read: Callable[[str, str, JSON], Any]
    run: Callable[[_Draft, Any], None]


def _merge(draft: _Draft, fields: dict[str, JSON] | list[JSON]) -> None:
    draft.require_container("$merge")
    if isinstance(fields, list):
        draft.array("$merge of an array")
        fields = {str(index): item for index, item in enumerate(fields)}
    for key, new in fields.items():
        draft.put(key, new)


def _unset(draft: _Draft, keys: list[str]) -> None:
    for key in keys:
        draft.require_container("$unset")
        if _get(draft.value, key, draft.path) is not _ABSENT:
            draft.put(key, _ABSENT)


def _toggle(draft: _Draft, keys: list[str]) -> None:
    if keys:
        draft.require_container("$toggle")
    before = [_get(draft.value, key, draft.path) for key in keys]
    for key, old in zip(keys, before, strict=True):
        truthy = isinstance(old, dict | list) or (old is not _ABSENT and bool(old))
        draft.put(key, not truthy)


def _push(draft: _Draft, items: list[JSON]) -> None:
    end = len(draft.array("$push"))
    if items:
        draft.cut(end, 0, items)


def _unshift(draft: _Draft, items: list[JSON]) -> None:
    draft.array("$unshift")
    if items:
        draft.cut(0, 0, items)


def _splice(draft: _Draft, cuts: list[tuple[int, int | None, list[JSON]]]) -> None:
    draft.array("$splice")
    for start, count, items in cuts:
        draft.cut(start, count, items)


def _update_path(draft: _Draft, target: _Target) -> None:
    above: list[tuple[_Draft, str]] = []
    here = draft
    for key in target.steps:
        above.append((here, key))
        here = _Draft(_get(here.value, key, here.path), f"{here.path}.{key}", draft.padding)
    here.replace(_update(here.value, target.updater, here.path, draft.padding))
    for owner, key in reversed(above):
        owner.put(key, here.value)
        here = owner


_COMMANDS: Final[dict[str, _Command]] = {
    "$set": _Command(lambda _command, _path, argument: argument, _Draft.replace),
    "$merge": _Command(_fields, _merge),
    "$unset": _Command(_keys, _unset),
    "$toggle": _Command(_keys, _toggle),
    "$push": _Command(_items, _push),
    "$unshift": _Command(_items, _unshift),
    "$splice": _Command(_cuts, _splice),
    "$updatePath": _Command(_target, _update_path),
}

_KINDS: Final[dict[type, str]] = {
    _Absent: "nothing",
    NoneType: "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "text",
    list: "an array",
}


def _error(what: str, path: str, why: str) -> UpdaterError:
    return UpdaterError(f"{what} at {_shown(path)} {why}.", path)


def _kind(value: _Value) -> str:
    return _KINDS.get(type(value), "an object")


def _shown(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:60]}…{text[-60:]}"
