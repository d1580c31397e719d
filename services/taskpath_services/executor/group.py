"""The orders of one message share a tree, data and a context, which is built once and only if needed."""

from __future__ import annotations

from typing import Any

from taskpath import layers
from taskpath.frozen import freeze
from taskpath_proto.values import Value
from taskpath_services.executor.holding import Hold
from taskpath_services.executor.trees import Tree
from taskpath_services.executor.values import JSONText, Reading, Values


class Group:
    """What the orders of a message have in common.

    Args:
        hold: the message, and what is in our hands of it.
        tree: the instance's tree.
        data: the instance's data.
        values: reads what is not inline.
    """

    __slots__ = (
        "_context",
        "_items",
        "_readings",
        "_ready",
        "_values",
        "data",
        "epoch",
        "hold",
        "id",
        "message",
        "tree",
    )

    def __init__(self, hold: Hold, tree: Tree, data: Reading, values: Values) -> None:
        message = self.message = hold.message
        self.id = message.id
        self.epoch = message.epoch
        self.hold = hold
        self.tree = tree
        self.data = data
        self._values = values
        self._items: Reading | None = None
        self._readings: dict[Value, Reading] = {}
        self._ready = False
        self._context: Any = None

    def item_at_hand(self, index: int) -> JSONText | None:
        """The JSON text of an item of the message's list, if that is at hand.

        Raises:
            TaskpathError: it has no such item.
        """
        message = self.message
        if self._items is None and message.items is not None:
            self._items = self._values.at_hand(message.id, message.items, message.revision)
        return None if self._items is None else self._items.item(index)

    def has_context(self) -> bool:
        """Whether the context can be built without asking storage for anything."""
        if not self._ready:
            message = self.message
            for value in layers.values_of(message.base_context, message.layers):
                reading = self._values.at_hand(message.id, value, message.revision)
                if reading is None:
                    return False
                self._readings[value] = reading
            self._ready = True
        return True

    async def fetch_context(self) -> None:
        """Reads what the context is made of.

        Raises:
            TaskpathError: storage has no such value.
        """
        message = self.message
        for value in layers.values_of(message.base_context, message.layers):
            self._readings[value] = await self._values.read(message.id, value, message.revision)
        self._ready = True

    def context(self) -> Any:
        """The context, frozen; it has been made sure that it can be built. Safe in threads.

        Raises:
            TaskpathError: an updater that a task left does not fit.
        """
        if self._context is None:
            readings = self._readings
            self._context = freeze(
                layers.build(
                    self.message.base_context, self.message.layers, lambda value: readings[value].frozen()
                )
            )
        return self._context

    def source_of(self, name: str) -> Value | None:
        """The value that a variable of the context stands for, where that can be told."""
        return layers.source_of(name, self.message.layers)
