"""Expansions: creates and updates that wait for an executor to make a plan of a workflow.

Nothing of them is stored before the plan is there. Each has a number; a plan that comes back under another
one, or to another owner, is nobody's.
"""

from __future__ import annotations

from collections.abc import Sequence

from taskpath_proto import paths
from taskpath_proto.calls import Call
from taskpath_proto.commands import Accepted, CreateInstance, UpdateInstance
from taskpath_proto.errors import ErrorCode, TaskpathError
from taskpath_proto.values import Value
from taskpath_proto.work import PlanExpanded
from taskpath_services.scheduler import repeats
from taskpath_services.scheduler.creation import Creation, expansion, expansion_again
from taskpath_services.scheduler.effects import Outcome, Timer, TimerKind
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.update import Update


class Expansions:
    """The expansions of one partition under one owner.

    Args:
        partition: its number.
        epoch: of the owner.

    Attributes:
        creations: by the id of the instance that is to be.
        updates: by the id of the instance that is to change.
    """

    def __init__(self, partition: int, epoch: int) -> None:
        self.creations: dict[str, Creation] = {}
        self.updates: dict[str, Update] = {}
        self._partition, self._epoch = partition, epoch
        self._last = 0

    def create(
        self,
        call: Call,
        command: CreateInstance,
        existing: Instance | None,
        outcome: Outcome,
        *,
        buried: bool,
    ) -> None:
        """Asks for the plan of a new instance, or answers what was asked before.

        Args:
            call: of the caller.
            command: what it asks for.
            existing: the instance that has the id already.
            outcome: of the batch.
            buried: whether one has had the id, which was ephemeral and has ended.
        """
        pending = self.creations.get(command.id)
        if pending is not None and repeats.is_among(call, pending.calls):
            return
        if pending is None and existing is None and buried:
            # It is the same instance as long as its tombstone stands.
            outcome.answers.append((call, Accepted(command.id, 0)))
            return
        if pending is None and existing is None:
            self._last += 1
            creation = self.creations[command.id] = Creation(command, call, self._last)
            outcome.commands.append(expansion(creation, self._partition, self._epoch))
            self._limit(call, command.id, outcome)
            return
        key = pending.command.creation_key if pending is not None else None
        if existing is not None:
            key = existing.identity.creation_key
        repeated = existing is not None and repeats.is_known(existing, call)
        if not repeated and (command.creation_key is None or key != command.creation_key):
            error = TaskpathError(
                ErrorCode.CONFLICT,
                "The same Idempotency-Key was used before, for a request with another body.",
            )
            outcome.answers.append((call, error))
        elif pending is not None:
            pending.calls.append(call)
        elif existing is not None:
            existing.effects.answers.append((call, repeated, None))

    def update(
        self, instance: Instance, call: Call, command: UpdateInstance, data: Value, outcome: Outcome
    ) -> None:
        """Asks for the plan that an instance has with new data.

        Args:
            instance: it does not run.
            call: of the caller.
            command: what it asks for.
            data: an updater of the instance's data.
            outcome: of the batch.
        """
        self._last += 1
        self.updates[instance.id] = Update(call, command, self._last)
        outcome.commands.append(expansion_again(instance, self._last, data))
        self._limit(call, instance.id, outcome)

    def _limit(self, call: Call, id: str, outcome: Outcome) -> None:
        outcome.timers.append(Timer(call.deadline, id, TimerKind.EXPANSION, paths.ROOT, self._last))

    def came(self, report: PlanExpanded) -> Creation | Update | None:
        """Who waits for a plan that has come: it waits no longer."""
        return self._taken(report.id, report.command) if report.epoch == self._epoch else None

    def expired(self, timer: Timer) -> Creation | Update | None:
        """Who has waited for too long: it waits no longer."""
        return self._taken(timer.id, timer.number)

    def _taken(self, id: str, number: int) -> Creation | Update | None:
        update, creation = self.updates.get(id), self.creations.get(id)
        if update is not None and update.number == number:
            return self.updates.pop(id)
        if creation is not None and creation.number == number:
            return self.creations.pop(id)
        return None

    def drop(self, instance: Instance, outcome: Outcome) -> None:
        """An instance is gone: nobody gets the new data that was to come any more."""
        update = self.updates.pop(instance.id, None)
        if update is not None:
            gone = TaskpathError(ErrorCode.UNKNOWN_INSTANCE, f"There is no instance {instance.id} any more.")
            refuse((update.call, *update.waiting), gone, outcome)


def refuse(calls: Sequence[Call], error: TaskpathError, outcome: Outcome) -> None:
    """Answers some calls with an error."""
    outcome.answers.extend((call, error) for call in calls)


def failure(report: PlanExpanded) -> TaskpathError | None:
    """Why there is no plan; None if there is one."""
    if report.error is not None:
        return TaskpathError.of(report.error)
    if report.plan is None:
        return TaskpathError(ErrorCode.SCHEDULER_ERROR, "The workflow's generator gave no tree.")
    return None
