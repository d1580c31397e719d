"""What a task's function sees of its task: context, progress, log."""

from __future__ import annotations

import math
from typing import Any, Final, Protocol

import msgspec

from taskpath import updaters
from taskpath.encoding import NotJSON, encode
from taskpath.frozen import freeze
from taskpath.updaters import UpdaterError

MAX_MESSAGE: Final = 1_000
"""How many characters of a progress message are kept."""


class TaskLink(Protocol):
    """What a :class:`TaskContext` needs of whoever runs the task. All of it is safe in threads."""

    @property
    def instance_id(self) -> str:
        """The id of the instance."""
        ...

    @property
    def realm(self) -> str:
        """The realm of the instance."""
        ...

    @property
    def path(self) -> str:
        """The path of the task."""
        ...

    @property
    def attempt(self) -> int:
        """The number of the attempt."""
        ...

    @property
    def cancelled(self) -> bool:
        """Whether it is in vain by now."""
        ...

    def read_context(self) -> Any:
        """The context as the task found it, frozen."""
        ...

    def read_data(self) -> Any:
        """The instance's data, a fresh copy."""
        ...

    def read_previous(self) -> list[Any]:
        """The updaters that the task's last execution left, a fresh copy."""
        ...

    def write_log(self, level: str, text: str) -> None:
        """Adds a line to the task's log."""
        ...

    def note_progress(self, fraction: float, message: str | None) -> None:
        """Takes note of the task's progress."""
        ...


class TaskContext:
    """What a task knows and may say; the second argument of its function.

    Everything is synchronous and safe in threads.
    """

    __slots__ = ("_context", "_data", "_left", "_link", "_previous")

    def __init__(self, link: TaskLink) -> None:
        self._link = link
        self._context: Any = None
        self._data: Any = msgspec.UNSET
        self._previous: list[Any] | None = None
        self._left: list[str] = []

    @property
    def instance_id(self) -> str:
        """The id of the instance."""
        return self._link.instance_id

    @property
    def realm(self) -> str:
        """The realm of the instance."""
        return self._link.realm

    @property
    def path(self) -> str:
        """The path of this task, as in ``#.import.resize[17]``."""
        return self._link.path

    @property
    def attempt(self) -> int:
        """The number of this attempt; numbers count from 1 for each task and are never reused."""
        return self._link.attempt

    @property
    def attempt_id(self) -> str:
        """A text that no other attempt has: ``instance/path/attempt``. For being idempotent."""
        link = self._link
        return f"{link.instance_id}/{link.path}/{link.attempt}"

    @property
    def cancelled(self) -> bool:
        """Whether the attempt was cancelled or timed out: what the function still does is in vain."""
        return self._link.cancelled

    @property
    def context(self) -> dict[str, Any]:
        """The context: what the tasks before left, and what this one changed so far. It is read-only."""
        if self._context is None:
            self._context = self._link.read_context()
        context: dict[str, Any] = self._context
        return context

    @property
    def data(self) -> Any:
        """The instance's data."""
        if self._data is msgspec.UNSET:
            self._data = self._link.read_data()
        return self._data

    @property
    def previous_context(self) -> list[Any]:
        """What this task's last execution left in the context: the list of its updaters, empty if none."""
        if self._previous is None:
            self._previous = self._link.read_previous()
        return self._previous

    def update_context(self, updater: Any) -> None:
        """Changes the context, for this task at once and for the tasks after it when it has succeeded.

        Args:
            updater: a JSON object of commands, as in ``{"seen": {"$push": [7]}}``.

        Raises:
            UpdaterError: it is malformed, or does not fit the context as it is now.
        """
        try:
            text = encode(updater)
        except NotJSON as error:
            raise UpdaterError(f"The updater is not JSON: {error}.") from None
        changed = updaters.apply(self.context, msgspec.json.decode(text))
        if not isinstance(changed, dict):
            raise UpdaterError("The updater would make the context something else than an object.")
        try:
            self._context = freeze(changed)
        except RecursionError:
            raise UpdaterError("The updater would nest the context too deep.") from None
        self._left.append(text)

    def progress(self, fraction: float, message: str | None = None) -> None:
        """Says how far the task is. Watchers see it about twice a second.

        Args:
            fraction: from 0 to 1; what is beyond is cut.
            message: a few words.

        Raises:
            TypeError: the fraction is no number, or the message no text.
            ValueError: the fraction is NaN.
        """
        if isinstance(fraction, bool) or not isinstance(fraction, (int, float)):
            raise TypeError(f"progress is {fraction!r}; expected is a number from 0 to 1")
        if math.isnan(fraction):
            raise ValueError("progress is NaN; expected is a number from 0 to 1")
        if message is not None and not isinstance(message, str):
            raise TypeError(f"the message of progress is {message!r}; expected is text")
        self._link.note_progress(
            min(1.0, max(0.0, float(fraction))), message[:MAX_MESSAGE] if message is not None else None
        )

    def log(self, *values: Any) -> None:
        """Writes a line to the task's log.

        Args:
            values: text as it is, anything else as JSON, joined by blanks.
        """
        self._link.write_log("info", " ".join(map(_shown, values)))


def left_by(context: TaskContext) -> str | None:
    """The JSON list of updaters that the task left through this context; None if there are none."""
    left = context._left
    return "[" + ",".join(left) + "]" if left else None


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return encode(value)
    except NotJSON:
        return repr(value)
