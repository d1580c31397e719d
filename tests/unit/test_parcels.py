"""How messages are made up into parcels."""

from __future__ import annotations

import asyncio
from collections import deque
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from taskpath.runtime.buses.rabbitmq import fragments, parcels
from taskpath.runtime.buses.rabbitmq.parcels import Item, cut, lane_of
from taskpath_proto.calls import Answer
from taskpath_proto.codec import Message, decode_parcel, encode_message, join_parcel
from taskpath_proto.queries import ValueRead

KEYS = st.one_of(
    st.none(),
    st.tuples(
        st.sampled_from(["storage.0", "executors"]),
        st.sampled_from(["instance.a", "instance.b", "executor.x", "instance." + "z" * 200]),
    ),
)
SIZES = st.one_of(st.integers(1, 300), st.sampled_from([100_000, parcels.MOST_BYTES, 2 * parcels.MOST_BYTES]))


def item(number: int, size: int, keys: tuple[str, ...] | None, loop: asyncio.AbstractEventLoop) -> Item:
    return Item(b"%08d" % number + b"x" * size, keys, loop.create_future())


@given(st.lists(st.tuples(SIZES, KEYS), min_size=1, max_size=60))
def test_nothing_is_lost_reordered_or_sent_astray(given: list[tuple[int, tuple[str, ...] | None]]) -> None:
    loop = asyncio.new_event_loop()
    items = [item(number, size, keys, loop) for number, (size, keys) in enumerate(given)]
    waiting, out = deque(items), []
    while waiting:
        parcel = cut(waiting)
        out += parcel.items
        size = sum(len(one.data) for one in parcel.items)
        assert size <= parcels.MOST_BYTES or len(parcel.items) == 1
        if parcel.keys is None:
            assert all(one.keys is None for one in parcel.items)
        else:
            assert len(parcel.keys) == len(set(parcel.keys))
            mailboxes = {key for key in parcel.keys if key.startswith(("storage.", "executor."))}
            for one in parcel.items:
                assert one.keys is not None
                assert set(one.keys) <= set(parcel.keys)
                assert {key for key in one.keys if key.startswith(("storage.", "executor."))} == mailboxes
    assert out == items
    loop.close()


async def test_a_parcel_is_bounded_in_messages_and_in_keys() -> None:
    loop = asyncio.get_running_loop()
    waiting = deque(item(number, 1, None, loop) for number in range(parcels.MOST_MESSAGES + 5))
    assert len(cut(waiting).items) == parcels.MOST_MESSAGES
    assert len(cut(waiting).items) == 5
    waiting = deque(item(number, 1, ("storage.0", f"instance.{number}"), loop) for number in range(1_000))
    while waiting:
        parcel = cut(waiting)
        assert parcel.keys is not None
        assert len(parcel.keys) <= parcels.MOST_KEYS
    waiting = deque(item(n, 1, ("storage.0", f"instance.{'x' * 200}{n}"), loop) for n in range(1_000))
    while waiting:
        parcel = cut(waiting)
        assert parcel.keys is not None
        assert sum(map(len, parcel.keys)) <= parcels.MOST_KEY_BYTES


def test_events_of_a_mailbox_share_its_lane() -> None:
    assert lane_of(("storage.0", "instance.a")) == "storage.0"
    assert lane_of(("instance.a", "storage.0")) == "storage.0"
    assert lane_of(("executors",)) == "executors"


@given(
    st.lists(st.integers(0, 3 * fragments.MOST_BYTES), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
@settings(max_examples=30)
def test_fragments_of_several_parcels_are_put_together(sizes: list[int], random: Random) -> None:
    bodies = [bytes([number]) * size for number, size in enumerate(sizes)]
    lanes = {number: list(enumerate(fragments.split(body))) for number, body in enumerate(bodies) if body}
    assembling, whole = fragments.Assembling(), {}
    while lanes:
        number = random.choice(list(lanes))
        part, fragment = lanes[number].pop(0)
        parts = fragments.count(bodies[number])
        if (body := assembling.add(str(number), part, parts, bytes(fragment))) is not None:
            whole[number] = body
        if not lanes[number]:
            del lanes[number]
    assert whole == {number: body for number, body in enumerate(bodies) if body}
    assert assembling._size == 0


def test_fragments_without_their_beginning_are_dropped() -> None:
    assembling = fragments.Assembling()
    assert assembling.add("a", 1, 3, b"x") is None
    assert assembling.add("b", 0, 3, b"x") is None
    assert assembling.add("b", 2, 3, b"x") is None
    assert assembling._size == 0
    assert not assembling._pending


def message(number: int) -> Message:
    return Answer(call=number, body=ValueRead(str(number)))


@given(st.integers(0, 3_000))
def test_a_parcel_is_read_as_it_was_written(count: int) -> None:
    messages = [message(number) for number in range(count)]
    assert decode_parcel(join_parcel([encode_message(one) for one in messages])) == (messages, [])


def test_what_cannot_be_read_takes_no_neighbour_along() -> None:
    newer = encode_message(message(2)).replace(b"Answer", b"Future")
    data = join_parcel([encode_message(message(1)), newer, encode_message(message(3))])
    messages, wrong = decode_parcel(data)
    assert messages == [message(1), message(3)]
    assert len(wrong) == 1


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_said_to_be_wrong(data: bytes) -> None:
    messages, wrong = decode_parcel(data)
    assert wrong or messages or data == b"\x90" or data[:1] in (b"\xdc", b"\xdd")
