"""Results: what a task hands on to the next one, and what it leaves in the context.

Values are passed on as they are, never decoded. A small joined result is put together as text; a larger one
is a reference that an executor materialises.
"""

from __future__ import annotations

import msgspec

from taskpath.layers import left_by
from taskpath_proto.values import INLINE_BYTES, KEEP_BYTES, NULL, Inline, Item, Joined, Value, size_of
from taskpath_proto.work import Layer
from taskpath_services.scheduler.instance import Instance
from taskpath_services.scheduler.node import Kind, Node
from taskpath_services.scheduler.statuses import CANCELLED, OK, is_active


def result_of(instance: Instance, node: Node) -> Value:
    """What the next sibling of a task gets as its argument.

    A plain task's own result; for a task with subtasks a dict of their results by name; for a foreach the
    list of its items' results in order.
    """
    if node.group is None:
        return instance.at_hand(node.result) if node.result is not None else NULL
    if node.kind is Kind.FOREACH:
        return _list(instance, node)
    return _dict(instance, node)


def own_result(instance: Instance, node: Node) -> Value:
    """The result of a task's own function; a cancelled one has none, though its record shows the last."""
    if (node.status if node.group is None else node.group.own) == CANCELLED:
        return NULL
    return instance.at_hand(node.result) if node.result is not None else NULL


def has_left(node: Node) -> bool:
    """Whether a task hands anything on: it is ok, or runs again and stands for what it left the last time."""
    if node.status == OK:
        return True
    return is_active(node.status) and (node.result is not None if node.group is None else node.left > 0)


def _dict(instance: Instance, node: Node) -> Value:
    texts: list[str] = []
    size = 2
    for child in node.inside.children:
        if child is None or not has_left(child):
            continue
        value = result_of(instance, child)
        if not isinstance(value, Inline):
            return _reference(instance, node)
        size += size_of(value) + len(child.spec.name) + 4
        if size > INLINE_BYTES:
            return _reference(instance, node)
        texts.append(f"{msgspec.json.encode(child.spec.name).decode()}:{value.json}")
    return Inline("{" + ",".join(texts) + "}")


def _list(instance: Instance, node: Node) -> Value:
    texts: list[str] = []
    size = 2
    for child in node.inside.children:
        value = result_of(instance, child) if child is not None and has_left(child) else NULL
        if not isinstance(value, Inline):
            return _reference(instance, node)
        size += size_of(value) + 1
        if size > INLINE_BYTES:
            return _reference(instance, node)
        texts.append(value.json)
    return Inline("[" + ",".join(texts) + "]")


def _reference(instance: Instance, node: Node) -> Value:
    """What stands for the result of a task without containing any large part of it."""
    if node.group is None:
        return node.result if node.result is not None else NULL
    if node.kind is Kind.FOREACH:
        return Joined(node.path, "list", len(node.inside.children), (), node.left)
    parts: list[tuple[str, Value]] = []
    for child in node.inside.children:
        if child is not None and has_left(child):
            value = result_of(instance, child)
            small = not isinstance(value, Inline) or len(value.json) <= KEEP_BYTES
            parts.append((child.spec.name, value if small else _reference(instance, child)))
    return Joined(node.path, "dict", len(parts), tuple(parts), node.left)


def item_of(foreach: Node, index: int) -> Value:
    """The argument of an item: its place in the list that the foreach read."""
    return Item(foreach.inside.items or NULL, index)


def own_leavings(instance: Instance, node: Node) -> tuple[Layer, ...]:
    """What a task's own function left in the context."""
    if node.kind is Kind.FOREACH:
        return ()
    return left_by(node.path, node.spec, own_result(instance, node), node.updaters, runs=node.spec.run)


def leavings(instance: Instance, node: Node) -> tuple[Layer, ...]:
    """What a task that is done left in the context, with all below it, in tree order."""
    if not has_left(node):
        return ()
    item = node.parent is not None and node.parent.kind is Kind.FOREACH
    if node.group is None:
        return _item_leavings(node) if item else own_leavings(instance, node)
    own = node.inside.own
    layers: list[Layer] = []
    if own == OK or (own is not None and is_active(own) and node.result is not None):
        layers.extend(_item_leavings(node) if item else own_leavings(instance, node))
    if node.kind is Kind.FOREACH:
        if node.inside.updated or leaves(node):
            for child in node.inside.children:
                if child is not None:
                    layers.extend(leavings(instance, child))
        if node.spec.context_var is not None:
            layers.append(
                Layer(path=node.path, variables=((node.spec.context_var, result_of(instance, node)),))
            )
        return tuple(layers)
    for child in node.inside.children:
        if child is not None:
            layers.extend(leavings(instance, child))
    return tuple(layers)


def _item_leavings(node: Node) -> tuple[Layer, ...]:
    """An item leaves its updaters; its result is left by the foreach, in the list."""
    return (Layer(path=node.path, updaters=node.updaters),) if node.updaters is not None else ()


def leaves(node: Node) -> bool:
    """Whether the tasks below a foreach leave variables, by their description."""
    pending = list(node.spec.subtasks or ())
    while pending:
        spec = pending.pop()
        if spec.context_var is not None or spec.context_vars:
            return True
        pending.extend(spec.subtasks or ())
    return False


def inner_layers(instance: Instance, node: Node, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """What the subtasks of a task see: what it saw, what its own function left, and its result as
    ``dest``."""
    if node.kind is Kind.FOREACH or node.inside.own != OK or not node.spec.run:
        return layers
    layers += own_leavings(instance, node)
    if node.spec.dest is not None:
        layers += (Layer(path=node.path, variables=((node.spec.dest, own_result(instance, node)),)),)
    return layers
