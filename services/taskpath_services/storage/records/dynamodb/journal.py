"""What a commit does to the tasks of an instance: written in one transaction with it, applied after that.

One change may have more tasks than a transaction takes. So the transaction holds the instance's own record
and this journal, and that is the moment of the commit. The tasks follow, each on the condition that no later
commit has written it: it may be done twice, by two processes, or by the next one after a crash. Whoever reads
lays the last journals over what it has read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

import msgspec

from taskpath_proto.events import InstanceChanged
from taskpath_proto.values import Blob
from taskpath_services.storage.records.contract import OWN
from taskpath_services.storage.records.fields import Pairs, text_value
from taskpath_services.storage.records.ledger import Step
from taskpath_services.storage.selection import Span, at_or_under

Fields: TypeAlias = dict[str, str]


class TaskEffect(msgspec.Struct, array_like=True):
    """What becomes of the record of a task.

    Attributes:
        revision: of its last change.
        replaced: nothing is left of what was there.
        fields: those that are set.
        gone: those that go.
    """

    revision: int
    replaced: bool
    fields: Fields
    gone: list[str]


class Region:
    """Paths in any of some spans."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.spans: list[Span] = []
        for low, high in sorted(spans):
            if self.spans and low <= self.spans[-1][1]:
                self.spans[-1] = (self.spans[-1][0], max(self.spans[-1][1], high))
            else:
                self.spans.append((low, high))
        self._lows = [low for low, _ in self.spans]

    def __contains__(self, path: str) -> bool:
        place = bisect_right(self._lows, path) - 1
        return place >= 0 and path < self.spans[place][1]

    def __bool__(self) -> bool:
        return bool(self.spans)

    @property
    def hull(self) -> Span:
        """From the first to the last."""
        return self.spans[0][0], self.spans[-1][1]


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """A value beside a record: its text, or the chunks that hold it."""

    text: str | None = None
    tag: str | None = None
    chunks: int = 0


class ValueEffect(msgspec.Struct, array_like=True):
    """What becomes of the values beside a record under one name.

    Attributes:
        least: versions below go.
        own: whether that of the version OWN stays all the same.
        kept: what it is from now on, if it is new.
    """

    least: int
    own: bool
    kept: Kept | None = None


class Journal(msgspec.Struct, array_like=True):
    """What a commit does to the tasks of an instance.

    Attributes:
        spans: paths that are removed with everything.
        tasks: what becomes of records, by path.
        values: what becomes of values, by path and name.
    """

    spans: list[Span] = []
    tasks: dict[str, TaskEffect] = {}
    values: dict[str, dict[str, ValueEffect]] = {}


Before: TypeAlias = Mapping[tuple[str, str], bytes]
"""The fields that refer to values, as they are stored, by path and name."""

_tasks_decoder: Final = msgspec.msgpack.Decoder(list[tuple[str, Pairs, list[str]]])
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Journal)


def folded(
    steps: Iterable[Step], stored: Iterable[str], before: Before, kept: Mapping[tuple[int, int], Kept]
) -> Journal:
    """The journal of some changes of one instance, in their order.

    Args:
        steps: the changes.
        stored: the paths that have records; needed only if one of the changes is whole.
        before: what is stored of the fields that refer to values.
        kept: the new values, by the place of the change and their number in it.
    """
    journal = Journal([], {}, {})
    for step in steps:
        event, change = step.write, step.change
        assert isinstance(event, InstanceChanged)
        assert change is not None
        tasks = _tasks_decoder.decode(change.tasks)
        removed = [span for path in event.removed for span in at_or_under(path)]
        if event.whole:
            named = {path for path, _, _ in tasks}
            removed += [(path, path + "\x01") for path in {*stored, *journal.tasks} - named]
        if removed:
            region = Region(removed)
            journal.spans = Region([*journal.spans, *removed]).spans
            journal.tasks = {path: task for path, task in journal.tasks.items() if path not in region}
            journal.values = {path: value for path, value in journal.values.items() if path not in region}
        if step.after.texts:
            for number, (path, name, version, text) in enumerate(change.refreshed):
                new = kept[step.place, number] if text is not None else None
                _refresh(journal, before, path, name, OWN if new else version, new)
        region = Region(journal.spans)
        for path, pairs, gone in tasks:
            task = journal.tasks.get(path)
            if task is None or event.whole:
                task = journal.tasks[path] = TaskEffect(0, event.whole or path in region, {}, [])
            _merge(task, event.revision, pairs, gone)
    return journal


def _refresh(
    journal: Journal, before: Before, path: str, name: str, version: int | None, new: Kept | None
) -> None:
    if version is not None and version >= 0:
        least = version
    else:
        task = journal.tasks.get(path)
        if task is not None and (task.replaced or name in task.fields or name in task.gone):
            stored = task.fields.get(name, "").encode()
        else:
            stored = before.get((path, name), b"")
        value = text_value(stored) if stored.startswith(b"@") else None
        least = value.version + 1 if isinstance(value, Blob) else 0
    values = journal.values.setdefault(path, {})
    earlier = values.get(name)
    own = version == OWN
    if earlier is not None:
        least = max(least, earlier.least)
        if own and new is None:
            new = earlier.kept
    values[name] = ValueEffect(least, own, new)


def _merge(task: TaskEffect, revision: int, pairs: Pairs, gone: list[str]) -> None:
    fields = dict(zip(pairs[::2], pairs[1::2], strict=True))
    task.revision = revision
    task.fields.update(fields)
    for field in gone:
        task.fields.pop(field, None)
    task.gone = [field for field in {*task.gone, *gone} if field not in fields]


def overlaid(tasks: dict[str, dict[bytes, bytes]], journal: Journal) -> None:
    """Lays a journal over records as their fields."""
    region = Region(journal.spans)
    for path in [path for path in tasks if path in region]:
        del tasks[path]
    for path, effect in journal.tasks.items():
        fields = tasks.setdefault(path, {})
        if effect.replaced:
            fields.clear()
        fields[b"revision"] = str(effect.revision).encode()
        fields.update((field.encode(), text.encode()) for field, text in effect.fields.items())
        for field in effect.gone:
            fields.pop(field.encode(), None)


def encode(journal: Journal) -> bytes:
    """The bytes of a journal."""
    return _encoder.encode(journal)


def decode(data: bytes) -> Journal:
    """The journal in these bytes."""
    return _decoder.decode(data)
