"""Calls of a simulated world: what waits for an answer, and what was answered."""

from __future__ import annotations

from taskpath_proto.calls import Call, Command
from taskpath_proto.commands import Accepted, Cancel
from taskpath_proto.errors import ErrorCode, TaskpathError

FAR = 1 << 60


class Calls:
    """Everything that was asked of owners.

    Attributes:
        waiting: the calls that are not answered, by number.
        answers: what came back, by number.
        hasty: the numbers of calls that nobody waits for very long.
    """

    def __init__(self) -> None:
        self.waiting: dict[int, Call] = {}
        self.answers: dict[int, Accepted | TaskpathError] = {}
        self.hasty: set[int] = set()
        self._accepted: set[int] = set()
        self._numbers = 0

    def next(self) -> int:
        """A number of its own."""
        self._numbers += 1
        return self._numbers

    def make(self, body: Command, deadline: int = FAR) -> Call:
        """A call; one with a deadline is made once, and maybe never answered."""
        call = Call(body, "reply", self.next(), deadline)
        if deadline == FAR:
            self.waiting[call.call] = call
        else:
            self.hasty.add(call.call)
        return call

    def answered(self, call: Call, answer: Accepted | TaskpathError) -> None:
        """An answer has come; a second one changes nothing, and does not take the first one back."""
        if isinstance(answer, Accepted):
            self._accepted.add(call.call)
        else:
            gone = answer.code is ErrorCode.UNKNOWN_INSTANCE
            # A cancel that met nothing has stored nothing: the next owner may carry it out on another tree.
            harmless = gone or isinstance(call.body, Cancel)
            assert call.call not in self._accepted or harmless, (call, answer)
        if self.waiting.pop(call.call, None) is not None:
            self.answers[call.call] = answer
