"""The figures of storage, for ``GET /metrics``."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily

from taskpath_services.storage.mailbox import Counters


def figures(counters: Counters) -> Iterable[Metric]:
    """What was done with the events that came in."""
    events = CounterMetricFamily(
        "taskpath_storage_events", "Events by what was done with them", labels=["outcome"]
    )
    events.add_metric(["applied"], counters.applied)
    events.add_metric(["repeated"], counters.repeated)
    events.add_metric(["refused"], counters.refused)
    events.add_metric(["gap"], counters.gaps)
    events.add_metric(["conflict"], counters.conflicts)
    return [events]
