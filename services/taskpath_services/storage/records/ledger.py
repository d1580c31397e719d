"""What a store knows of instances and partitions, so that a group is judged before it is written.

A store that several replicas write to makes each write conditional on what it was judged by. Where that was
out of date nothing is written: it is forgotten here, read again, and the write is judged anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from taskpath_proto.events import InstanceChanged, InstanceDeleted, LogsWritten
from taskpath_services.storage.records.contract import Outcome, Write
from taskpath_services.storage.records.flat import FlatChange, flat
from taskpath_services.storage.records.judgement import (
    Head,
    after_change,
    after_deletion,
    changes,
    judge_change,
    judge_deletion,
)

MAX_HEADS: Final = 50_000
"""Of so many instances it is remembered how far they are."""


class Step(msgspec.Struct, frozen=True):
    """A write on its way into the store.

    Attributes:
        place: its place in the group.
        write: what is written.
        change: how, if it is a change.
        before: the head that it was judged by.
        after: the head once it is written.
        outcome: what becomes of it.
        writes: whether there is anything to be written.
    """

    place: int
    write: Write
    change: FlatChange | None
    before: Head
    after: Head
    outcome: Outcome
    writes: bool


class Ledger:
    """The heads and epochs that are known."""

    def __init__(self) -> None:
        self._heads: dict[str, Head] = {}
        self._epochs: dict[int, int] = {}

    def group(self, writes: Sequence[Write]) -> Group:
        """A group of writes that is to be committed."""
        if len(self._heads) > MAX_HEADS:
            self._heads.clear()
        return Group(writes, self._heads, self._epochs)

    def known(self) -> dict[str, Head]:
        """How far the instances are that are remembered."""
        return dict(self._heads)

    def forget(self, ids: Iterable[str]) -> None:
        """Forgets instances."""
        for id in ids:
            self._heads.pop(id, None)

    def claimed(self, partition: int, epoch: int) -> None:
        """The partition has this epoch now."""
        self._epochs[partition] = epoch

    def clear(self) -> None:
        """Forgets everything."""
        self._heads.clear()
        self._epochs.clear()


class Group:
    """A group of writes on its way: learn what is unknown, judge, write, tell what was out of date; again.

    Args:
        writes: the group.
        heads: what is known of instances.
        epochs: what is known of partitions.
    """

    def __init__(self, writes: Sequence[Write], heads: dict[str, Head], epochs: dict[int, int]) -> None:
        self._writes = [
            (place, write, flat(write) if isinstance(write, InstanceChanged) else None)
            for place, write in enumerate(writes)
        ]
        self._heads = heads
        self._epochs = epochs
        self._read: set[str] = set()
        self._outcomes: list[Outcome | None] = [None] * len(writes)

    @property
    def open(self) -> bool:
        """Whether something of it is not done yet."""
        return bool(self._writes)

    @property
    def epochs(self) -> dict[int, int]:
        """The epochs of partitions, as they are known."""
        return dict(self._epochs)

    @property
    def outcomes(self) -> list[Outcome]:
        """What became of each write, once nothing is open."""
        return [outcome for outcome in self._outcomes if outcome is not None]

    def unknown(self) -> tuple[list[str], list[int]]:
        """The instances and the partitions that have to be read first."""
        ids = {write.id for _, write, _ in self._writes} - self._heads.keys()
        partitions = {
            write.partition
            for _, write, _ in self._writes
            if isinstance(write, (InstanceChanged, InstanceDeleted))
        }
        return list(ids), list(partitions - self._epochs.keys())

    def learn(self, heads: Mapping[str, Head], epochs: Mapping[int, int]) -> None:
        """Takes what was read."""
        self._heads.update(heads)
        self._epochs.update(epochs)
        self._read.update(heads)

    def judge(self) -> list[Step] | None:
        """Judges what is open, each write as if those before it were done.

        Returns:
            The steps; None if some are judged not to be written by what may be out of date: that is forgotten
            now and has to be read.
        """
        heads = dict[str, Head]()
        steps = [self._step(place, write, change, heads) for place, write, change in self._writes]
        doubtful = [step for step in steps if not step.writes and step.write.id not in self._read]
        for step in doubtful:
            self._forget(step.write)
        return None if doubtful else steps

    def done(self, steps: Iterable[Step], stale: set[int]) -> None:
        """Takes which steps, by their places, were judged by what is out of date; the others are done."""
        late: set[str] = set()
        open: set[int] = set()
        for step in steps:
            id = step.write.id
            if step.place in stale or (id in late and not step.writes):
                late.add(id)
                open.add(step.place)
                continue
            self._outcomes[step.place] = step.outcome
            if step.writes and id not in late:
                self._heads[id] = step.after
                if isinstance(step.write, (InstanceChanged, InstanceDeleted)):
                    self._epochs[step.write.partition] = step.write.epoch
        self._writes = [entry for entry in self._writes if entry[0] in open]
        for _, write, _ in self._writes:
            self._forget(write)

    def _forget(self, write: Write) -> None:
        self._heads.pop(write.id, None)
        self._read.discard(write.id)
        if isinstance(write, (InstanceChanged, InstanceDeleted)):
            self._epochs.pop(write.partition, None)

    def _step(self, place: int, write: Write, change: FlatChange | None, heads: dict[str, Head]) -> Step:
        head = heads.get(write.id) or self._heads[write.id]
        after, outcome, writes = head, Outcome.APPLIED, True
        if isinstance(write, InstanceChanged):
            assert change is not None
            outcome = judge_change(write, change.digest, self._epochs[write.partition], head)
            writes = changes(outcome, write, head)
            if writes:
                after = after_change(write, change.digest, outcome, head)
                if any(kept is not None or text is not None for _, _, kept, text in change.refreshed):
                    after = msgspec.structs.replace(after, texts=True)
        elif isinstance(write, InstanceDeleted):
            outcome = judge_deletion(write, self._epochs[write.partition], head)
            writes = outcome is Outcome.APPLIED
            if writes:
                after = after_deletion(write)
        elif isinstance(write, LogsWritten):
            if head.deleted:
                outcome, writes = Outcome.REFUSED, False
        else:
            after = msgspec.structs.replace(head, texts=True)
        heads[write.id] = after
        return Step(place, write, change, head, after, outcome, writes)
