"""The packets and bodies of the public contract, against the files that clients can rely on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from taskpath_proto import packets
from taskpath_proto.errors import ErrorCode, ErrorInfo
from taskpath_proto.queries import InstanceSummary
from taskpath_proto.records import InstanceProgress, InstanceStatus, Progress, RetryState, TaskStatus
from taskpath_services.gateway import strict

GOLDEN = Path(__file__).parent.parent / "golden"
PROGRESS = InstanceProgress(total=4, done=2, failed=1, running=1, fraction=0.5)
ERROR = packets.ErrorBody(code=ErrorCode.ALREADY_RUNNING, message="It runs.", path="#.list", details={"a": 1})
STATE = packets.TaskState(
    status=TaskStatus.QUEUED,
    stale=False,
    execution_time=1_700_000_000_000,
    duration=None,
    attempt=2,
    expected_duration=4_000,
    expected_spread=250,
    progress=Progress(0.5, "half way"),
    retry=RetryState(try_=2, attempts=5, next_at=1_700_000_001_000),
    error=ErrorInfo(ErrorCode.EXECUTION_FAILED, "no disk", "#.list", "OSError", "line 3"),
    rollup=packets.RollupView(9, 1, 1, 1, 3, 1, 1, 1, 2),
    reason="nobody serves its queue",
)
MOVE: dict[str, Any] = {"id": "i", "revision": 8, "base_revision": 7}
SENT: dict[str, packets.ServerPacket] = {
    "hello": packets.Hello(version=1, session="0123456789abcdef"),
    "ack": packets.Ack(request_id="r1", revision=8),
    "ackWithNothing": packets.Ack(),
    "appError": packets.AppError(request_id=7, error=ERROR),
    "workflowDescription": packets.WorkflowDescription(
        **MOVE,
        more=True,
        tasks=[
            packets.TaskNode(name="list", description="Find", path="#.list", children=[]),
            packets.TaskNode(
                name="resize",
                description="",
                path="#.resize",
                foreach=True,
                count=3,
                children=[packets.TaskNode(name="cut", description="", path="#.resize[*].cut", children=[])],
            ),
        ],
    ),
    "setTasksStatuses": packets.SetTasksStatuses(
        **MOVE,
        more=True,
        statuses={"#.list": msgspec.Raw(msgspec.json.encode(STATE))},
        removed=["#.resize[3]"],
    ),
    "setWorkflowStatus": packets.SetWorkflowStatus(**MOVE, status=InstanceStatus.WORKING, progress=PROGRESS),
    "taskLogs": packets.TaskLogs(
        id="i",
        task_path="#.list",
        lines=[packets.TaskLogLine(time=1_700_000_000_000, level="info", text="looking", attempt=1)],
        next=4,
        dropped=2,
    ),
    "instancesChanged": packets.InstancesChanged(
        items=[InstanceSummary("i", "album", "default", None, InstanceStatus.DONE, PROGRESS, 1, 2)],
        removed=["j"],
    ),
    "instanceDeleted": packets.InstanceGone(id="i"),
    "resync": packets.Resync(id="i", reason="events were lost"),
    "heartbeat": packets.Heartbeat(revisions={"i": 8}),
    "executionError": packets.ExecutionError(
        id="i", task_path="#.list", error=ErrorInfo(ErrorCode.EXECUTION_FAILED, "no disk", type="OSError")
    ),
}


def golden(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((GOLDEN / name).read_text())
    return loaded


def test_there_is_a_file_for_every_packet_that_is_sent() -> None:
    assert set(golden("server_packets.json")) == set(SENT)
    kinds = {
        kind
        for kind in vars(packets).values()
        if isinstance(kind, type) and issubclass(kind, packets.ServerPacket)
    }
    assert {type(packet) for packet in SENT.values()} == kinds - {
        packets.ServerPacket,
        packets.InstancePacket,
    }


@pytest.mark.parametrize("name", SENT)
def test_what_is_sent_is_as_it_was(name: str) -> None:
    encoded = msgspec.json.encode(SENT[name])
    assert encoded.startswith(b'{"type":')
    assert json.loads(encoded) == golden("server_packets.json")[name]


@pytest.mark.parametrize("name", golden("client_packets.json"))
def test_what_clients_send_is_understood_as_it_was(name: str) -> None:
    sample = golden("client_packets.json")[name]
    kinds = packets.ClientPackets.__args__
    kind = next(kind for kind in kinds if kind.__struct_config__.tag == sample["packet"]["type"])
    packet = strict.decode(json.dumps(sample["packet"]).encode(), msgspec.json.Decoder(kind), "the packet")
    fields = {
        field: bytes(value).decode() if isinstance(value, msgspec.Raw) else msgspec.to_builtins(value)
        for field, value in msgspec.structs.asdict(packet).items()
    }
    assert fields == sample["fields"]


def test_there_is_a_sample_for_every_packet_that_clients_send() -> None:
    sent = {sample["packet"]["type"] for sample in golden("client_packets.json").values()}
    assert sent == {kind.__struct_config__.tag for kind in packets.ClientPackets.__args__}
