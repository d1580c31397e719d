"""What a workflow means, in plain Python: the rules of the design read aloud, with no thought of speed.

One execute is evaluated at once, from its beginning to its end; nothing is under way before or after it. It
is one file, to be read from its beginning to its end as well: whoever believes it has believed all of it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any, TypeAlias

from taskpath import updaters
from taskpath.updaters import UpdaterError
from taskpath_proto.errors import ErrorCode
from taskpath_proto.paths import Pattern
from taskpath_proto.plan import Plan, TaskSpec
from taskpath_proto.records import Mode, Upstream
from tests.support.scheduler_behaviour import Behaviours, condition, fails, result
from tests.support.scheduler_behaviour import updaters as left_updaters

JSON: TypeAlias = Any
Context: TypeAlias = dict[str, JSON] | None
"""None if what some task left could not be applied: whoever needs it fails."""

DONE = ("ok", "skipped")
ABSENT = object()


class Refused(Exception):
    """The call is not accepted."""

    def __init__(self, code: ErrorCode, path: str) -> None:
        super().__init__(code, path)
        self.code, self.path = code, path


class Thing:
    """A task of the tree; ``own`` is the status of its own function, None if it has none."""

    def __init__(self, spec: TaskSpec, path: str, above: Thing | None, *, item: bool = False) -> None:
        self.spec, self.path, self.above = spec, path, above
        self.item = item
        self.foreach = spec.foreach is not None and not item
        self.plain = spec.subtasks is None and not self.foreach
        self.sequential = spec.sequential and not self.foreach
        has_own = self.plain or self.foreach or spec.run or (spec.condition and not item)
        self.own: str | None = "inactive" if has_own else None
        self.bound = self.left = self.own_left = 0
        self.attempt = 0
        self.result: JSON = None
        self.updaters: list[JSON] | None = None
        self.argument: JSON = ABSENT
        self.context: Context = {}
        self.items: list[JSON] = []
        self.joined = False
        self.joining: str | None = None
        self.torn = False
        self.children: list[Thing] = []
        if not self.plain and not self.foreach:
            self.children = [Thing(sub, f"{path}.{sub.name}", self) for sub in spec.subtasks or ()]

    def all(self) -> Iterator[Thing]:
        """The task and all below it, in tree order."""
        yield self
        for child in self.children:
            yield from child.all()

    @property
    def status(self) -> str:
        """The status: of a plain task its own, of a group the first that applies."""
        return self.derived({child.status for child in self.children})

    def derived(self, below: set[str]) -> str:
        """The status, given those of the children."""
        if self.plain:
            return self.own or ""
        if self.own == "skipped":
            return "skipped"
        for status in ("running", "queued", "failed", "cancelled", "inactive"):
            if status in below or status in (self.own, self.joining):
                return status
        if below == {"skipped"} and self.above is not None and not self.foreach and not self.spec.run:
            return "skipped"
        if not self.children and self.own is None and not self.joined:
            return "inactive"
        return "ok"

    @property
    def done(self) -> bool:
        """Whether what follows may start."""
        return self.status in DONE

    def before(self) -> Iterator[tuple[bool, int, Thing, bool]]:
        """Everything before it in sequence: whether done, its ``left``, whose, and if only its function."""
        here = self
        while (above := here.above) is not None:
            if above.sequential:
                for sibling in above.children[: above.children.index(here)]:
                    yield sibling.done, sibling.own_left if sibling.plain else sibling.left, sibling, False
            if above.own is not None:
                yield above.own in DONE, above.own_left, above, True
            here = above

    def is_fresh(self) -> bool:
        """Whether its function ended on what stands before it now."""
        return all(done and left < self.bound for done, left, _, _ in self.before())

    def is_over(self) -> bool:
        """Whether its own function is done; of an empty group without any, whether it has been reached."""
        return self.own in DONE if self.own is not None else bool(self.children) or self.joined

    def joined_result(self) -> JSON:
        """What it hands on to the next task."""
        if self.plain:
            return self.result
        if self.foreach:
            return [item.joined_result() if item.status == "ok" else None for item in self.children]
        return {child.spec.name: child.joined_result() for child in self.children if child.status == "ok"}


class Model:
    """An instance, evaluated by the letter.

    Args:
        plan: its tree.
        does: what its functions do.
        data: its data.
        base: its base context.
    """

    def __init__(self, plan: Plan, does: Behaviours, data: JSON, base: Context) -> None:
        self.does, self.data, self.base = does, data, base
        root = TaskSpec(name="", run=False, subtasks=plan.tasks, sequential=True)
        self.root = Thing(root, "#", None)
        self.counter = 0
        self._pattern = Pattern("#")
        self._mode, self._upstream = Mode.ALL, Upstream.REQUIRE
        self._ran: set[Thing] = set()
        self._judged: set[Thing] = set()
        self._holding: set[Thing] = set()
        self._stopped: Mapping[str, int] = {}
        self._unstarted: Container[str] = ()
        self._cut: Container[str] = ()
        self._unjoined: Container[str] = ()
        self._torn: set[Thing] = set()
        self._lost: Container[tuple[str, int]] = ()
        self._kept: set[Thing] = set()

    def execute(
        self,
        path: str,
        mode: Mode,
        upstream: Upstream,
        argument: JSON = ABSENT,
        stopped: Mapping[str, int] | None = None,
        unstarted: Container[str] = (),
        cut: Container[str] = (),
        unjoined: Container[str] = (),
        lost: Container[tuple[str, int]] = (),
    ) -> None:
        """Runs a path.

        Args:
            path: a path or pattern.
            mode: which tasks.
            upstream: what is done about those before.
            argument: the caller's.
            stopped: the tasks that a cancel met, with the number of the attempt that it met.
            unstarted: the tasks that a cancel kept from starting.
            cut: the foreaches that a cancel met when they had more to start.
            unjoined: the groups of which a cancel met the join.
            lost: the attempts whose executors were lost: path and number.

        Raises:
            Refused: the call is not accepted.
        """
        self.check(path, mode, upstream, argument)
        self._ran, self._kept, self._judged = set(), set(), set()
        self._stopped, self._unstarted, self._cut = stopped or {}, unstarted, cut
        self._unjoined, self._torn, self._lost = unjoined, set(), lost
        self._group(self.root, self.data, self.base, argument, self.base)

    def replant(self, plan: Plan, does: Behaviours, data: JSON) -> None:
        """Gives it new data and another tree: tasks whose path and kind stay keep what they have."""
        self.does, self.data = does, data
        root = Thing(TaskSpec(name="", run=False, subtasks=plan.tasks, sequential=True), "#", None)
        _adopt(root, self.root)
        self.root = root
        self._join_anew(root)

    def _join_anew(self, thing: Thing) -> None:
        """Groups that are done only now, as what was missing in them is gone, are joined."""
        for child in thing.children:
            self._join_anew(child)
        newest = [child.own_left if child.plain else child.left for child in thing.children]
        newest.append(thing.own_left if thing.own is not None else 0)
        thing.torn = not thing.plain and max(newest) > thing.left
        if thing.done and thing.torn:
            thing.left, thing.torn = self._tick(), False

    def set_updaters(self, path: str, updaters: list[JSON]) -> None:
        """Replaces what a task left in the context by its updaters.

        Raises:
            Refused: there is no such task, or it has no function.
        """
        found = [one for one in self.root.all() if one.path == path]
        if not found:
            raise Refused(ErrorCode.CANNOT_FIND_TASK, path)
        thing = found[0]
        if not thing.spec.run or thing.foreach or thing.above is None:
            raise Refused(ErrorCode.INVALID_REQUEST, path)
        thing.updaters = updaters or None
        thing.own_left = self._tick()
        if not thing.plain and thing.done:
            thing.left = self._tick()
        while thing.above is not None:
            thing = thing.above
            if thing.done:
                thing.left = self._tick()

    def stale(self) -> set[str]:
        """The tasks that have ended and are not fresh; a foreach is no task, its items are."""
        return {
            thing.path
            for thing in self.root.all()
            if thing.own not in (None, "inactive") and not thing.foreach and not thing.is_fresh()
        }

    # Whether a call is accepted.

    def check(self, path: str, mode: Mode, upstream: Upstream, argument: JSON = ABSENT) -> None:
        """Whether an execute is accepted now.

        Raises:
            Refused: it is not.
        """
        self._pattern, self._mode, self._upstream = Pattern(path), mode, upstream
        self._holding = {one for one in self.root.all() if any(map(self._covered, one.all()))}
        if argument is not ABSENT and self._pattern.names_items and not self._pattern.is_path:
            raise Refused(ErrorCode.INVALID_REQUEST, path)
        if not any(self._covered(thing) for thing in self.root.all()) and not self._could_come():
            raise Refused(ErrorCode.CANNOT_FIND_TASK, path)
        if self._upstream is Upstream.REQUIRE:
            for thing in self.root.all():
                if not self._covered(thing) and self._is_before_covered(thing) and not self._ready(thing):
                    raise Refused(ErrorCode.CANNOT_START_TASK, thing.path)

    def _ready(self, thing: Thing) -> bool:
        """Whether a task that is not covered is done and fresh, as far as it is not covered."""
        if any(self._covered(below) for below in thing.all()):
            # A foreach that is reached on the way reads its list again by itself.
            return thing.own is None or (thing.own in DONE and (thing.foreach or thing.is_fresh()))
        return thing.done and (thing.own is None or thing.is_fresh())

    def _covered(self, thing: Thing) -> bool:
        return self._pattern.covers(thing.path)

    def _could_come(self) -> bool:
        """Whether running what is missing may bring a task that the call covers."""
        return (
            self._upstream is Upstream.RUN
            and self._holds_covered(self.root)
            and any(
                not (thing.done if thing.own is None else thing.own in DONE and thing.is_fresh())
                for thing in self.root.all()
                if self._is_before_covered(thing)
            )
        )

    def _holds_covered(self, thing: Thing) -> bool:
        """Whether the call covers a task at or under this one, or might if it runs what is missing."""
        if self._upstream is not Upstream.RUN:
            return thing in self._holding  # as it was when the call was accepted
        return any(_could_be(thing, rest) for rest in _rests(thing, self._pattern.steps))

    def _is_before_covered(self, thing: Thing) -> bool:
        """Whether it, or its own function, stands before a task that the call covers."""
        if (
            thing.own is not None
            and not thing.plain
            and not self._covered(thing)
            and self._holds_covered(thing)
        ):
            return True
        here = thing
        while (above := here.above) is not None:
            if above.sequential:
                later = above.children[above.children.index(here) + 1 :]
                if any(self._holds_covered(sibling) for sibling in later):
                    return True
            here = above
        return False

    # Running.

    def _tick(self) -> int:
        self.counter += 1
        return self.counter

    def _group(
        self, thing: Thing, argument: JSON, context: Context, override: JSON, outside: Context
    ) -> None:
        """Goes through what is below a group whose own function is done."""
        ran = len(self._ran | self._judged)
        torn, thing.torn = thing.torn, False
        if thing.foreach:
            for item, value in zip(thing.children, thing.items, strict=True):
                self._visit(item, value, context, override)
        elif thing.sequential:
            self._sequence(thing, argument, context, override)
        else:
            for child in thing.children:
                self._visit(child, argument, context, override)
        if not thing.children and thing.own is None and thing.path not in self._unstarted:
            thing.joined = True
        ran_here = len(self._ran | self._judged) > ran or thing in self._ran or thing.left == 0 or torn
        if not ran_here and not any(child.left > thing.left for child in thing.children if not child.plain):
            return
        if not thing.done:
            thing.torn = True  # whoever runs the rest joins it
        elif self._join(thing, outside):
            thing.left = self._tick()

    def _join(self, thing: Thing, outside: Context) -> bool:
        """Whether what the tasks of a group left in the context fits together, if they ran side by side."""
        left = [one for one in thing.all() if one is not thing and one.updaters is not None]
        if thing.sequential or len(left) < 2:
            return True
        self._judged.add(thing)
        thing.joining = "failed" if self.left(thing, outside) is None else None
        thing.joining = "cancelled" if thing.path in self._unjoined else thing.joining
        if thing.joining is not None:
            self._torn.add(thing)
        return thing.joining is None

    def _sequence(self, thing: Thing, argument: JSON, context: Context, override: JSON) -> None:
        for child in thing.children:
            ran = len(self._ran)
            self._visit(child, argument, context, override)
            if not child.done and any(self._is_picked(one) and not one.is_over() for one in child.all()):
                return
            if any(one in self._kept | self._torn or one.path in self._cut for one in child.all()):
                return
            if len(self._ran) > ran and child.status != "skipped":
                override = ABSENT
            if child.status == "ok":
                argument = child.joined_result()
                context = self.left(child, context)
            elif child.status != "skipped":
                argument = None

    def _visit(self, thing: Thing, argument: JSON, context: Context, override: JSON) -> None:
        if not any(self._is_picked(one) for one in thing.all()) and not self._is_reread(thing):
            return
        thing.torn, thing.joining = thing.torn or thing.joining is not None, None
        given = argument if override is ABSENT else override
        if thing.own is not None and self._is_wanted(thing):
            self._run_own(thing, given, context)
            if thing.own != "ok":
                if thing.own == "skipped":
                    self._skip_below(thing)
                if not thing.plain and thing.own == "skipped":
                    thing.left = self._tick()
                return
            override = ABSENT if thing.spec.run or thing.foreach else override
        elif thing.own == "skipped" or (thing.own not in (None, "ok") and self._is_picked(thing)):
            return
        if thing.plain:
            return
        outside = context
        if thing.spec.run and not thing.foreach:
            argument = thing.result if thing.own == "ok" else None
            context = self.inner_context(thing, context)
        self._group(thing, argument, context, override, outside)

    def _is_picked(self, thing: Thing) -> bool:
        """Whether the call is about it, if only in case that it is stale or was held up."""
        if self._covered(thing):
            return True
        if self._upstream is Upstream.RUN and self._is_before_covered(thing):
            return True
        return self._mode is Mode.FAILED and any(
            self._covered(other) if only else self._holds_covered(other)
            for _, _, other, only in thing.before()
        )

    def _is_wanted(self, thing: Thing) -> bool:
        """Whether its own function is to be run, now that it is reached."""
        wanted = self._is_due(thing)
        if wanted and thing.path in self._unstarted:
            self._kept.add(thing)
            return False
        return wanted

    def _is_due(self, thing: Thing) -> bool:
        fresh = thing.own in DONE and thing.is_fresh()
        if self._covered(thing) and self._mode is not Mode.FAILED:
            return self._mode is Mode.ALL or not fresh
        if self._covered(thing) and thing.own == "failed":
            return True
        if not self._covered(thing) and self._upstream is Upstream.RUN and self._is_before_covered(thing):
            return not fresh
        if self._mode is Mode.FAILED and thing.own == "inactive":
            return self._was_held(thing)
        return self._is_reread(thing)

    def _is_reread(self, thing: Thing) -> bool:
        """A foreach on the way to a task reads its list again if something before is newer."""
        return (
            thing.foreach
            and thing.own == "ok"
            and not self._covered(thing)
            and self._holds_covered(thing)
            and not thing.is_fresh()
            and all(done for done, _, _, _ in thing.before())
        )

    def _was_held(self, thing: Thing) -> bool:
        """Whether it could not run because of something that has run now."""
        before, ran = list(thing.before()), self._ran | self._judged
        return all(done for done, _, _, _ in before) and any(
            one in ran for _, _, other, only in before for one in ([other] if only else other.all())
        )

    def _run_own(self, thing: Thing, argument: JSON, context: Context) -> None:
        self._ran.add(thing)
        thing.bound = self._tick()
        thing.argument, thing.context = argument, context
        spec, does = thing.spec, self.does.of(thing.path)
        stopped_at = self._stopped.get(thing.path)
        is_task = spec.run and not thing.foreach
        if stopped_at is not None:
            thing.own, thing.attempt = "cancelled", stopped_at
            return
        if context is None:
            thing.own, thing.result = "failed", None
            thing.attempt = self._next_attempt(thing) if is_task else thing.attempt
            return
        evaluated = condition(does, thing.path, context) if spec.condition and not thing.item else True
        if evaluated is False:
            thing.own, thing.result, thing.updaters = "skipped", None, None
            thing.own_left = self._tick() if thing.plain else thing.own_left
            return
        if thing.foreach:
            items = argument if spec.foreach is True else context.get(str(spec.foreach))
            thing.own = "failed"
            if evaluated and isinstance(items, list):
                thing.own = "ok"
                self._read_list(thing, items)
            return
        if not is_task:
            thing.own = "ok" if evaluated else "failed"
            return
        if evaluated and does.kills:
            thing.own, thing.result, thing.attempt = "failed", None, self._next_attempt(thing)
            return
        tries = spec.retry.attempts if spec.retry is not None and (does.retryable or does.hangs) else 1
        for _ in range(tries):
            thing.attempt = self._next_attempt(thing)
            if evaluated and not fails(does, thing.attempt):
                thing.own = "ok"
                thing.result = result(spec, does, thing.path, thing.attempt, argument, context)
                thing.updaters = left_updaters(does, thing.path, thing.result, context)
                thing.own_left = self._tick()
                return
            if not evaluated:
                break
        thing.own, thing.result = "failed", None

    def _next_attempt(self, thing: Thing) -> int:
        number = thing.attempt + 1
        while (thing.path, number) in self._lost:
            number += 1
        return number

    def _read_list(self, thing: Thing, items: list[JSON]) -> None:
        thing.items = items
        thing.own_left = self._tick()
        del thing.children[len(items) :]
        for index in range(len(thing.children), len(items)):
            thing.children.append(Thing(thing.spec, f"{thing.path}[{index}]", thing, item=True))

    def _skip_below(self, thing: Thing) -> None:
        if thing.foreach:
            thing.items, thing.children = [], []
        for child in thing.children:
            if child.own is not None:
                child.own, child.bound = "skipped", thing.bound
                child.result = child.updaters = None
            self._skip_below(child)

    # What tasks leave in the context.

    def _own_left(self, thing: Thing, context: Context) -> Context:
        if context is None:
            return None
        context = dict(context)
        if thing.spec.context_var is not None:
            context[thing.spec.context_var] = thing.result
        if isinstance(thing.result, dict):
            context.update((key, thing.result[key]) for key in thing.spec.context_vars if key in thing.result)
        return _updated(context, thing.updaters)

    def inner_context(self, thing: Thing, context: Context) -> Context:
        """What the subtasks of a task see."""
        if thing.own != "ok" or not thing.spec.run:
            return context
        context = self._own_left(thing, context)
        if thing.spec.dest is None or context is None:
            return context
        return {**context, thing.spec.dest: thing.result}

    def left(self, thing: Thing, context: Context) -> Context:
        """The context after a task, given the one before it."""
        if thing.status != "ok":
            return context
        if thing.item:
            # Its result is left by the foreach, in the list.
            context = _updated(context, thing.updaters)
        elif thing.spec.run and not thing.foreach:
            context = self._own_left(thing, context)
        for child in thing.children:
            context = self.left(child, context)
        if thing.foreach and thing.spec.context_var is not None and context is not None:
            context = {**context, thing.spec.context_var: thing.joined_result()}
        return context


def _adopt(new: Thing, old: Thing) -> None:
    """A task takes over what another one has that has its path and its kind."""
    new.bound, new.left, new.attempt = old.bound, old.left, old.attempt
    new.argument, new.context = old.argument, old.context
    new.items, new.joining, new.torn = old.items, old.joining, old.torn
    if new.own is not None and old.own is not None:
        new.own, new.own_left = old.own, old.own_left
    if new.plain or new.foreach or new.spec.run:
        new.result, new.updaters = old.result, old.updaters
    if new.foreach:
        new.children = [
            Thing(new.spec, f"{new.path}[{index}]", new, item=True) for index in range(len(old.children))
        ]
    before = {one.path: one for one in old.children}
    for child in new.children:
        known = before.get(child.path)
        if known is not None and (known.plain, known.foreach) == (child.plain, child.foreach):
            _adopt(child, known)
    new.joined = not new.children and new.left > 0


def _rests(thing: Thing, steps: tuple[str, ...]) -> set[tuple[str, ...]]:
    """What is left of a pattern's steps after those that lead to a task, in every way to read them."""
    if thing.above is None:
        return {steps}
    rests: set[tuple[str, ...]] = set()
    name = thing.path[len(thing.above.path) :] if thing.item else thing.spec.name
    for rest in _rests(thing.above, steps):
        if not rest:
            rests.add(rest)
        elif rest[0] in ("**", "[*]" if thing.item else "*", name):
            rests.add(rest[1:])
            rests.update({rest} if rest[0] == "**" else ())
    return rests


def _could_be(thing: Thing, steps: tuple[str, ...]) -> bool:
    """Whether these steps may lead to a task from here, however long the lists are."""
    if not steps or thing.plain:
        return not steps
    if thing.foreach:
        inner = [Thing(thing.spec, f"{thing.path}[0]", thing, item=True)]
        inner = inner if steps[0] == "**" or steps[0].startswith("[") else []
    else:
        inner = [child for child in thing.children if steps[0] in ("*", "**", child.spec.name)]
    return any(_could_be(one, steps[1:]) or (steps[0] == "**" and _could_be(one, steps)) for one in inner)


def _updated(context: Context, changes: list[JSON] | None) -> Context:
    for change in changes or ():
        try:
            changed = updaters.apply(context, change)
        except UpdaterError:
            return None
        assert isinstance(changed, dict)
        context = changed
    return context
