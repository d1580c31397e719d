"""The app: the workflows that an author registers, and how an app is found and imported."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from zlib import crc32

import msgspec

from taskpath.calls import AuthorFunction, call_shape, describe
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.paths import name_error
from taskpath_proto.plan import Handler

F = TypeVar("F", bound=AuthorFunction)

DEFAULT_QUEUE: Final = "default"


class Workflow:
    """A registered workflow.

    Attributes:
        name: its name.
        generator: the author's function from data to a list of tasks.
        queue: the queue of its generator, and of its tasks that name none.
        description: the first line of the generator's docstring, if none was given.
        schema: the JSON Schema of its data, if the data is typed.
        arity: 1 if the generator takes the data, else 0.
        is_async: whether the generator is a coroutine function.
    """

    __slots__ = ("_decoder", "arity", "description", "generator", "is_async", "name", "queue", "schema")

    def __init__(
        self,
        name: str,
        generator: AuthorFunction,
        queue: str,
        description: str | None,
        names: dict[str, Any],
    ) -> None:
        for text, what in ((name, "workflow"), (queue, "queue")):
            if not isinstance(text, str):
                raise _invalid(f"The name of a {what} is {text!r}; expected is text.")
            if wrong := name_error(text):
                raise _invalid(f"The {what} name {text!r} is wrong: {wrong}.")
        if not callable(generator):
            raise _invalid(
                f"The workflow {name!r} is {generator!r}; expected is a function from data to tasks."
            )
        try:
            self.arity, self.is_async = call_shape(generator, most=1)
        except ValueError as error:
            raise _invalid(
                f"The generator {describe(generator)} of workflow {name!r} cannot be called: {error}; "
                "expected is a function of () or (data)."
            ) from None
        if description is not None and not isinstance(description, str):
            raise _invalid(f"The description of workflow {name!r} is {description!r}; expected is text.")
        self.name = name
        self.generator = generator
        self.queue = queue
        self.description = description if description is not None else _first_line(generator)
        data_type = _data_type(generator, names)
        self.schema: dict[str, Any] | None = None
        if data_type is not None:
            try:
                self.schema = msgspec.json.schema(data_type)
            except (TypeError, NameError) as error:
                raise _invalid(f"The data type of workflow {name!r} has no JSON Schema: {error}.") from None
        self._decoder = msgspec.json.Decoder(Any if data_type is None else data_type)

    def data_from(self, text: str) -> Any:
        """The data that the generator is called with, from its JSON text.

        Raises:
            TaskpathError: INVALID_DATA, naming the field, if it does not fit the type.
        """
        try:
            return self._decoder.decode(text)
        except msgspec.ValidationError as error:
            problem, _, place = str(error).partition(" - at `")
            field = place.rstrip("`").removeprefix("$").removeprefix(".")
            where = f"{field}: " if field else ""
            raise TaskpathError(
                ErrorCode.INVALID_DATA,
                f"The data of workflow {self.name!r} does not fit: {where}{problem}.",
                details={"workflow": self.name, "field": field, "problem": problem},
            ) from None
        except msgspec.DecodeError as error:
            raise TaskpathError(
                ErrorCode.INVALID_DATA, f"The data of workflow {self.name!r} is no JSON: {error}."
            ) from None

    def __repr__(self) -> str:
        return f"Workflow({self.name!r})"


class App:
    """What an author registers workflows and handlers with.

    Attributes:
        workflows: the registered workflows, by name.
        error_handlers: functions of ``(instance_id, error)``, called when an instance has failed.
        complete_handlers: functions of ``(instance_id, status)``, called when an instance has ended.
        delete_handlers: functions of ``(instance_id)``, called when an instance was deleted.
    """

    def __init__(self) -> None:
        self.workflows: dict[str, Workflow] = {}
        self.error_handlers: list[AuthorFunction] = []
        self.complete_handlers: list[AuthorFunction] = []
        self.delete_handlers: list[AuthorFunction] = []
        self._source: str | None = None
        frame = inspect.currentframe()
        made_in = frame.f_back if frame is not None else None
        self._module: str | None = made_in.f_globals.get("__name__") if made_in is not None else None

    def workflow(
        self, name: str, *, queue: str = DEFAULT_QUEUE, description: str | None = None
    ) -> Callable[[F], F]:
        """Registers a generator, as a decorator.

        Args:
            name: the workflow's name.
            queue: whose executors call the generator, and run the tasks that name no queue.
            description: for people; by default the first line of the docstring.

        Raises:
            TaskpathError: SCHEDULER_ERROR, if a name is wrong or taken, or the function cannot be called.
        """
        if not isinstance(name, str):
            raise _invalid('A workflow needs a name: @app.workflow("album").')

        def register(generator: F) -> F:
            if name in self.workflows:
                raise _invalid(f"A workflow named {name!r} is registered already.")
            here = inspect.currentframe()
            scope = here.f_back if here is not None else None
            names = scope.f_locals if scope is not None else {}
            self.workflows[name] = Workflow(name, generator, queue, description, names)
            return generator

        return register

    def on_error(self, handler: F) -> F:
        """Registers a function of ``(instance_id, error)``, a decorator; it may be called more than once."""
        return _registered(self.error_handlers, handler, 2)

    def on_complete(self, handler: F) -> F:
        """Registers a function of ``(instance_id, status)``, a decorator; it may be called more than once."""
        return _registered(self.complete_handlers, handler, 2)

    def on_delete(self, handler: F) -> F:
        """Registers a function of ``(instance_id)``, as a decorator; it may be called more than once."""
        return _registered(self.delete_handlers, handler, 1)

    def handlers(self, kind: Handler) -> list[AuthorFunction]:
        """The functions that are registered for a kind, in the order in which they were."""
        if kind is Handler.ERROR:
            return self.error_handlers
        return self.complete_handlers if kind is Handler.COMPLETE else self.delete_handlers

    @property
    def handled(self) -> tuple[Handler, ...]:
        """The kinds for which any function is registered."""
        return tuple(kind for kind in Handler if self.handlers(kind))

    @property
    def source(self) -> str | None:
        """The reference from which another process can :func:`load` this app; None if there is none.

        An app that was not loaded by reference has one if it is a variable of an imported module.
        """
        if self._source is None and self._module is not None:
            module = sys.modules.get(self._module)
            path = getattr(module, "__file__", None)
            variable = (
                next((name for name, value in vars(module).items() if value is self), None)
                if module
                else None
            )
            if path is not None and variable is not None:
                self._source = f"{Path(path).resolve()}:{variable}"
        return self._source


def load(reference: str) -> App:
    """Imports the app that a reference names.

    Args:
        reference: ``app.py``, ``app.py:name``, ``package.module`` or ``package.module:name``. Without a name
            it is the variable ``app``, or the only app in the module.

    Raises:
        TaskpathError: INVALID_REQUEST, if there is no such module or app in it.
    """
    place, variable = reference, ""
    if ":" in reference and not reference.endswith(".py"):
        place, _, variable = reference.rpartition(":")
    if place.endswith(".py"):
        path = Path(place).resolve()
        module = _import_file(path, reference)
        place = str(path)
    else:
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name is None or not (place == error.name or place.startswith(error.name + ".")):
                raise
            raise TaskpathError(
                ErrorCode.INVALID_REQUEST, f"There is no module {place!r}; expected is app.py or module:name."
            ) from None
    app = _app_in(module, variable, reference)
    app._source = f"{place}:{variable}" if variable else place
    return app


def _import_file(path: Path, reference: str) -> types.ModuleType:
    if not path.is_file():
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST, f"There is no file {reference!r}; expected is app.py or module:name."
        )
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == str(path) and module.__name__ != "__main__":
            return module
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = (
        path.stem
        if path.stem.isidentifier() and path.stem not in sys.modules
        else f"taskpath_app_{crc32(str(path).encode()):08x}"
    )
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TaskpathError(ErrorCode.INVALID_REQUEST, f"{reference!r} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _app_in(module: types.ModuleType, variable: str, reference: str) -> App:
    if variable:
        app = getattr(module, variable, None)
        if not isinstance(app, App):
            raise TaskpathError(
                ErrorCode.INVALID_REQUEST,
                f"{reference!r} is of type {type(app).__name__}; expected is an App.",
            )
        return app
    app = getattr(module, "app", None)
    if isinstance(app, App):
        return app
    apps = {id(value): value for value in vars(module).values() if isinstance(value, App)}
    if len(apps) != 1:
        found = "none" if not apps else str(len(apps))
        raise TaskpathError(
            ErrorCode.INVALID_REQUEST,
            f"{reference!r} has {found} of the type App; expected is a variable named app, or file.py:name.",
        )
    return next(iter(apps.values()))


def _registered(handlers: list[AuthorFunction], handler: F, arguments: int) -> F:
    if not callable(handler):
        raise _invalid(f"A handler is {handler!r}; expected is a function.")
    try:
        call_shape(handler, arguments, whole=True)
    except ValueError as error:
        raise _invalid(f"The handler {describe(handler)} cannot be called: {error}.") from None
    handlers.append(handler)
    return handler


def _data_type(generator: AuthorFunction, names: dict[str, Any]) -> Any:
    """The type of the generator's data, if it is a dataclass or a Struct (or None besides); else None.

    ``names`` are those of the scope in which it was registered: its annotation may be text that uses them.
    """
    try:
        first = next(iter(inspect.signature(generator).parameters.values()), None)
        if first is None or first.annotation is first.empty:
            return None
        hint: Any = first.annotation
        if isinstance(hint, str):
            hint = typing.get_type_hints(generator, localns=names).get(first.name)
    except (ValueError, TypeError, NameError, AttributeError):
        return None
    members = typing.get_args(hint) if _is_union(hint) else (hint,)
    members = tuple(member for member in members if member is not type(None))
    return hint if members and all(map(_is_typed, members)) else None


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _is_typed(hint: Any) -> bool:
    return isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, msgspec.Struct))


def _first_line(function: AuthorFunction) -> str:
    lines = (inspect.getdoc(function) or "").strip().splitlines() if inspect.isroutine(function) else []
    return lines[0] if lines else ""


def _invalid(message: str) -> TaskpathError:
    return TaskpathError(ErrorCode.SCHEDULER_ERROR, message)
