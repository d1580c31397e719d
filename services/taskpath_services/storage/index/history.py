"""What every index keeps of how long tasks took: the texts of its rows, and how many there may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from taskpath_services.storage.history.times import Times, joined
from taskpath_services.storage.index.contract import Kind

MOST_PATHS: Final = 2_000
"""So many paths of a workflow in a realm; of more, those go that were not seen for longest."""

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Times).decode


def read(text: str | bytes) -> Times:
    """The durations of a row."""
    return _decode(text)


def text_of(before: Times | None, seen: Times) -> str:
    """The row after some more were seen."""
    return _encode(joined(Times() if before is None else before, seen)).decode()


def workflows(kinds: Iterable[Kind]) -> list[tuple[str, str]]:
    """The realms and workflows of these, each once."""
    return list(dict.fromkeys((kind.realm, kind.workflow) for kind in kinds))
