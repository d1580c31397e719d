"""Repeats: calls that come again, because their owner ended before it acknowledged them, or because their
caller has no answer yet and has sent them again.

That is so of the last calls only, so an instance keeps the numbers of its last calls, and no more. What
clients repeat has idempotency keys (``keyed``).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from taskpath_proto.calls import Call
from taskpath_services.scheduler.instance import Instance

MOST: Final = 128
"""How many calls an instance knows again."""


def number_of(call: Call) -> int:
    """A number that stands for a call: of whom, and his number for it."""
    digest = blake2b(f"{call.reply_to} {call.call}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big")


def is_among(call: Call, others: Sequence[Call]) -> bool:
    """Whether a call that was sent again is one of others, which wait for something."""
    return call.again and any(one.call == call.call and one.reply_to == call.reply_to for one in others)


def is_known(instance: Instance, call: Call) -> bool:
    """Whether a call was carried out before."""
    return bool(instance.calls) and number_of(call) in instance.calls


def remember(instance: Instance, call: Call) -> None:
    """Notes that a call is carried out with the batch under way."""
    if not instance.fleet.leases:
        return  # what is lost with the process is delivered once
    calls = instance.calls
    calls[number_of(call)] = None
    while len(calls) > MOST:
        del calls[next(iter(calls))]
    instance.calls_changed = True
