"""What every consumer has to know of its channel: when it ends, and how to end it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Final

from aiormq.abc import AbstractChannel

from taskpath.runtime.bus import BusLost
from taskpath.runtime.buses.rabbitmq.link import asked

_CLOSE_SECONDS: Final = 10.0


def watch(channel: AbstractChannel, lost: Callable[[BusLost], None]) -> None:
    """Tells when a channel has ended, whether by us, with its connection, or because the broker takes the
    consumer away, whose queue is gone.

    Args:
        channel: the channel.
        lost: is called with what happened, maybe more than once.
    """

    def ended(_: object) -> None:
        lost(BusLost("the connection to the broker was lost"))

    def cancelled(_: Any) -> None:
        lost(BusLost("the queue is gone"))

    channel.closing.add_done_callback(ended)
    channel.on_consumer_cancel_callbacks.add(cancelled)


async def closed(channel: AbstractChannel) -> None:
    """Closes a channel; one that is lost is closed already."""
    if not channel.is_closed:
        with contextlib.suppress(BusLost):
            await asked(channel.close(), _CLOSE_SECONDS)
