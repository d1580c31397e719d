"""Which policies and queues of a broker lose messages."""

from __future__ import annotations

from typing import Any

import pytest

from taskpath_services.cli.doctor.findings import Finding
from taskpath_services.cli.doctor.management import Policy, Queue, of_policies, of_queues


def queue(*, limited: bool = False, **fields: Any) -> list[str]:
    fields = {"type": "quorum", **fields}
    return said(of_queues([Queue("scheduler.0", **fields)], limited=limited))


def said(findings: Any) -> list[str]:
    return [finding.message for finding in findings if isinstance(finding, Finding)]


def test_a_queue_as_it_should_be() -> None:
    assert queue() == []
    assert queue(limited=True, arguments={"x-delivery-limit": -1}) == []
    assert queue(limited=True, effective_policy_definition={"delivery-limit": -1}) == []


def test_a_queue_from_before_the_limit() -> None:
    (message,) = queue(limited=True, effective_policy_definition=[])
    assert "declared before RabbitMQ 4" in message


def test_a_queue_that_loses_messages() -> None:
    assert "quorum queue is expected" in queue(type="classic")[0]
    assert "delivery-limit 20 drops" in queue(arguments={"x-delivery-limit": 20})[0]
    assert "message-ttl 5 drops" in queue(arguments={"x-message-ttl": 5})[0]


@pytest.mark.parametrize(
    ("pattern", "definition", "apply_to", "count"),
    [
        (".*", {"max-length": 10}, "all", 1),
        ("^scheduler", {"delivery-limit": 3, "expires": 9}, "quorum_queues", 2),
        (r"^executor\..*\.generators$", {"message-ttl": 9}, "queues", 1),
        (".*", {"delivery-limit": -1, "dead-letter-exchange": "x"}, "all", 0),
        (".*", {"max-length": 10}, "exchanges", 0),
        (".*", {"max-length": 10}, "classic_queues", 0),
        ("^reply", {"max-length": 10}, "all", 0),
        ("(?<broken", {"max-length": 10}, "all", 0),
        (".*", {"consumer-timeout": 1_000}, "all", 1),
    ],
)
def test_policies(pattern: str, definition: dict[str, Any], apply_to: str, count: int) -> None:
    found = said(of_policies([Policy("p", pattern, definition, apply_to)], "", 4))
    assert len(found) == count, found


def test_a_prefix_is_a_part_of_the_name() -> None:
    policy = Policy("p", "^mine-storage", {"max-length": 1})
    assert len(said(of_policies([policy], "mine-", 1))) == 1
    assert said(of_policies([policy], "", 1)) == []
