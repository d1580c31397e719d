"""Creation: an instance begins when an executor has expanded its workflow into a plan.

Until then nothing is stored: a generator that fails leaves nothing behind, and a create that was cut short
by a crash was never acknowledged.
"""

from __future__ import annotations

from taskpath_proto import paths, topology
from taskpath_proto.calls import Call
from taskpath_proto.commands import CreateInstance, Execute
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import InstanceChange
from taskpath_proto.values import Value
from taskpath_proto.work import ExpandPlan
from taskpath_services.scheduler import repeats
from taskpath_services.scheduler.execute import execute
from taskpath_services.scheduler.fleet import Fleet
from taskpath_services.scheduler.instance import Identity, Instance


class Creation:
    """A create that waits for its plan.

    Attributes:
        command: what was asked for.
        calls: who waits for it; a repeat with the same key joins the first.
        number: of the expansion.
    """

    __slots__ = ("calls", "command", "number")

    def __init__(self, command: CreateInstance, call: Call, number: int) -> None:
        self.command = command
        self.calls = [call]
        self.number = number


def expansion(creation: Creation, partition: int, epoch: int) -> tuple[str, ExpandPlan]:
    """What is asked of an executor: mailbox and message."""
    command = creation.command
    return topology.generator_mailbox(command.queue), ExpandPlan(
        id=command.id,
        partition=partition,
        epoch=epoch,
        command=creation.number,
        realm=command.realm,
        workflow=command.workflow,
        data=command.data,
    )


def names_queues(tasks: tuple[TaskSpec, ...]) -> bool:
    """Whether any task names a queue of its own."""
    return any(task.queue is not None or names_queues(task.subtasks or ()) for task in tasks)


def expansion_again(
    instance: Instance, number: int = 0, updater: Value | None = None
) -> tuple[str, ExpandPlan]:
    """Asks for the plan of an instance that has one: mailbox and message.

    Without a number the plan that comes back is nobody's: it is asked for only because an executor that
    serves every queue learns of the queues that tasks name from the trees that it makes.

    Args:
        instance: the instance.
        number: of the expansion.
        updater: of its data, to be applied first.
    """
    identity = instance.identity
    return topology.generator_mailbox(identity.plan.queue), ExpandPlan(
        id=identity.id,
        partition=identity.partition,
        epoch=instance.epoch,
        command=number,
        realm=identity.realm,
        workflow=identity.workflow,
        data=identity.data,
        updater=updater,
    )


def create(creation: Creation, plan: Plan, partition: int, epoch: int, now: int, fleet: Fleet) -> Instance:
    """The new instance, started if that was asked for."""
    command = creation.command
    identity = Identity(
        id=command.id,
        partition=partition,
        realm=command.realm,
        workflow=command.workflow,
        name=command.name,
        data=command.data,
        base_context=command.base_context,
        ephemeral=command.ephemeral,
        plan=plan,
        plan_version=1,
        created_at=now,
        creation_key=command.creation_key,
    )
    instance = Instance(identity, epoch, now, fleet)
    instance.noted = InstanceChange(
        realm=command.realm,
        workflow=command.workflow,
        name=command.name,
        data=command.data,
        base_context=command.base_context,
        ephemeral=command.ephemeral,
        plan=plan,
        plan_version=1,
        created_at=now,
        creation_key=command.creation_key,
        status=instance.status,
    )
    instance.changed = True
    if command.execute:
        execute(instance, Execute(id=command.id, path=paths.ROOT, argument=command.argument))
    for number, call in enumerate(creation.calls):
        repeats.remember(instance, call)
        instance.effects.answers.append((call, number == 0, None))
    return instance
