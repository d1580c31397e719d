"""The record store's Redis."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from taskpath.runtime.settings import SettingsError
from taskpath_services.cli.doctor.findings import Finding, clock, note, ok, wrong
from taskpath_services.storage.records.redis.connection import Address

CHECK: Final = "records"
OLDEST: Final = 6
SECONDS: Final = 4.0


async def redis(url: str) -> AsyncIterator[Finding]:
    """Checks that records are safe there: reached, new enough, nothing evicted, everything written down."""
    try:
        address = Address.parse(url)
    except SettingsError as error:
        yield wrong(CHECK, str(error))
        return
    client: Redis = Redis.from_url(
        address.url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, client_name="taskpath-doctor"
    )
    try:
        facts: dict[str, Any] = await client.info("everything")
        seconds, micros = await client.time()
    except AuthenticationError as error:
        yield wrong(CHECK, f"Redis at {address.shown} refuses the user or the password: {error}.")
        return
    except (RedisError, OSError) as error:
        yield wrong(CHECK, f"Redis at {address.shown} cannot be used: {_reason(error)}.")
        return
    else:
        for finding in _facts(address.shown, facts):
            yield finding
        if (skew := clock(CHECK, seconds * 1000 + micros // 1000, time.time_ns() // 1_000_000)) is not None:
            yield skew
        yield await _written(client)
        async for finding in _durable(client, facts):
            yield finding
    finally:
        await client.aclose()


def _facts(shown: str, facts: dict[str, Any]) -> list[Finding]:
    version = str(facts.get("redis_version", "0"))
    if int(version.partition(".")[0]) < OLDEST:
        return [wrong(CHECK, f"Redis at {shown} has version {version}; at least {OLDEST} is expected.")]
    found = [ok(CHECK, f"Redis {version} answers at {shown}.")]
    if facts.get("loading"):
        found.append(wrong(CHECK, "It still loads its data; wait until it has."))
    if facts.get("role") not in (None, "master"):
        found.append(
            wrong(CHECK, f"It is a {facts['role']}, which cannot be written to; its master is expected.")
        )
    if facts.get("cluster_enabled"):
        found.append(
            wrong(CHECK, "It is a cluster; one server (with replicas, if need be) is expected: records are "
                         "committed by scripts over several keys.")
        )  # fmt: skip
    if (used := facts.get("used_memory", 0)) and (most := facts.get("maxmemory", 0)) and used > 0.8 * most:
        found.append(
            note(
                CHECK, f"It uses {used / most:.0%} of its maxmemory; when that is full, nothing is committed."
            )
        )
    if facts.get("aof_last_write_status") not in (None, "ok") or facts.get("rdb_last_bgsave_status") not in (
        None,
        "ok",
    ):
        found.append(wrong(CHECK, "Its last write to the disk has failed; its log says why."))
    return found


async def _written(client: Redis) -> Finding:
    """Whether our scripts may run; this one changes nothing."""
    try:
        await client.eval("return redis.call('EXISTS', KEYS[1])", 1, "taskpath-doctor")
    except (RedisError, OSError) as error:
        return wrong(CHECK, f"It lets its user run no scripts, which is needed: {_reason(error)}.")
    return ok(CHECK, "Scripts may run there.")


async def _durable(client: Redis, facts: dict[str, Any]) -> AsyncIterator[Finding]:
    """What survives a crash, and whether anything is thrown away to save memory."""
    try:
        config: dict[str, str] = {}
        for name in ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy"):
            config.update({str(key): str(value) for key, value in (await client.config_get(name)).items()})
    except ResponseError:
        config = {"maxmemory-policy": str(facts.get("maxmemory_policy", ""))}
        yield note(
            CHECK,
            "Its configuration cannot be read; see that appendonly is yes and appendfsync always (or "
            "everysec).",
        )
    policy = config.get("maxmemory-policy", "")
    if policy and policy != "noeviction":
        limited = int(facts.get("maxmemory", 0) or 0) > 0
        message = (
            f"maxmemory-policy is {policy}, which throws records away when memory is short; expected is "
            "noeviction."
        )
        yield wrong(CHECK, message) if limited else note(CHECK, message)
    if "appendonly" not in config:
        return
    if config["appendonly"] != "yes":
        yield wrong(
            CHECK,
            "appendonly is no: when the server ends, what it has not saved by chance is lost. Expected is "
            "appendonly yes.",
        )
    elif config.get("appendfsync") == "always":
        yield ok(CHECK, "appendfsync is always: what was accepted survives a crash of its machine.")
    elif config.get("appendfsync") == "everysec":
        yield note(
            CHECK,
            "appendfsync is everysec: a crash of its machine may take the last second of what was accepted "
            "along; with always it takes nothing.",
        )
    else:
        yield wrong(
            CHECK,
            f"appendfsync is {config.get('appendfsync')}: a crash of its machine takes what the system had "
            "not written yet, up to half a minute. Expected is always or everysec.",
        )


def _reason(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split()).rstrip(".")
