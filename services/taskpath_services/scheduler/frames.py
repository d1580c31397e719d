"""What is under way in an instance: runs (executes that were accepted), frames (groups being worked through)
and works (single orders). They exist only while something is under way, and are rebuilt from the records
after a crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from taskpath_proto.records import RunRecord
from taskpath_proto.values import Value
from taskpath_proto.work import Layer, OrderKind
from taskpath_services.scheduler.node import Key, Node
from taskpath_services.scheduler.selection import Pick


class Run:
    """An execute that was accepted and is not over.

    Attributes:
        record: what is stored of it.
        pick: which tasks it covers, by the tree as it was when the call was accepted.
        claim: which tasks it might cover with longer lists; nobody else may run them meanwhile, so that what
            it covers is still its own when another owner takes it up.
        root: the frame of the whole tree.
        reached: if it was begun by an earlier owner, the tasks that had begun, and the groups around them.
        judged: likewise, the groups whose join had been checked, and those around them.
    """

    __slots__ = ("claim", "judged", "pick", "reached", "record", "root")

    def __init__(self, record: RunRecord, pick: Pick, claim: Pick) -> None:
        self.record = record
        self.pick = pick
        self.claim = claim
        self.reached: set[Node] | None = None
        self.judged: set[Node] = set()
        self.root: Frame | None = None

    @property
    def number(self) -> int:
        """The counter when it was accepted: a task whose ``bound`` is greater has run in it."""
        return self.record.number


class Reserved(NamedTuple):
    """A task that an executor goes on to by itself, now that it has done the one before.

    Attributes:
        node: the task.
        command: the epoch and number that were kept for it.
        segment: its place among the tasks that were sent together, and how many they are.
        executor: who goes on.
    """

    node: Node
    command: tuple[int, int]
    segment: tuple[int, int]
    executor: str


class Phase(Enum):
    """How far a frame is."""

    OWN = "own"
    CHILDREN = "children"
    JOINING = "joining"
    ENDED = "ended"


class Frame:
    """A group being worked through by a run.

    Attributes:
        run: whose it is.
        node: the group.
        parent: the frame of the group above.
        pick: which of the tasks below are to run.
        argument: what the group was given; in a sequence, what the next task will be given.
        layers: what the tasks see in the context.
        threshold: the greatest ``left`` before the tasks below; in a sequence, before the next one.
        override: the caller's argument, if the first step that runs is in here.
        bound: the number when the inputs of parallel tasks were bound.
        cursor: the position of the next child.
        entered: whether a sequence has begun with the child at the cursor.
        keys: the items that may be run, in order.
        active: the works and frames below that are under way, by child.
        ran: whether anything in here has run.
        touched: whether anything in here has run in this run, and was not skipped with all around it.
        judged: whether a join in here was checked in this run. That takes no argument, but what failed to be
            joined has held up what is behind it.
        held: whether something before, or the group's own function, has run in this run, or a join before was
            checked: what never ran was held up.
        broken: whether something in here that is picked is not done.
        outdated: when another run first changed something before that had been taken over; 0 if none did.
        cancelled: nothing more is to be started.
        waiting: whether it stands in a window's queue, to be asked for more items.
        reserved: in a sequence, the next task if an executor goes on to it.
    """

    __slots__ = (
        "active",
        "argument",
        "bound",
        "broken",
        "cancelled",
        "cursor",
        "entered",
        "held",
        "judged",
        "keys",
        "layers",
        "node",
        "outdated",
        "override",
        "parent",
        "phase",
        "pick",
        "ran",
        "reserved",
        "run",
        "threshold",
        "touched",
        "waiting",
    )

    def __init__(
        self,
        run: Run,
        node: Node,
        parent: Frame | None,
        pick: Pick,
        argument: Value,
        layers: tuple[Layer, ...],
        threshold: int,
        override: Value | None,
        held: bool,
    ) -> None:
        self.run = run
        self.node = node
        self.parent = parent
        self.pick = pick
        self.argument = argument
        self.layers = layers
        self.threshold = threshold
        self.override = override
        self.phase = Phase.OWN
        self.bound = 0
        self.cursor = 0
        self.entered = False
        self.keys: Sequence[int] = ()
        self.active: dict[Node, Frame | Work] = {}
        self.ran = False
        self.touched = False
        self.judged = False
        self.held = held
        self.broken = False
        self.outdated = 0
        self.cancelled = False
        self.waiting = False
        self.reserved: Reserved | None = None


class Stage(Enum):
    """How far a work is."""

    WAITING = "waiting"
    SENT = "sent"
    STARTED = "started"
    RETRYING = "retrying"


class Work:
    """One order: a task's function, a foreach's list, a condition, or the check of a join.

    Attributes:
        node: the task.
        frame: the frame it belongs to: its group's, or its own if it is a group's own function.
        kind: what is to be done.
        argument: what the function is given.
        layers: the context it sees.
        condition: whether its condition is still to be evaluated.
        tries: how often it was tried within this run.
        stage: how far it is.
        command: the epoch and the number of the last command.
        sent_at: when it was sent last, ms since epoch.
        holder: the executor that it is leased to.
        alone: nothing else ran on that executor when it began.
        suspect: an executor ended while it may have run this.
        ahead: how many tasks after this one its executor goes on to, with the next commands' numbers.
        step: its executor has gone on to it by itself.
        doubted: the executor at which it waits for so long that this is asked whether it has it at all.
    """

    __slots__ = (
        "ahead",
        "alone",
        "argument",
        "command",
        "condition",
        "doubted",
        "frame",
        "holder",
        "kind",
        "layers",
        "node",
        "sent_at",
        "stage",
        "step",
        "suspect",
        "tries",
    )

    def __init__(
        self,
        node: Node,
        frame: Frame,
        kind: OrderKind,
        argument: Value,
        layers: tuple[Layer, ...],
        condition: bool,
    ) -> None:
        self.node = node
        self.frame = frame
        self.kind = kind
        self.argument = argument
        self.layers = layers
        self.condition = condition
        self.tries = 0
        self.stage = Stage.WAITING
        self.command: tuple[int, int] | None = None
        self.sent_at = 0
        self.holder: str | None = None
        self.doubted: str | None = None
        self.alone = False
        self.suspect = False
        self.ahead = 0
        self.step = False


__all__ = ["Frame", "Key", "Phase", "Reserved", "Run", "Stage", "Work"]
