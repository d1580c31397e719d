"""What comes from outside and is no execution: names, data, updaters, handlers, keyed commands, deletion."""

from __future__ import annotations

from typing import Any

from taskpath_proto.calls import Call, Command
from taskpath_proto.codec import Message
from taskpath_proto.commands import (
    Accepted,
    Cancel,
    CreateInstance,
    Delete,
    Execute,
    SetContextUpdaters,
    UpdateInstance,
)
from taskpath_proto.errors import ErrorCode, ErrorInfo, TaskpathError
from taskpath_proto.events import InstanceChanged, InstanceDeleted
from taskpath_proto.plan import Handler, Plan, TaskSpec
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import Inline
from taskpath_proto.work import ExpandPlan, HandlerFinished, PlanExpanded, RunHandler, RunTasks, TaskFinished
from taskpath_services.scheduler.effects import Outcome, Timer
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.partition import Partition
from taskpath_services.scheduler.statuses import NAMES

T = TaskSpec
EPOCH = 7


class Owner:
    """A partition with one instance, whose tasks all end at once with their path as the result."""

    def __init__(self, *tasks: TaskSpec, handlers: tuple[Handler, ...] = (), ephemeral: bool = False) -> None:
        self.partition = Partition(0, EPOCH)
        self.now = 1_000
        self.events: list[InstanceChanged | InstanceDeleted] = []
        self.handlers: list[RunHandler] = []
        self.expansions: list[ExpandPlan] = []
        self.timers: list[Timer] = []
        self.answers: dict[int, Any] = {}
        self.ran: list[str] = []
        self.fails: set[str] = set()
        self.held = False
        self.orders: list[RunTasks] = []
        self.calls = 0
        created = CreateInstance(
            id="i",
            workflow="w",
            queue="default",
            realm="r",
            data=Inline("1"),
            base_context=Inline("{}"),
            ephemeral=ephemeral,
        )
        self.call(created)
        self.expand(Plan(tasks, handlers=handlers))

    @property
    def instance(self) -> Instance:
        instance = self.partition.instances["i"]
        assert instance is not None
        return instance

    def call(self, body: Command) -> Any:
        """Makes a call; gives its answer, or None if it has to wait."""
        self.tell(self.next_call(body))
        return self.answers.get(self.calls)

    def next_call(self, body: Command) -> Call:
        """A call that is not sent yet."""
        self.calls += 1
        return Call(body, "reply.x", self.calls, self.now + 30_000)

    def failed(self, handler: RunHandler) -> HandlerFinished:
        """The report that the call of a handler has failed."""
        return HandlerFinished("i", EPOCH, handler.command, ErrorInfo(ErrorCode.EXECUTION_FAILED, "no"))

    def expand(self, plan: Plan, data: str | None = None) -> None:
        """Answers the last wish for a plan."""
        wish = self.expansions[-1]
        new = Inline(data) if data is not None else None
        self.tell(PlanExpanded(wish.id, EPOCH, wish.command, plan, data=new))

    def tell(self, *messages: Message) -> None:
        """Lets the owner decide, and the executors answer until nothing more happens."""
        pending: list[Message] = list(messages)
        while pending:
            self.now += 1
            pending = self._let_out(self.partition.decide(pending, (), self.now))

    def fire(self) -> None:
        """Moves the time to the last timer, and fires all."""
        self.now = max(timer.due for timer in self.timers)
        timers, self.timers = self.timers, []
        self.tell(*self._let_out(self.partition.decide((), timers, self.now)))

    def _let_out(self, outcome: Outcome) -> list[Message]:
        self.events.extend(outcome.events)
        self.timers.extend(outcome.timers)
        for call, answer in outcome.answers:
            self.answers[call.call] = answer
        reports: list[Message] = []
        for _, message in outcome.commands:
            if isinstance(message, RunHandler):
                self.handlers.append(message)
            elif isinstance(message, ExpandPlan):
                self.expansions.append(message)
            else:
                self.orders.append(message)
                reports.extend(self.work_of(message) if not self.held else ())
        return reports

    def work_of(self, message: RunTasks) -> list[Message]:
        """What executors report of orders."""
        reports: list[Message] = []
        for order in message.orders:
            self.ran.append(order.path)
            failed = order.path in self.fails
            reports.append(
                TaskFinished(
                    id=message.id,
                    epoch=message.epoch,
                    command=order.command,
                    path=order.path,
                    status=TaskStatus.FAILED if failed else TaskStatus.OK,
                    execution_time=self.now,
                    duration=1,
                    executor="e",
                    result=None if failed else Inline(f'"{order.path}"'),
                    error=ErrorInfo(ErrorCode.EXECUTION_FAILED, "no") if failed else None,
                )
            )
        return reports

    def statuses(self) -> dict[str, str]:
        nodes = self.instance.tree.nodes
        return {path: NAMES[node.status].value for path, node in nodes.items() if path != "#"}

    def stale_again(self) -> list[str]:
        """What an execute of everything that is stale runs."""
        self.ran.clear()
        assert isinstance(self.call(Execute("i", mode=MODE_STALE)), Accepted)
        return self.ran


MODE_STALE = Execute("i").mode.__class__("stale")


def code(answer: Any) -> str:
    assert isinstance(answer, TaskpathError)
    return answer.code


def test_new_data_keeps_tasks_whose_path_stays_and_what_follows_an_inserted_one_is_stale() -> None:
    owner = Owner(T("a"), T("b"), T("c"))
    owner.call(Execute("i"))
    revision = owner.instance.revision
    assert owner.call(UpdateInstance("i", Inline('{"$set":2}'))) is None
    assert owner.expansions[-1].updater == Inline('{"$set":2}')
    owner.expand(Plan((T("a"), T("new"), T("c"))), data="2")
    assert owner.instance.revision == revision + 1
    assert owner.statuses() == {"#.a": "ok", "#.new": "inactive", "#.c": "ok"}
    event = owner.events[-1]
    assert isinstance(event, InstanceChanged)
    assert event.removed == ["#.b"]
    assert owner.instance.identity.data == Inline("2")
    assert owner.stale_again() == ["#.new", "#.c"]


def test_an_update_that_no_generator_takes_changes_nothing() -> None:
    owner = Owner(T("a"))
    owner.call(UpdateInstance("i", Inline('{"$set":2}')))
    wish = owner.expansions[-1]
    owner.tell(
        PlanExpanded("i", EPOCH, wish.command, error=ErrorInfo(ErrorCode.INVALID_DATA, "It does not fit."))
    )
    assert code(owner.answers[2]) == "INVALID_DATA"
    assert owner.instance.identity.data == Inline("1")


def test_calls_wait_while_a_tree_is_made_anew() -> None:
    owner = Owner(T("a"))
    owner.call(UpdateInstance("i", Inline('{"$set":2}')))
    assert owner.call(Execute("i")) is None
    owner.expand(Plan((T("z"),)), data="2")
    assert isinstance(owner.answers[2], Accepted)
    assert isinstance(owner.answers[3], Accepted)
    assert owner.ran == ["#.z"]


def test_an_update_whose_plan_never_comes_is_given_up() -> None:
    owner = Owner(T("a"))
    owner.call(UpdateInstance("i", Inline('{"$set":2}')))
    owner.fire()
    assert code(owner.answers[2]) == "UNAVAILABLE"
    assert isinstance(owner.call(Execute("i")), Accepted)


def test_data_and_updaters_are_not_changed_while_it_runs_but_a_name_is() -> None:
    owner = Owner(T("a"))
    owner.held = True
    owner.call(Execute("i"))
    assert code(owner.call(UpdateInstance("i", Inline("{}")))) == "CONFLICT"
    assert code(owner.call(SetContextUpdaters("i", "#.a", Inline("[]")))) == "CONFLICT"
    assert isinstance(owner.call(UpdateInstance("i", name="n")), Accepted)
    assert owner.instance.identity.name == "n"


def test_updaters_from_outside_make_what_follows_stale_and_not_the_task() -> None:
    owner = Owner(T("g", run=False, subtasks=(T("a"), T("b"))), T("c"))
    owner.call(Execute("i"))
    assert isinstance(owner.call(SetContextUpdaters("i", "#.g.a", Inline('[{"x":{"$set":1}}]'))), Accepted)
    assert owner.stale_again() == ["#.c"]
    assert code(owner.call(SetContextUpdaters("i", "#.no", Inline("[]")))) == "CANNOT_FIND_TASK"
    assert code(owner.call(SetContextUpdaters("i", "#.g", Inline("[]")))) == "INVALID_REQUEST"


def test_a_keyed_command_is_carried_out_once() -> None:
    owner = Owner(T("a"))
    first = owner.call(Execute("i", key="k", digest="d"))
    again = owner.call(Execute("i", key="k", digest="d"))
    assert (again.revision, owner.ran) == (first.revision, ["#.a"])
    assert code(owner.call(Cancel("i", key="k", digest="other"))) == "CONFLICT"


def test_keyed_updaters_from_outside_are_set_once() -> None:
    owner = Owner(T("a"), T("b"))
    owner.call(Execute("i"))
    given = SetContextUpdaters("i", "#.a", Inline('[{"x":{"$set":1}}]'), key="k", digest="d")
    first = owner.call(given)
    assert owner.stale_again() == ["#.b"]
    assert owner.call(given).revision == first.revision
    assert owner.stale_again() == []


def test_handlers_are_called_at_the_end_and_tried_again() -> None:
    owner = Owner(T("a"), handlers=(Handler.COMPLETE, Handler.ERROR))
    owner.fails.add("#.a")
    owner.call(Execute("i"))
    assert [(one.handler, one.status) for one in owner.handlers] == [("error", None), ("complete", "failed")]
    error = owner.handlers[0].error
    assert error is not None
    assert (error.path, error.message) == ("#.a", "no")
    number = owner.handlers[1].command
    owner.tell(HandlerFinished("i", EPOCH, owner.handlers[0].command))
    for _ in range(3):
        owner.tell(HandlerFinished("i", EPOCH, number, ErrorInfo(ErrorCode.EXECUTION_FAILED, "no")))
        if owner.instance.handlers:
            owner.fire()
    assert [one.handler for one in owner.handlers].count(Handler.COMPLETE) == 3
    assert not owner.instance.handlers


def test_an_ephemeral_instance_goes_when_its_handlers_are_over() -> None:
    owner = Owner(T("a"), handlers=(Handler.COMPLETE, Handler.DELETE), ephemeral=True)
    owner.call(Execute("i"))
    assert [one.handler for one in owner.handlers] == ["complete"]
    owner.tell(HandlerFinished("i", EPOCH, owner.handlers[0].command))
    owner.tell()
    assert [one.handler for one in owner.handlers] == ["complete", "delete"]
    owner.tell(HandlerFinished("i", EPOCH, owner.handlers[1].command))
    last = owner.events[-1]
    assert isinstance(last, InstanceDeleted)
    assert (last.status, last.realm) == ("done", "r")
    assert "i" not in owner.partition.instances


def test_a_deleted_instance_is_unknown_at_once_and_its_handler_is_called() -> None:
    owner = Owner(T("a"), handlers=(Handler.DELETE,))
    owner.held = True
    owner.call(Execute("i"))
    assert isinstance(owner.call(Delete("i")), Accepted)
    assert code(owner.call(Execute("i"))) == "UNKNOWN_INSTANCE"
    owner.tell(HandlerFinished("i", EPOCH, owner.handlers[0].command))
    last = owner.events[-1]
    assert isinstance(last, InstanceDeleted)
    assert last.status is None
