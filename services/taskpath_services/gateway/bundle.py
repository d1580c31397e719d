"""Bundles: frames that go out together, and what they are on a WebSocket, made once for all who get them.

A crowd that watches one instance is written the same bytes, with one call to the system for each of them,
however many packets a change takes.
"""

from __future__ import annotations

from typing import Final

_TEXT: Final = 0x81  # the only frame of a message, and text


class Bundle:
    """Frames, none of which is of use without those before it.

    Attributes:
        frames: they, as JSON.
        size: their length in bytes.

    Args:
        frames: they.
    """

    __slots__ = ("_wire", "frames", "size")

    def __init__(self, *frames: bytes) -> None:
        self.frames: Final = frames
        self.size: Final = sum(map(len, frames))
        self._wire: bytes | None = None

    @property
    def wire(self) -> bytes:
        """What they are on a WebSocket."""
        if self._wire is None:
            self._wire = b"".join(part for frame in self.frames for part in (_head(len(frame)), frame))
        return self._wire


def _head(size: int) -> bytes:
    """What precedes a server's text frame of so many bytes."""
    if size < 126:
        return bytes((_TEXT, size))
    if size < 1 << 16:
        return b"%c\x7e%b" % (_TEXT, size.to_bytes(2, "big"))
    return b"%c\x7f%b" % (_TEXT, size.to_bytes(8, "big"))
