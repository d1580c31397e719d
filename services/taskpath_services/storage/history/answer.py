"""What is told of how long the tasks of a workflow took. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from taskpath_proto.queries import ExpectedTime, ExpectedTimes
from taskpath_services.storage.history.times import Times, expected

MOST_BYTES: Final = 512 * 1024
"""About so many bytes fit into an answer; of more paths, the longest are left out."""

_ROW: Final = 40


def expected_times(seen: Mapping[str, Times]) -> ExpectedTimes:
    """What is to be expected, by path."""
    told: dict[str, ExpectedTime] = {}
    size = 0
    for path in sorted(seen, key=len):
        size += len(path.encode("utf-8", "replace")) + _ROW
        if size > MOST_BYTES:
            break
        if (found := expected(seen[path])) is not None:
            spread = None if found.spread is None else round(found.spread)
            told[path] = ExpectedTime(round(found.duration), spread, found.tasks)
    return ExpectedTimes(told)
