"""Bad input at the gateway's doors: each piece gets one sentence and a code, and nothing else suffers."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from taskpath_proto.commands import CreateInstance
from taskpath_proto.errors import ErrorCode
from taskpath_services.gateway.errors import info_of
from taskpath_services.gateway.rest import incoming
from tests.support.gateway import Running, running

HEAD = b"Host: localhost\r\nConnection: close\r\n"
JSON = b"Content-Type: application/json\r\n"
CREATE = b"POST /api/v1/instances HTTP/1.1\r\n" + HEAD
BODY = b'{"workflow":"album"}'


@pytest.fixture
async def gateway() -> AsyncIterator[Running]:
    async with running() as started:
        started.system.create("i")
        yield started


async def sent(gateway: Running, data: bytes) -> tuple[int, Any]:
    """Sends bytes over a connection of their own; the status and the body that come back."""
    host, port = gateway.gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    head = await reader.readuntil(b"\r\n\r\n")
    size = re.search(rb"(?i)content-length: (\d+)", head)
    assert size is not None, head
    body = await reader.readexactly(int(size[1]))
    writer.close()
    return int(head.split()[1]), msgspec.json.decode(body)


async def is_well(gateway: Running) -> None:
    """Others are served as before."""
    assert (await gateway.call("GET", "/instances/i"))["id"] == "i"


RAW = {
    "no HTTP": b"\x00\x01\x02\r\n\r\n",
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + bytes(150),
    "an unknown method": b"FOO /api/v1/instances HTTP/1.1\r\n" + HEAD + b"\r\n",
    "no host": b"GET /api/v1/instances HTTP/1.1\r\nConnection: close\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"a" * 20_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + HEAD + b"X: a\r\n" * 5_000 + b"\r\n",
    "a long address": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n",
    "an address that is no text": b"GET /api/v1/instances/\xff HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a length that is none": CREATE + JSON + b"Content-Length: abc\r\n\r\n",
    "a negative length": CREATE + JSON + b"Content-Length: -5\r\n\r\n",
    "a bad chunk": CREATE + JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a compressed body": CREATE + JSON + b"Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + BODY,
    "a key that is no text": CREATE + JSON + b"Idempotency-Key: \xff\r\nContent-Length: 20\r\n\r\n" + BODY,
    "two keys": (
        CREATE + JSON + b"Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 20\r\n\r\n" + BODY
    ),
    "a type that is no text": CREATE + b"Content-Type: \xff\r\nContent-Length: 20\r\n\r\n" + BODY,
    "no type": CREATE + b"Content-Length: 20\r\n\r\n" + BODY,
    "a form": CREATE + b"Content-Type: text/plain\r\nContent-Length: 20\r\n\r\n" + BODY,
}


@pytest.mark.parametrize("name", RAW)
async def test_bytes_that_make_no_sense(
    gateway: Running, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, body = await sent(gateway, RAW[name])
    assert status == 400
    assert body["error"]["code"] == "INVALID_REQUEST"
    assert len(body["error"]["message"]) < 300
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert not [asked for asked in gateway.system.asked if isinstance(asked, CreateInstance)]
    await is_well(gateway)


@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("/api/v1/instances/%ff", 404, "UNKNOWN_INSTANCE"),
        ("/api/v1/instances/%zz", 404, "UNKNOWN_INSTANCE"),
        ("/api/v1/instances/%00", 404, "UNKNOWN_INSTANCE"),
        ("/api/v1/instances/%ED%A0%80", 404, "UNKNOWN_INSTANCE"),
        ("/api/v1/instances/" + "i" * 7_000, 404, "UNKNOWN_INSTANCE"),
        ("/api/v1/instances/i/tasks/%23.%00", 400, "INVALID_PATH"),
        ("/api/v1/instances/i/tasks/%23." + "x" * 2_000, 400, "INVALID_PATH"),
        ("/api/v1/instances/i/tasks/" + "x" * 7_000, 400, "INVALID_PATH"),
        ("/api/v1/instances/i/tasks/%23" + ".a" * 65, 400, "INVALID_PATH"),
        ("/api/v1/instances/i?paths=%23.a%5B-1%5D", 400, "INVALID_PATH"),
        ("/api/v1/instances/i?paths=%23.***", 400, "INVALID_PATH"),
        ("/api/v1/instances/i?paths=", 400, "INVALID_PATH"),
        ("/api/v1/instances/i?paths=" + ",".join(["%23.a"] * 101), 400, "INVALID_REQUEST"),
        ("/api/v1/instances/i?minRevision=1.5", 400, "INVALID_REQUEST"),
        ("/api/v1/instances/i?minRevision=" + "9" * 400, 400, "INVALID_REQUEST"),
        ("/api/v1/instances/i?minRevision=9007199254740992", 400, "INVALID_REQUEST"),
        ("/api/v1/instances/i?a=%&%=1&&&==", 400, "INVALID_REQUEST"),
        ("/api/v1/instances/i?" + "x" * 7_000 + "=1", 400, "INVALID_REQUEST"),
        ("/api/v1/instances?limit=", 400, "INVALID_REQUEST"),
        ("/api/v1/nothing", 404, "INVALID_REQUEST"),
        ("/../../etc/passwd", 404, "INVALID_REQUEST"),
    ],
)
async def test_addresses_that_make_no_sense(gateway: Running, address: str, status: int, code: str) -> None:
    request = b"GET " + address.encode() + b" HTTP/1.1\r\n" + HEAD + b"\r\n"
    got, body = await sent(gateway, request)
    assert (got, body["error"]["code"]) == (status, code)
    assert len(body["error"]["message"]) <= 2_001
    await is_well(gateway)


async def test_a_body_that_does_not_come_is_given_up(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "BODY_SECONDS", 0.05)
    status, body = await sent(gateway, CREATE + JSON + b"Content-Length: 500\r\n\r\n{")
    assert (status, body["error"]["code"]) == (400, "INVALID_REQUEST")
    assert "has not come" in body["error"]["message"]


async def test_a_client_that_goes_amid_its_body_is_forgotten(
    gateway: Running, caplog: pytest.LogCaptureFixture
) -> None:
    host, port = gateway.gateway.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(CREATE + JSON + b"Content-Length: 500\r\n\r\n{")
    await writer.drain()
    writer.transport.abort()
    await gateway.settle()
    await is_well(gateway)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_body_over_the_limit_is_too_large() -> None:
    async with running(max_body=2_000) as gateway:
        for text in (b'{"workflow":"' + b"x" * 3_000 + b'"}', b" " * 100_000):
            async with gateway.http.post(
                "/api/v1/instances", data=text, headers={"Content-Type": "application/json"}
            ) as response:
                assert response.status == 413
                assert (await response.json())["error"]["code"] == "TOO_LARGE"


@pytest.mark.parametrize(
    "body",
    [
        b'{"workflow":"' + b"x" * 100_000 + b'"}',
        b'{"' + b"x" * 100_000 + b'":1}',
        b'{"workflow":"album","name":"' + b"x" * 100_000 + b'"}',
        b'{"workflow":"album","realm":"' + b"x" * 100_000 + b'"}',
        b'{"workflow":"album","execute":"' + b"x" * 100_000 + b'"}',
        b'{"' + b"x" * 100_000 + b'":1,"' + b"x" * 100_000 + b'":2}',
    ],
)
async def test_names_of_a_hundred_kilobytes_are_refused_in_a_sentence(gateway: Running, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with gateway.http.post("/api/v1/instances", data=body, headers=headers) as response:
        error = (await response.json())["error"]
        assert response.status == 400
    assert len(error["message"]) < 1_000


@pytest.mark.parametrize(
    "packet",
    [
        {"type": "x" * 100_000},
        {"type": "executeTask", "id": "i", "taskPath": "x" * 100_000},
        {"type": "executeTask", "id": "i", "taskPath": "#." + "x" * 100_000},
        {"type": "cancel", "id": "i" * 100_000},
        {"type": "cancel", "id": "i", "x" * 100_000: 1},
        {"type": "watchWorkflowInstance", "id": "i", "paths": ["#"] * 101},
        {"type": "watchWorkflowInstance", "id": "i", "paths": ["#" + ".**.a" * 40]},
        {"type": "watchWorkflowInstance", "id": "i", "logsSince": {"#.a": -1}},
        {"type": "watchInstances", "limit": 1e9},
        {"type": "setContextUpdaters", "id": "i", "taskPath": "#.list", "updaters": "x" * 100_000},
        {
            "type": "setContextUpdaters",
            "id": "i",
            "taskPath": "#.list",
            "updaters": [{"$" + "x" * 100_000: 1}],
        },
    ],
)
async def test_bad_packets_get_a_short_answer_and_the_connection_lives(gateway: Running, packet: Any) -> None:
    async with gateway.client() as client:
        await client.socket.send_str(msgspec.json.encode({**packet, "requestId": 7}).decode())
        answer = await client.next()
        assert answer["type"] == "appError", answer
        assert len(msgspec.json.encode(answer)) < 10_000
        await client.watch("i")


@pytest.mark.parametrize(
    "error", [OverflowError("too large"), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no")]
)
def test_what_does_not_fit_into_a_message_is_the_callers_mistake(error: Exception) -> None:
    assert info_of(error, "a test").code is ErrorCode.INVALID_REQUEST
