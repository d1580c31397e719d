"""The list of a foreach: what an order to read it comes to."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from taskpath.encoding import encode
from taskpath.task import Task
from taskpath_proto.records import TaskStatus
from taskpath_proto.values import Blob, Value
from taskpath_services.executor.group import Group
from taskpath_services.executor.outcome import NotAList, Outcome
from taskpath_services.executor.values import JSONText, decode

_KINDS: Final = {dict: "an object", str: "text", bool: "true or false", int: "a number", float: "a number"}

_raws: msgspec.json.Decoder[list[msgspec.Raw]] = msgspec.json.Decoder(list[msgspec.Raw])


def read_list(group: Group, task: Task, given: Value, text: JSONText) -> Outcome:
    """The outcome of a foreach: its list, by reference if the reference is for ever, and its length.

    Args:
        group: has the context.
        task: the foreach.
        given: its argument.
        text: the argument's JSON.

    Raises:
        NotAList: what it names is none.
    """
    foreach = task.foreach
    if foreach is True or foreach is None:
        source: Value | None = given
        found = "the result before it"
    else:
        context = group.context()
        found = f"{foreach!r} in the context"
        if foreach not in context:
            known = ", ".join(sorted(context)[:20]) or "nothing"
            raise NotAList(f"foreach needs a list, but there is no {found}; there is {known}")
        if not isinstance(context[foreach], list):
            raise NotAList(f"foreach needs a list, but {found} is {_kind(context[foreach])}")
        source = group.source_of(str(foreach))
        if isinstance(source, Blob):
            return Outcome(TaskStatus.OK, value=source, count=len(context[foreach]))
        text = encode(context[foreach])
    try:
        count = len(_raws.decode(text))
    except msgspec.ValidationError:
        raise NotAList(f"foreach needs a list, but {found} is {_kind(decode(text))}") from None
    if isinstance(source, Blob):
        return Outcome(TaskStatus.OK, value=source, count=count)
    return Outcome(TaskStatus.OK, json=text if isinstance(text, str) else bytes(text).decode(), count=count)


def _kind(value: Any) -> str:
    """What a message calls a value that is no list."""
    if value is None:
        return "null"
    return next((word for kind, word in _KINDS.items() if isinstance(value, kind)), "no list")
