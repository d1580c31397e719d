"""A group of writes as the commit script takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from taskpath_proto.events import InstanceChanged, InstanceDeleted, LogsWritten
from taskpath_proto.queries import PutBlob
from taskpath_services.storage.records.beside import Refresh
from taskpath_services.storage.records.contract import OWN
from taskpath_services.storage.records.judgement import Head
from taskpath_services.storage.records.ledger import Step
from taskpath_services.storage.records.loglines import MAX_ATTEMPTS, MAX_LINES, TRIM_SLACK, bounded
from taskpath_services.storage.records.redis.connection import Argument
from taskpath_services.storage.selection import Span, at_or_under

MAX_CALL: Final = 200_000
"""A call takes no further write once it has so many bytes: Redis serves nobody else meanwhile."""

MAX_SPANS: Final = 1_000
"""So many spans of paths are removed at once."""

NONE: Final = -2
"""The version of a value that is not kept beside its record."""

FIRST_TEXT: Final = 4
"""The number of the first argument that a write refers to."""

_encoder: Final = msgspec.msgpack.Encoder()
_json_encoder: Final = msgspec.json.Encoder()


class _Change(msgspec.Struct, tag_field="kind", tag="change", omit_defaults=True):
    id: str
    head: str
    partition: str
    epoch: str
    revision: str | None = None
    digest: str | None = None
    gap: str | None = None
    whole: bool = False
    spans: Sequence[Span] | None = None
    tasks: int = 0
    fields: list[str] | None = None
    gone: list[str] | None = None
    refreshed: list[tuple[str, str, int, int]] | None = None


class _Deletion(msgspec.Struct, tag_field="kind", tag="delete", omit_defaults=True):
    id: str
    head: str
    partition: str
    epoch: str
    revision: str
    realm: str
    status: str | None = None


class _Logs(msgspec.Struct, tag_field="kind", tag="logs"):
    id: str
    path: str
    lines: list[tuple[int, int, str]]
    most: int = MAX_LINES
    slack: int = TRIM_SLACK
    attempts: int = MAX_ATTEMPTS


class _Put(msgspec.Struct, tag_field="kind", tag="put"):
    id: str
    path: str
    field: str
    text: int


class Calls:
    """Calls of the commit script, each with the places of the steps that it makes."""

    def __init__(self) -> None:
        self.arguments: list[list[Argument]] = []
        self.places: list[list[int]] = []
        self._writes: list[bytes] = []
        self._texts: list[Argument] = []
        self._here: list[int] = []
        self._size = 0

    def add(self, step: Step) -> None:
        """Adds a step."""
        write = step.write
        if isinstance(write, InstanceChanged):
            self._change(step, write)
        elif isinstance(write, InstanceDeleted):
            self._take(
                step.place,
                _Deletion(
                    write.id,
                    head_text(step.before),
                    str(write.partition),
                    str(write.epoch),
                    str(write.revision),
                    write.realm,
                    write.status,
                ),
            )
        elif isinstance(write, LogsWritten):
            lines = [(line.attempt, line.n, line) for line in map(bounded, write.lines)]
            texts = [(attempt, n, _json_encoder.encode(line).decode()) for attempt, n, line in lines]
            self._take(step.place, _Logs(write.id, write.path, texts))
        else:
            self._put(step.place, write)

    def close(self) -> None:
        """Ends the last call."""
        if self._writes:
            blob = b"".join((_array_header(len(self._writes)), *self._writes))
            self.arguments.append([blob, *self._texts])
            self.places.append(self._here)
            self._writes, self._texts, self._here, self._size = [], [], [], 0

    def _change(self, step: Step, event: InstanceChanged) -> None:
        flat, before = step.change, step.before
        assert flat is not None
        spans = list[Span]()
        if not before.deleted and before.revision is not None:
            spans = [span for path in event.removed for span in _spans(path)]
        change = _Change(event.id, head_text(before), str(event.partition), str(event.epoch))
        # What is removed is removed for good, so a large part of it may go first.
        while len(spans) > MAX_SPANS:
            part = msgspec.structs.replace(change, spans=spans[:MAX_SPANS], refreshed=[])
            self._take(step.place, part)
            del spans[:MAX_SPANS]
        after = step.after
        change.revision = str(event.revision)
        change.digest = str(after.digest)
        change.gap = None if after.gap is None else str(after.gap)
        change.whole = event.whole
        change.spans = spans or ([] if event.removed else None)
        change.tasks = self._argument(flat.tasks)
        if flat.instance is not None:
            change.fields, change.gone = flat.instance
        if after.texts:
            change.refreshed = [self._refreshed(value) for value in flat.refreshed]
        self._take(step.place, change)

    def _refreshed(self, value: Refresh) -> tuple[str, str, int, int]:
        path, name, version, text = value
        if text is not None:
            return path, name, OWN, self._argument(text.encode())
        return path, name, NONE if version is None else version, 0

    def _put(self, place: int, blob: PutBlob) -> None:
        self._take(
            place, _Put(blob.id, blob.path, f"{blob.name}:{blob.version}", self._argument(blob.json.encode()))
        )

    def _argument(self, text: bytes) -> int:
        """The number of an argument of the call that a write refers to."""
        self._texts.append(text)
        self._size += len(text)
        return FIRST_TEXT + len(self._texts) - 1

    def _take(self, place: int, write: _Change | _Deletion | _Logs | _Put) -> None:
        self._writes.append(_encoder.encode(write))
        self._here.append(place)
        self._size += len(self._writes[-1])
        if self._size >= MAX_CALL:
            self.close()


def calls_of(steps: Iterable[Step]) -> Calls:
    """The calls that make these steps."""
    calls = Calls()
    for step in steps:
        calls.add(step)
    calls.close()
    return calls


def head_text(head: Head) -> str:
    """A head as the scripts compare it."""
    if head.revision is None:
        return "none"
    if head.deleted:
        return f"dead:{head.epoch}:{head.revision}"
    return f"live:{head.epoch}:{head.revision}:{head.digest}:{'' if head.gap is None else head.gap}"


def text_head(text: bytes, texts: bool) -> Head:
    """The head that the scripts tell."""
    state, *numbers = text.decode().split(":")
    if state == "none":
        return Head(texts=texts)
    if state == "dead":
        return Head(revision=int(numbers[1]), epoch=int(numbers[0]), deleted=True, texts=texts)
    epoch, revision, digest, gap = numbers
    return Head(int(revision), int(epoch), int(digest), gap=int(gap) if gap else None, texts=texts)


def _spans(path: str) -> Sequence[Span]:
    """The spans of a path and all below it. Nothing but what is below an item begins with its path."""
    return ((path, path + "\\"),) if path.endswith("]") else at_or_under(path)


def _array_header(length: int) -> bytes:
    return b"\xdd" + length.to_bytes(4, "big")
