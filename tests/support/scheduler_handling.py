"""Handlers as executors call them, and what must hold of which are due."""

from __future__ import annotations

import random
from collections.abc import Mapping

from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.plan import Handler
from taskpath_proto.records import HandlerRecord, InstanceRecord, InstanceStatus
from taskpath_proto.work import HandlerFinished, RunHandler

TRIES = 3


class Handling:
    """All calls of handlers.

    Args:
        random: what happens next.
        durable: whether what the bus has taken survives an executor.

    Attributes:
        jobs: what is to be called.
        fails: how many of its first calls fail, by instance and handler.
        ended: how the calls ended, by instance and number: whether well.
        deleted: the instances that somebody wants deleted.
    """

    def __init__(self, random: random.Random, *, durable: bool) -> None:
        self._random = random
        self._durable = durable
        self.jobs: list[RunHandler] = []
        self.fails: dict[str, Mapping[Handler, int]] = {}
        self.ended: dict[tuple[str, int], list[bool]] = {}
        self.deleted: set[str] = set()

    def take(self, message: RunHandler) -> None:
        """A handler is to be called."""
        self.jobs.append(message)

    def work(self) -> list[HandlerFinished]:
        """Calls some handler; gives what is reported."""
        job = self.jobs.pop(self._random.randrange(len(self.jobs)))
        if self._random.random() < 0.05:
            return []  # it got lost
        ends = self.ended.setdefault((job.id, job.command), [])
        well = len(ends) >= self.fails.get(job.id, {}).get(job.handler, 0)
        ends.append(well)
        if self._durable and self._random.random() < 0.1:
            self.jobs.append(job)  # its executor ended before it was reported
            return []
        error = None if well else ErrorInfo(ErrorCode.EXECUTION_FAILED, "no")
        return [HandlerFinished(job.id, job.epoch, job.command, error)]

    def forget(self) -> None:
        """Executors have died with the process."""
        self.jobs.clear()

    def check(
        self,
        status: InstanceStatus,
        handlers: tuple[HandlerRecord, ...],
        deleting: bool,
        after: InstanceRecord,
    ) -> None:
        """Sees that exactly those handlers become due that an instance's new state calls for, and that none
        is given up too early.

        Args:
            status: of the instance, before the change.
            handlers: its, likewise.
            deleting: likewise.
            after: the instance's record after the change.
        """
        wanted = after.plan.handlers
        expected: list[tuple[Handler, InstanceStatus | None]] = []
        by_hand = after.deleting and after.id in self.deleted
        if after.status is not status and after.status.ended and not by_hand:
            if after.status is InstanceStatus.FAILED and Handler.ERROR in wanted:
                expected.append((Handler.ERROR, None))
            if Handler.COMPLETE in wanted:
                expected.append((Handler.COMPLETE, after.status))
        if after.deleting and not deleting and Handler.DELETE in wanted:
            expected.append((Handler.DELETE, None))
        known = {one.number for one in handlers}
        new = [one for one in after.handlers if one.number not in known]
        assert [(one.handler, one.status) for one in new] == expected, (status, after.status, new)
        assert all((one.error is not None) == (one.handler is Handler.ERROR) for one in new)
        left = {one.number for one in after.handlers}
        for one in handlers:
            if one.number in left or (after.deleting and not deleting and after.id in self.deleted):
                continue
            ends = self.ended.get((after.id, one.number), [])
            assert any(ends) or one.tries >= TRIES - 1, (one, ends, "given up too early")

    def check_gone(self, before: InstanceRecord) -> None:
        """Sees that an instance does not go before its handlers are over."""
        assert before.deleting or Handler.DELETE not in before.plan.handlers
        if before.id not in self.deleted:
            assert before.ephemeral
            assert before.status.ended
            assert not before.runs
        assert not before.handlers or not before.deleting
        assert not before.handlers or before.id in self.deleted
