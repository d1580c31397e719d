"""What the gateway counts, in a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector


class Metrics:
    """The figures that ``GET /metrics`` shows."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "taskpath_gateway_requests", "Requests answered", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "taskpath_gateway_request_seconds", "How long answers took", ["route"], registry=registry
        )
        self.clients = Gauge("taskpath_gateway_clients", "Open WebSocket connections", registry=registry)
        self.streams = Gauge("taskpath_gateway_streams", "Open streams of events", registry=registry)
        self.watches = Gauge("taskpath_gateway_watches", "Instances that somebody watches", registry=registry)
        self.events = Counter(
            "taskpath_gateway_events", "Changes of watched instances taken in", registry=registry
        )
        self.encoded = Counter(
            "taskpath_gateway_frames_encoded", "Frames of changes encoded", registry=registry
        )
        self.sent = Counter(
            "taskpath_gateway_frames_sent", "Frames of changes given to clients", registry=registry
        )
        self.alone = Counter(
            "taskpath_gateway_frames_alone",
            "Frames encoded for one client, which had just come or fallen behind",
            registry=registry,
        )
        self.resyncs = Counter("taskpath_gateway_resyncs", "Clients told to start over", registry=registry)
