"""Repeats: calls that are delivered again because their owner ended before it acknowledged them.

Only the last batch of an owner can come again, so an instance keeps the numbers of its last calls, and no
more. What callers repeat themselves has idempotency keys (``keyed``).
"""

from __future__ import annotations

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
