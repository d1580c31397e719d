"""What a check says: of what, how it is, and a sentence about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Final

import msgspec

SECONDS: Final = 12.0
"""How long the checks of one server may take."""

SKEW_MS: Final = 2_000
"""So far apart clocks may be before it is said."""


class Verdict(StrEnum):
    """How a check went."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


class Finding(msgspec.Struct, frozen=True):
    """What a check found."""

    check: str
    verdict: Verdict
    message: str


def ok(check: str, message: str) -> Finding:
    """All is well."""
    return Finding(check, Verdict.OK, message)


def note(check: str, message: str) -> Finding:
    """It works, and somebody should know."""
    return Finding(check, Verdict.NOTE, message)


def wrong(check: str, message: str) -> Finding:
    """It does not work, or will lose something."""
    return Finding(check, Verdict.WRONG, message)


async def within(check: str, findings: AsyncIterator[Finding], seconds: float = SECONDS) -> list[Finding]:
    """What a check of a server finds; a server that hangs is a finding, too.

    Args:
        check: what is checked.
        findings: of the check.
        seconds: how long they may take together.
    """
    found: list[Finding] = []
    try:
        async with asyncio.timeout(seconds):
            async for finding in findings:
                found.append(finding)
    except TimeoutError:
        found.append(wrong(check, f"It has not answered within {seconds:g} s."))
    return found


def clock(check: str, theirs: int, ours: int) -> Finding | None:
    """A finding if a server's clock is not ours; both in ms since epoch."""
    if abs(theirs - ours) <= SKEW_MS:
        return None
    return note(
        check,
        f"Its clock is {abs(theirs - ours) / 1000:.1f} s {'ahead of' if theirs > ours else 'behind'} this "
        "machine's; times that people read will be as wrong. Have both follow a time server.",
    )
