"""How lines are added to a task's log: which are new, and where each stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from taskpath_proto.events import LogLine

MAX_LINES: Final = 10_000
MAX_LINE_BYTES: Final = 16 * 1024
MAX_PAGE_BYTES: Final = 512 * 1024
"""What one answer carries: well under the megabyte of a message."""

TRIM_SLACK: Final = 500
"""Old lines go when there are this many too many, so that a long log is not trimmed line by line."""

MAX_ATTEMPTS: Final = 20
"""Of so many attempts a log remembers which lines it has."""


class LogHead(msgspec.Struct, frozen=True):
    """What is known of a log.

    Attributes:
        last: the position of its last line; positions count from 1 and are never used again.
        first: the lowest position that may still be stored.
        seen: the number of the last line of each attempt.
    """

    last: int = 0
    first: int = 1
    seen: dict[int, int] = {}


def append(head: LogHead, lines: Sequence[LogLine]) -> tuple[LogHead, list[tuple[int, LogLine]]]:
    """Adds lines; those that the log has already are left out.

    Lines of one attempt come in the order of their numbers. One that is not above the last is a repeat.

    Returns:
        The log's new head, and the new lines with their positions.
    """
    seen = dict(head.seen)
    position = head.last
    added: list[tuple[int, LogLine]] = []
    for line in lines:
        if line.n <= seen.get(line.attempt, 0):
            continue
        seen[line.attempt] = line.n
        position += 1
        added.append((position, bounded(line)))
    if len(seen) > MAX_ATTEMPTS:
        seen = {attempt: seen[attempt] for attempt in sorted(seen)[-MAX_ATTEMPTS:]}
    return LogHead(last=position, first=head.first, seen=seen), added


def trimmed(head: LogHead) -> LogHead:
    """The head after old lines have gone, the same head if none has to."""
    if head.last - head.first + 1 < MAX_LINES + TRIM_SLACK:
        return head
    return LogHead(last=head.last, first=head.last - MAX_LINES + 1, seen=head.seen)


def bounded(line: LogLine) -> LogLine:
    """The line with a text of at most 16 KiB that can be encoded."""
    if line.text.isascii() and len(line.text) <= MAX_LINE_BYTES:
        return line
    raw = line.text.encode("utf-8", "replace")
    text = raw[:MAX_LINE_BYTES].decode("utf-8", "ignore")
    return line if text == line.text else msgspec.structs.replace(line, text=text)
