"""What a bundle of frames is on a WebSocket; the headers are those of the examples in RFC 6455, 5.7."""

from __future__ import annotations

import pytest

from taskpath_services.gateway.bundle import Bundle


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "8100"),
        (5, "8105"),
        (125, "817d"),
        (126, "817e007e"),
        (256, "817e0100"),
        (65_535, "817effff"),
        (65_536, "817f0000000000010000"),
    ],
)
def test_a_frame_is_preceded_by_its_length(size: int, head: str) -> None:
    frame = b"x" * size
    assert Bundle(frame).wire == bytes.fromhex(head) + frame


def test_frames_follow_each_other_and_are_made_once() -> None:
    bundle = Bundle(b"Hello", b"", b"you")
    assert bundle.size == 8
    assert bundle.wire == b"\x81\x05Hello\x81\x00\x81\x03you"
    assert bundle.wire is bundle.wire
