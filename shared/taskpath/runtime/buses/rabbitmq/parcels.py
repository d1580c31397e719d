"""How messages that wait are made up into parcels. Pure."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from taskpath_proto import topology
from taskpath_proto.codec import join_parcel

MOST_MESSAGES: Final = 1_000
MOST_BYTES: Final = 512 * 1024
"""A parcel takes no further message once it would have more than these; a larger message goes alone."""

MOST_KEYS: Final = 250
MOST_KEY_BYTES: Final = 32 * 1024
"""Likewise for the routing keys of its events, which have to fit into one frame of the protocol."""


@dataclass(slots=True)
class Item:
    """A message that is to be sent.

    Attributes:
        data: the message, encoded.
        keys: the routing keys of an event; None for what goes to the mailbox alone.
        done: what the sender waits for.
    """

    data: bytes
    keys: tuple[str, ...] | None
    done: asyncio.Future[None]


@dataclass(slots=True)
class Parcel:
    """What goes as one message of the broker.

    Attributes:
        items: what it is made of.
        keys: the routing keys of all its events, each once; None for what goes to the mailbox alone.
    """

    items: list[Item]
    keys: list[str] | None

    def take_body(self) -> bytes:
        """Its bytes. The items keep theirs no more: of what is large, one copy is enough."""
        body = join_parcel([item.data for item in self.items])
        for item in self.items:
            item.data = b""
        return body


def cut(waiting: deque[Item]) -> Parcel:
    """Takes the next parcel off what waits for one mailbox; at least one message has to.

    Only neighbours go together, and only if the same mailboxes take them: their order stays, and no mailbox
    gets what was not meant for it.
    """
    first = waiting.popleft()
    items, size = [first], len(first.data)
    keys = None if first.keys is None else dict.fromkeys(first.keys)
    mailboxes = _mailboxes(first)
    key_size = sum(map(len, keys)) if keys is not None else 0
    while waiting and len(items) < MOST_MESSAGES:
        item = waiting[0]
        size += len(item.data)
        if size > MOST_BYTES or (item.keys is None) is not (keys is None):
            break
        if keys is not None and item.keys is not None and item.keys != first.keys:
            fresh = [key for key in item.keys if key not in keys]
            key_size += sum(map(len, fresh))
            if (
                len(keys) + len(fresh) > MOST_KEYS
                or key_size > MOST_KEY_BYTES
                or _mailboxes(item) != mailboxes
            ):
                break
            keys.update(dict.fromkeys(fresh))
        items.append(waiting.popleft())
    return Parcel(items, None if keys is None else list(keys))


def lane_of(keys: tuple[str, ...]) -> str:
    """With what an event has to keep its order: the first mailbox among its keys, or else its first key."""
    for key in keys:
        if topology.is_mailbox(key):
            return key
    return keys[0]


def _mailboxes(item: Item) -> list[str]:
    return [key for key in item.keys or () if topology.is_mailbox(key)]
