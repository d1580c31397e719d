"""How replicas share the partitions: the rule, in a world that gives a mailbox to whoever waits longest."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from taskpath.runtime.sharing import LAPSE_MS, Peers, surplus
from taskpath_proto.events import ReplicaAnnounced


class Replica:
    """One that follows the rule."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.peers = Peers(name)
        self.owned: set[int] = set()


class World:
    """Replicas, and a broker with a mailbox for each partition, which belongs to whoever waits longest."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.replicas: list[Replica] = []
        self.waiting: list[list[Replica]] = [[] for _ in range(partitions)]
        self.now = 0

    def come(self, name: str) -> None:
        replica = Replica(name)
        self.replicas.append(replica)
        for line in self.waiting:
            line.append(replica)
        self.give()

    def go(self, replica: Replica, *, told: bool) -> None:
        self.replicas.remove(replica)
        for line in self.waiting:
            line.remove(replica)
        if told:
            self.say(ReplicaAnnounced("s", replica.name, leaving=True))
        self.give()

    def give(self) -> None:
        for replica in self.replicas:
            replica.owned = {number for number, line in enumerate(self.waiting) if line[0] is replica}

    def say(self, message: ReplicaAnnounced) -> None:
        for replica in self.replicas:
            replica.peers.hear(message, self.now)

    def second(self, order: random.Random) -> None:
        """A second passes: each says what it owns, and hands over what is too much, in whatever order."""
        self.now += 1_000
        for replica in order.sample(self.replicas, len(self.replicas)):
            replica.peers.lapse(self.now)
            self.say(ReplicaAnnounced("s", replica.name, tuple(replica.owned)))
            peers = replica.peers
            wanting = peers.wanting(self.partitions)
            for number in surplus(replica.owned, self.partitions, peers.count, wanting):
                self.waiting[number].remove(replica)
                self.waiting[number].append(replica)
            self.give()


@settings(max_examples=300, deadline=None)
@given(
    partitions=st.integers(1, 16),
    steps=st.lists(st.sampled_from(["come", "go", "die"]), min_size=1, max_size=8),
    chance=st.randoms(use_true_random=False),
)
def test_every_partition_is_owned_and_none_has_more_than_its_part(
    partitions: int, steps: list[str], chance: random.Random
) -> None:
    world = World(partitions)
    world.come("r")
    for number, step in enumerate(steps):
        if step == "come":
            world.come(f"r{number}")
        elif len(world.replicas) > 1:
            world.go(chance.choice(world.replicas), told=step == "go")
        for _ in range(chance.randint(0, 3)):
            world.second(chance)
    for _ in range(LAPSE_MS // 1_000 + 2 * partitions + 5):
        world.second(chance)
    part = -(-partitions // len(world.replicas))
    owned = [replica.owned for replica in world.replicas]
    assert sorted(number for one in owned for number in one) == list(range(partitions))
    assert all(len(one) <= part for one in owned), owned
    before = [set(one) for one in owned]
    for _ in range(3):
        world.second(chance)
    assert [replica.owned for replica in world.replicas] == before, "it does not come to rest"


def test_a_replica_hands_over_no_more_than_others_lack() -> None:
    assert surplus([3, 0, 1, 2], 4, 2, wanting=2) == [2, 3]
    assert surplus([3, 0, 1, 2], 4, 2, wanting=1) == [2]
    assert surplus([0, 1, 2, 3], 4, 1, wanting=0) == []
    assert surplus([0, 1], 4, 2, wanting=2) == []
    assert surplus([0, 1, 2], 3, 2, wanting=1) == [2]


def test_peers_come_go_and_lapse() -> None:
    peers = Peers("me")
    assert not peers.hear(ReplicaAnnounced("s", "me", (1,)), 0)
    assert peers.hear(ReplicaAnnounced("s", "a", (0,)), 0)
    assert not peers.hear(ReplicaAnnounced("s", "a", (0,)), 1_000)
    assert peers.hear(ReplicaAnnounced("s", "b"), 1_000)
    assert (peers.count, peers.wanting(6)) == (3, 1 + 2)
    assert peers.hear(ReplicaAnnounced("s", "b", leaving=True), 1_000)
    assert not peers.hear(ReplicaAnnounced("s", "b", leaving=True), 1_000)
    assert not peers.lapse(1_000 + LAPSE_MS - 1)
    assert peers.lapse(1_000 + LAPSE_MS)
    assert (peers.count, peers.wanting(6)) == (1, 0)
