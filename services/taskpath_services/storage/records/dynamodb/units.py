"""A group of writes in units: what goes into one transaction as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from taskpath_proto.events import InstanceChanged, InstanceDeleted
from taskpath_services.storage.records.dynamodb.table import TRANSACT
from taskpath_services.storage.records.ledger import Step

ACTIONS: int = 5
"""At most so many actions make up a unit; one more checks the partition's epoch."""


class Unit(msgspec.Struct, frozen=True):
    """Changes of one instance that follow each other, or its deletion.

    Attributes:
        steps: at least one, all of the same epoch.
    """

    steps: list[Step]

    @property
    def write(self) -> InstanceChanged | InstanceDeleted:
        """The last of the writes."""
        write = self.steps[-1].write
        assert isinstance(write, (InstanceChanged, InstanceDeleted))
        return write


def waves(steps: Iterable[Step]) -> Iterator[list[Unit]]:
    """Units in waves: one of each instance in the first, another in the next."""
    units: dict[str, list[Unit]] = {}
    for step in steps:
        write = step.write
        if not step.writes or not isinstance(write, (InstanceChanged, InstanceDeleted)):
            continue
        known = units.setdefault(write.id, [])
        last = known[-1].write if known else None
        if (
            isinstance(write, InstanceChanged)
            and isinstance(last, InstanceChanged)
            and last.epoch == write.epoch
        ):
            known[-1].steps.append(step)
        else:
            known.append(Unit([step]))
    depth = max(map(len, units.values()), default=0)
    for number in range(depth):
        yield [known[number] for known in units.values() if number < len(known)]


def transactions(wave: Iterable[Unit]) -> dict[int, list[list[Unit]]]:
    """The units of a wave by partition, in the order in which they came: as many as one transaction takes, of
    one epoch."""
    found: dict[int, list[list[Unit]]] = {}
    for unit in sorted(wave, key=lambda unit: unit.steps[0].place):
        parts = found.setdefault(unit.write.partition, [])
        if (
            not parts
            or parts[-1][0].write.epoch != unit.write.epoch
            or len(parts[-1]) >= TRANSACT // ACTIONS - 1
        ):
            parts.append([])
        parts[-1].append(unit)
    return found
