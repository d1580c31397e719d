"""What RabbitMQ's management API tells: policies and arguments that would drop messages of our queues."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from taskpath.runtime.buses.rabbitmq.address import Address
from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from taskpath_services.cli.doctor.findings import Finding, note, ok, wrong

CHECK: Final = "broker"
SECONDS: Final = 4.0
LEAST_CONSUMER_TIMEOUT: Final = 60_000
"""ms. A delivery is held for a moment only, unless a store is away."""

_BY_HAND: Final = (
    "see `rabbitmqctl list_policies`: none may set delivery-limit, message-ttl, max-length or expires for "
    "queues named scheduler.…, storage.… or executor.…"
)
_LOSSES: Final = {
    "delivery-limit": "drops a message that was given back so often",
    "message-ttl": "drops messages that wait for so many ms",
    "max-length": "drops or refuses messages beyond so many",
    "max-length-bytes": "drops or refuses messages beyond so many bytes",
    "expires": "deletes a queue that nobody has used for so many ms",
}


class Policy(msgspec.Struct):
    name: str
    pattern: str
    definition: dict[str, Any]
    apply_to: str = msgspec.field(name="apply-to", default="all")


class Queue(msgspec.Struct):
    name: str
    type: str = "classic"
    arguments: dict[str, Any] = {}
    effective_policy_definition: dict[str, Any] | list[Any] | None = None
    policy: str | None = None


async def policies(
    address: Address, settings: Settings, management: str | None, version: str
) -> AsyncIterator[Finding]:
    """Checks what is set for our queues, those that are there and those that will be.

    Args:
        address: of the broker.
        settings: how many partitions there are.
        management: where the API is, if not at its usual port of the broker's host.
        version: of the broker.
    """
    url = address.url("doctor", 10)
    vhost = quote(url.path[1:] or "/", safe="")
    where = _where(url, management)
    user = f"{url.user or 'guest'}:{url.password or 'guest'}"
    headers = {"Authorization": "Basic " + b64encode(user.encode()).decode()}
    try:
        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=SECONDS), headers=headers
        ) as session:
            queues, ordinary, operators = await asyncio.gather(
                _get(session, where / "api/queues", vhost, Queue),
                _get(session, where / "api/policies", vhost, Policy),
                _get(session, where / "api/operator-policies", vhost, Policy),
            )
    except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError, ValueError) as error:
        reason = str(error) if isinstance(error, _Refused) else "it does not answer"
        yield note(
            CHECK,
            f"Policies cannot be seen through the management API at {where} ({reason}); --management says "
            f"where it is; or {_BY_HAND}.",
        )
        return
    found = [*of_policies([*ordinary, *operators], address.prefix, settings.partitions)]
    major = version.partition(".")[0]
    ours = [queue for queue in queues if _is_ours(queue.name, address.prefix)]
    found += of_queues(ours, limited=major.isdigit() and int(major) >= 4)
    if not found:
        yield ok(CHECK, "No policy drops messages of our queues.")
    for finding in found:
        yield finding


class _Refused(ValueError):
    """The API answers, and refuses."""


def _where(url: URL, management: str | None) -> URL:
    if management is not None:
        return URL(management).with_user(None)
    secure = url.scheme == "amqps"
    return URL.build(
        scheme="https" if secure else "http", host=url.host or "localhost", port=15671 if secure else 15672
    )


async def _get(session: aiohttp.ClientSession, url: URL, vhost: str, kind: type[Any]) -> list[Any]:
    async with session.get(URL(f"{url}/{vhost}", encoded=True)) as response:
        if response.status == 404:
            return []  # of operator policies, by those who are no administrators
        if response.status in (401, 403):
            raise _Refused("it refuses the broker's user, who needs the tag monitoring or policymaker")
        if response.status != 200:
            raise _Refused(f"it answers {response.status}")
        found: list[Any] = msgspec.json.decode(await response.read(), type=list[kind])  # type: ignore[valid-type]
        return found


def _is_ours(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and topology.is_mailbox(name.removeprefix(prefix))


def of_policies(found: Iterable[Policy], prefix: str, partitions: int) -> Iterable[Finding]:
    """Policies whose pattern fits a mailbox, also of one that is not there yet."""
    samples = [prefix + topology.executor_mailbox("default"), prefix + topology.generator_mailbox("default")]
    for partition in range(partitions):
        samples += [
            prefix + topology.scheduler_mailbox(partition),
            prefix + topology.storage_mailbox(partition),
        ]
    for policy in found:
        if policy.apply_to not in ("all", "queues", "quorum_queues"):
            continue
        try:
            fits = next((name for name in samples if re.search(policy.pattern, name)), None)
        except re.error:
            continue  # Erlang's patterns are a little richer than ours
        if fits is not None:
            for trouble in _losses(policy.definition):
                yield wrong(
                    CHECK, f"The policy {policy.name!r} fits our queue {fits}: {trouble}. Leave it out there."
                )


def of_queues(queues: Iterable[Queue], *, limited: bool) -> Iterable[Finding]:
    """What is wrong with queues that are there.

    Args:
        queues: ours.
        limited: whether the broker has a delivery limit where none is set, as RabbitMQ 4 has.
    """
    for queue in queues:
        if queue.type != "quorum":
            yield wrong(
                CHECK,
                f"The queue {queue.name} is a {queue.type} queue; a quorum queue is expected. Delete it "
                "when it is empty, and the services make it anew.",
            )
        arguments = {name.removeprefix("x-"): value for name, value in queue.arguments.items()}
        for trouble in _losses(arguments):
            yield wrong(
                CHECK, f"The queue {queue.name} was declared so: {trouble}. Delete it when it is empty."
            )
        policy = queue.effective_policy_definition
        by_policy = policy.get("delivery-limit") if isinstance(policy, dict) else None
        if limited and by_policy is None and arguments.get("delivery-limit") is None:
            yield wrong(
                CHECK,
                f"The queue {queue.name} was declared before RabbitMQ 4, which drops a message that was "
                "given back "
                "20 times. Set delivery-limit -1 by a policy, or delete the queue when it is empty.",
            )


def _losses(definition: Mapping[str, Any]) -> Iterable[str]:
    """What of a policy, or of the arguments of a queue, loses messages."""
    for name, effect in _LOSSES.items():
        value = definition.get(name)
        if value is None or (name == "delivery-limit" and isinstance(value, int) and value < 0):
            continue
        yield f"{name} {value} {effect}, and a dropped message is a lost job"
    timeout = definition.get("consumer-timeout")
    if isinstance(timeout, int) and timeout < LEAST_CONSUMER_TIMEOUT:
        yield f"consumer-timeout {timeout} (ms) cuts off who waits for a store; at least a minute is expected"
