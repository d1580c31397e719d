"""Calls that are delivered twice, because their owner ended before it acknowledged them: carried out once,
answered twice."""

from __future__ import annotations

import pytest

from taskpath_proto.calls import Call
from taskpath_proto.commands import Accepted, Cancel, CreateInstance, Delete, Execute, UpdateInstance
from taskpath_proto.errors import TaskpathError
from taskpath_proto.plan import TaskSpec
from taskpath_proto.values import Inline
from taskpath_services.scheduler import repeats
from tests.support.scheduler_play import FAR, Play

T = TaskSpec
LEASE = 30_000


@pytest.fixture
def play() -> Play:
    return Play(T("a"), T("b"), lease=LEASE)


def test_an_execute_is_carried_out_once(play: Play) -> None:
    first = play.ask(Execute("i"))
    number, ran = play.calls, len(play.sent)
    play.take_over()
    again = play.ask(Execute("i"), number, redelivered=True)
    assert isinstance(first, Accepted)
    assert isinstance(again, Accepted)
    assert len(play.sent) == ran


def test_a_cancel_does_not_meet_what_began_after_it(play: Play) -> None:
    play.held.add("#.a")
    play.execute()
    play.cancel()
    number = play.calls
    play.execute("#.a")
    play.take_over()
    assert isinstance(play.ask(Cancel("i"), number, redelivered=True), Accepted)
    assert play.statuses("#.a") == "queued"


def test_a_name_is_not_given_again(play: Play) -> None:
    play.ask(UpdateInstance("i", name="first"))
    number = play.calls
    play.ask(UpdateInstance("i", name="second"))
    play.take_over()
    play.ask(UpdateInstance("i", name="first"), number, redelivered=True)
    assert play.shelf.record.name == "second"


def test_what_was_deleted_was_accepted_then(play: Play) -> None:
    play.delete()
    play.take_over()
    assert isinstance(play.ask(Delete("i"), play.calls, redelivered=True), Accepted)
    assert isinstance(play.ask(Delete("i")), TaskpathError)


def test_a_creation_that_is_delivered_again_is_no_other_instance(play: Play) -> None:
    create = CreateInstance("i", "w", "default", "default", Inline('"data"'), Inline("{}"))
    play.take_over()
    again = play.ask(create, 0, redelivered=True)
    assert isinstance(again, Accepted)
    assert again.created
    other = play.ask(create, redelivered=True)
    assert isinstance(other, TaskpathError)
    assert other.code == "CONFLICT"


def test_calls_of_another_caller_are_others(play: Play) -> None:
    play.ask(Execute("i"))
    sent = len(play.sent)
    play.tell(Call(Execute("i"), "another", play.calls, FAR))
    assert len(play.sent) == 2 * sent


def test_an_instance_knows_its_last_calls_and_no_more(play: Play) -> None:
    play.ask(Execute("i", mode=Execute("i").mode))
    first = play.calls
    for number in range(repeats.MOST):
        play.ask(UpdateInstance("i", name=f"n{number}"))
    assert len(play.shelf.record.calls) == repeats.MOST
    sent = len(play.sent)
    play.ask(Execute("i"), play.calls, redelivered=True)
    assert len(play.sent) == sent
    play.ask(Execute("i"), first, redelivered=True)
    assert len(play.sent) > sent


def test_a_call_that_came_too_late_is_dropped_but_not_if_it_had_come_before(play: Play) -> None:
    play.held.add("#.a")
    play.execute()
    play.now = 1 << 61
    with pytest.raises(IndexError):
        play.ask(Cancel("i"))
    assert play.statuses("#.a") == "queued"
    assert isinstance(play.ask(Cancel("i"), redelivered=True), Accepted)
    assert play.statuses("#.a") == "cancelled"


def test_where_nothing_outlives_the_process_no_calls_are_kept() -> None:
    play = Play(T("a"))
    play.ask(Execute("i"))
    assert play.shelf.record.calls == ()
