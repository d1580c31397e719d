"""The commands for operators, on real servers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from taskpath.runtime.buses import bus_of
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_proto import topology
from taskpath_proto.events import InstanceChanged, WantSnapshot
from taskpath_proto.queries import ListInstances
from taskpath_proto.records import InstanceChange, InstanceStatus
from taskpath_services.cli.doctor.command import doctor
from taskpath_services.cli.migrate import migrate
from taskpath_services.cli.operating import carry_out
from taskpath_services.cli.recover import recover
from taskpath_services.cli.reindex import reindex
from taskpath_services.cli.serving import configure_logs
from taskpath_services.storage.index.contract import IndexChange
from taskpath_services.storage.index.mysql.address import Address
from taskpath_services.storage.index.mysql.index import MysqlIndex
from taskpath_services.storage.records.sqlite import SqliteRecords
from tests.support.servers import DynamoDB, MariaDB, RabbitMQ, Redis

NOW = 1_700_000_000_000

Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _log_as_the_command_does() -> None:
    configure_logs(logging.ERROR)


def said(capsys: Said) -> Any:
    return json.loads(capsys.readouterr().out)


class Diagnosis:
    """What the doctor said, by check."""

    def __init__(self, code: int, report: Mapping[str, Any]) -> None:
        self.code = code
        self.text = json.dumps(report)
        self.of: dict[str, list[str]] = {}
        for finding in report["findings"]:
            self.of.setdefault(f"{finding['verdict']} {finding['check']}", []).append(finding["message"])


async def diagnose(capsys: Said, management: str | None = None, **flags: Any) -> Diagnosis:
    flags = {"port": "0", **flags}
    code = await doctor(None, flags, json=True, management=management, environ={})
    return Diagnosis(code, said(capsys))


@pytest.fixture
def settings(tmp_path: Path, mariadb: MariaDB) -> Settings:
    """Records in a file, the index on a server."""
    return Settings(
        records=f"sqlite:///{tmp_path}/records.sqlite", index=mariadb.new_database(), data=tmp_path
    )


async def test_migrate_prepares_both_stores_and_can_be_repeated(
    redis: Redis, mariadb: MariaDB, capsys: Said
) -> None:
    settings = Settings(records=redis.new_database(), index=mariadb.new_database(), partitions=6)
    assert await asyncio.gather(*(migrate(settings, json=True) for _ in range(3))) == [0, 0, 0]
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(report["index"] for report in reports) == [[], [], ["0001 instances", "0002 durations"]]
    assert await migrate(settings, json=False) == 0
    assert capsys.readouterr().out == "records: up to date\nindex: up to date\npartitions: 6\n"
    other = Settings(records=settings.records, index=settings.index, partitions=8)
    with pytest.raises(SettingsError, match="TASKPATH_PARTITIONS is 8; expected is 6"):
        await migrate(other, json=False)


async def test_migrate_makes_the_table_of_dynamodb(
    dynamodb: DynamoDB, mariadb: MariaDB, capsys: Said
) -> None:
    settings = Settings(records=dynamodb.new_table(), index=mariadb.new_database())
    found = await diagnose(capsys, records=settings.records, index=settings.index)
    assert "no such table" in found.of["wrong records"][0]
    assert await migrate(settings, json=True) == 0
    assert said(capsys)["partitions"] == 4
    found = await diagnose(capsys, records=settings.records, index=settings.index)
    assert "wrong records" not in found.of
    assert found.of["ok partitions"] == ["There are 4, as is set."]


def test_what_goes_wrong_is_an_exit_code_and_a_sentence(
    mariadb: MariaDB, unused_tcp_port: int, tmp_path: Path, capsys: Said
) -> None:
    def tried(**flags: Any) -> tuple[int, str]:
        code = carry_out(lambda settings: migrate(settings, json=False), {"data": tmp_path, **flags})
        return code, capsys.readouterr().err

    away = f"mysql://u:S3cret@127.0.0.1:{unused_tcp_port}/taskpath"
    refused = mariadb.url.replace(":taskpath@", ":S3cret@")
    for index, code, says in (
        (away, 1, f"The index (taskpath at 127.0.0.1:{unused_tcp_port}) cannot be used"),
        (refused, 2, "Access denied"),
        ("mysql://u:S3cret@host", 2, "names no database"),
    ):
        found = tried(index=index)
        assert found[0] == code, found
        assert says in found[1]
        assert "S3cret" not in found[1]
        assert "Traceback" not in found[1]


def change(id: str, revision: int, **fields: Any) -> InstanceChanged:
    instance = InstanceChange(**fields)
    return InstanceChanged(id, 0, 1, revision, revision - 1, instance=instance)


async def fill(settings: Settings) -> MysqlIndex:
    """Three instances in the records, of which the index has one right and one wrong, and one too many."""
    assert settings.records is not None
    assert settings.index is not None
    records = SqliteRecords(Path(settings.records.removeprefix("sqlite:///")))
    await records.open()
    for id, status in (("a", InstanceStatus.WORKING), ("b", InstanceStatus.DONE), ("c", InstanceStatus.DONE)):
        event = change(id, 1, workflow="w", status=status, created_at=NOW, updated_at=NOW)
        await records.commit([event], NOW)
    await records.close()
    index = MysqlIndex(Address.of(settings.index))
    await index.migrate()
    await index.open()
    for id, revision in (("b", 1), ("c", 5), ("x", 1)):
        wrong = InstanceChange(workflow="wrong", status=InstanceStatus.DONE, created_at=NOW)
        await index.apply([IndexChange(id, revision, wrong, new=True)])
    return index


async def workflows(index: MysqlIndex) -> dict[str, str]:
    return {item.id: item.workflow for item in (await index.page(ListInstances())).items}


async def test_reindex_makes_the_list_from_the_records(settings: Settings, capsys: Said) -> None:
    index = await fill(settings)
    try:
        assert await reindex(settings, everything=False, json=True) == 0
        assert said(capsys) == {"instances": 4, "missing": 1, "different": 1, "extra": 1}
        # What is wrong at the right revision is seen by nobody.
        assert await workflows(index) == {"a": "w", "b": "wrong", "c": "w"}
        assert await reindex(settings, everything=True, json=False) == 0
        assert capsys.readouterr().out == "3 instances: the index was right. Every row was written anew.\n"
        assert await workflows(index) == {"a": "w", "b": "w", "c": "w"}
    finally:
        await index.close()


async def test_reindex_in_the_wrong_place_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="There are no records in"):
        await reindex(Settings(data=tmp_path / "data"), everything=False, json=True)
    assert not (tmp_path / "data").exists()


async def test_recover_asks_the_owners_of_what_may_be_lost(
    settings: Settings, rabbitmq: RabbitMQ, capsys: Said
) -> None:
    index = await fill(settings)
    await index.close()
    broker = Settings(
        broker=rabbitmq.new_vhost(), records=settings.records, index=settings.index, partitions=2
    )
    assert await recover(broker, json=True) == 0
    report = said(capsys)
    assert (report["unfinished"], report["ahead"], report["asked"]) == (1, 2, 3)
    assert set(report["waiting"]) == {f"{name}.{n}" for name in ("scheduler", "storage") for n in (0, 1)}
    bus = bus_of(broker)
    await bus.start()
    asked: set[str] = set()
    for partition in range(2):
        inbox = await bus.consume(topology.scheduler_mailbox(partition), exclusive=True)
        wanted = {id for id in "acx" if topology.partition_of(id, 2) == partition}
        while not wanted <= asked:
            for message in (await inbox.take()).messages:
                assert isinstance(message, WantSnapshot)
                assert topology.partition_of(message.id, 2) == partition
                asked.add(message.id)
    await bus.stop()
    assert asked == {"a", "c", "x"}
    # When nothing is lost, there is nothing but to look at what is unfinished.
    assert await recover(broker, json=False) == 0
    assert "3 instances: the index was right." in capsys.readouterr().out


async def test_recover_is_not_for_one_process(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="recovers by itself when it starts"):
        await recover(settings, json=False)


class Deployment:
    """Servers with everything as it should be."""

    def __init__(self, rabbitmq: RabbitMQ, redis: Redis, mariadb: MariaDB) -> None:
        self.rabbitmq = rabbitmq
        self.redis = redis
        self.mariadb = mariadb
        self.flags: dict[str, Any] = {
            "broker": rabbitmq.new_vhost(),
            "records": redis.new_database(),
            "index": mariadb.new_database(),
        }

    @property
    def vhost(self) -> str:
        return urlsplit(str(self.flags["broker"])).path[1:]


@pytest.fixture
async def deployment(rabbitmq: RabbitMQ, redis: Redis, mariadb: MariaDB, capsys: Said) -> Deployment:
    made = Deployment(rabbitmq, redis, mariadb)
    await migrate(Settings.read({}, **made.flags), json=False)
    capsys.readouterr()
    return made


async def test_doctor_finds_servers_well(deployment: Deployment, capsys: Said) -> None:
    management = deployment.rabbitmq.management_url
    bus = bus_of(Settings.read({}, **deployment.flags))
    found = await diagnose(capsys, management, **deployment.flags)
    assert found.code == 0, found.text
    assert found.of["note broker"] == [
        "8 mailboxes are not there yet; the services make them when they start."
    ]
    assert found.of["ok partitions"] == ["There are 4, as is set."]
    assert "appendfsync is always" in found.text
    await bus.start()
    found = await diagnose(capsys, management, **deployment.flags)
    assert found.code == 0, found.text
    assert "Nobody reads scheduler.0, storage.0" in found.of["note broker"][0]
    assert "No policy drops messages of our queues." in found.of["ok broker"]
    inboxes = [
        await bus.consume(mailbox(partition), exclusive=True)
        for partition in range(4)
        for mailbox in (topology.scheduler_mailbox, topology.storage_mailbox)
    ]
    found = await diagnose(capsys, management, **deployment.flags)
    assert "note broker" not in found.of, found.text
    for inbox in inboxes:
        await inbox.close()
    await bus.stop()


async def test_doctor_finds_what_drops_messages(deployment: Deployment, capsys: Said) -> None:
    rabbitmq = deployment.rabbitmq
    rabbitmq.ask(
        "PUT",
        f"/api/policies/{deployment.vhost}/limits",
        {
            "pattern": "^executor",
            "definition": {"delivery-limit": 5, "message-ttl": 1000},
            "apply-to": "queues",
        },
    )
    rabbitmq.ask(
        "PUT",
        f"/api/policies/{deployment.vhost}/harmless",
        {"pattern": "^mine", "definition": {"max-length": 5}, "apply-to": "queues"},
    )
    rabbitmq.ask(
        "PUT",
        f"/api/queues/{deployment.vhost}/storage.0",
        {"durable": True, "arguments": {"x-expires": 60_000}},
    )
    found = await diagnose(capsys, rabbitmq.management_url, **deployment.flags)
    assert found.code == 1
    wrong = "\n".join(found.of["wrong broker"])
    assert "The policy 'limits' fits our queue executor.default: delivery-limit 5" in wrong
    assert "message-ttl 1000" in wrong
    assert "max-length" not in wrong
    assert "storage.0 is a classic queue" in wrong
    assert "expires 60000" in wrong


async def test_doctor_says_that_it_cannot_see_policies(
    deployment: Deployment, capsys: Said, unused_tcp_port: int
) -> None:
    found = await diagnose(capsys, f"http://127.0.0.1:{unused_tcp_port}", **deployment.flags)
    assert found.code == 0
    assert "rabbitmqctl list_policies" in "\n".join(found.of["note broker"])


async def test_doctor_finds_what_a_user_may_not(deployment: Deployment, capsys: Said) -> None:
    rabbitmq = deployment.rabbitmq
    rabbitmq.ask("PUT", "/api/users/reader", {"password": "S3cret", "tags": ""})
    rabbitmq.ask(
        "PUT", f"/api/permissions/{deployment.vhost}/reader", {"configure": "", "write": ".*", "read": ".*"}
    )
    deployment.mariadb.execute("create user if not exists reader@127.0.0.1 identified by 'S3cret'")
    broker = str(deployment.flags["broker"]).replace("guest:guest@", "reader:S3cret@")
    found = await diagnose(capsys, rabbitmq.management_url, **{**deployment.flags, "broker": broker})
    assert "Its user may not make queues" in found.of["wrong broker"][0]
    assert "refuses the broker's user" in "\n".join(found.of["note broker"])
    assert "S3cret" not in found.text


async def test_doctor_finds_what_is_set_wrong(deployment: Deployment, capsys: Said) -> None:
    flags = deployment.flags
    deployment.mariadb.execute(
        f"alter table {urlsplit(flags['index']).path[1:]}.taskpath_instances drop index by_realm_name"
    )
    ask = redis_commands(deployment.redis)
    await ask(
        "CONFIG SET maxmemory-policy allkeys-lru", "CONFIG SET maxmemory 100mb", "CONFIG SET appendfsync no"
    )
    try:
        found = await diagnose(capsys, **{**flags, "partitions": "5"})
    finally:
        await ask(
            "CONFIG SET maxmemory-policy noeviction",
            "CONFIG SET maxmemory 0",
            "CONFIG SET appendfsync always",
        )
    assert found.code == 1
    assert "lacks the keys by_realm_name" in found.of["wrong index"][0]
    assert "allkeys-lru, which throws records away" in found.of["wrong records"][0]
    assert "appendfsync is no" in found.of["wrong records"][1]
    assert found.of["wrong partitions"] == [
        "TASKPATH_PARTITIONS is 5; expected is 4, with which these records were begun."
    ]


async def test_doctor_finds_servers_that_are_away_or_refuse(
    deployment: Deployment, capsys: Said, unused_tcp_port: int
) -> None:
    port = unused_tcp_port
    found = await diagnose(
        capsys,
        broker=f"amqp://u:S3cret@127.0.0.1:{port}/",
        records=f"redis://:S3cret@127.0.0.1:{port}/0",
        index=f"mysql://u:S3cret@127.0.0.1:{port}/taskpath",
    )
    assert found.code == 1
    assert {"wrong broker", "wrong records", "wrong index"} <= set(found.of)
    assert "S3cret" not in found.text
    assert "partitions" not in str(list(found.of))
    flags = deployment.flags
    found = await diagnose(
        capsys,
        broker=str(flags["broker"]).replace("guest:guest@", "guest:S3cret@"),
        index=str(flags["index"]).replace(":taskpath@", ":S3cret@"),
    )
    assert "refuses the user or the password" in found.of["wrong broker"][0]
    assert "Access denied" in found.of["wrong index"][0]
    assert "only storage needs it" in found.of["note records"][0]
    assert "S3cret" not in found.text
    found = await diagnose(capsys, broker=str(flags["broker"]) + "-nowhere")
    assert "there is no such virtual host" in found.of["wrong broker"][0]


async def test_doctor_does_not_wait_for_a_server_that_says_nothing(
    capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    for constant in ("broker.OPEN_SECONDS", "redis.SECONDS", "mysql.SECONDS"):
        monkeypatch.setattr(f"taskpath_services.cli.doctor.{constant}", 0.3)
    held: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with silent:
        async with asyncio.timeout(30):
            found = await diagnose(
                capsys,
                broker=f"amqp://u:S3cret@127.0.0.1:{port}/",
                records=f"redis://:S3cret@127.0.0.1:{port}/0",
                index=f"mysql://u:S3cret@127.0.0.1:{port}/taskpath",
            )
        for writer in held:
            writer.close()
    assert {"wrong broker", "wrong records", "wrong index"} <= set(found.of), found.text
    assert "S3cret" not in found.text


def redis_commands(redis: Redis) -> Any:
    from redis.asyncio import Redis as Client

    async def ask(*commands: str) -> None:
        client: Any = Client.from_url(redis.url)
        for command in commands:
            await client.execute_command(*command.split())
        await client.aclose()

    return ask
