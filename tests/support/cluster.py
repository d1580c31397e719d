"""The services as processes, two of each or as many as wanted, over the private servers.

    cluster = Cluster(keeper, app, settings_over(rabbitmq, redis, mariadb))
    cluster.start()
    async with Client(cluster.url) as client: ...
    cluster.scheduler[0].kill()

All methods block. In a coroutine, ``await asyncio.to_thread(cluster.scheduler[0].restart)``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from tests.support.servers import DynamoDB, Keeper, MariaDB, Program, RabbitMQ, Redis, StartFailed

ROLES: Final = ("storage", "scheduler", "gateway", "executor")
TWO_OF_EACH: Final = dict.fromkeys(ROLES, 2)


def settings_over(broker: RabbitMQ, records: Redis | DynamoDB, index: MariaDB) -> dict[str, str]:
    """Settings that name a fresh place on each of these servers."""
    return {
        "TASKPATH_BROKER": broker.new_vhost(),
        "TASKPATH_RECORDS": records.new_database() if isinstance(records, Redis) else records.new_table(),
        "TASKPATH_INDEX": index.new_database(),
    }


class ServiceProcess(Program):
    """One service: ``taskpath ROLE app.py``.

    Args:
        keeper: ends it when this run ends.
        role: which service.
        app: the author's file.
        settings: as environment variables; a port is chosen if none is given.
        name: of its log.
    """

    def __init__(
        self, keeper: Keeper, role: str, app: Path, settings: Mapping[str, str], name: str | None = None
    ) -> None:
        super().__init__(keeper, name or role)
        self.role = role
        self.port = int(settings.get("TASKPATH_PORT") or keeper.port())
        self._app = app.resolve()
        self._settings = {**settings, "TASKPATH_PORT": str(self.port)}

    @property
    def url(self) -> str:
        """Where it serves health and metrics; a gateway also the API and the page."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "taskpath_services.cli.main", self.role, str(self._app)]

    def environ(self) -> Mapping[str, str]:
        return environ_with(self._settings)

    def is_ready(self) -> bool:
        return bool(self.ask("/readyz"))

    def is_alive(self) -> bool:
        """Whether its event loop answers, ready or not."""
        return bool(self.ask("/healthz"))

    def ask(self, path: str) -> str:
        """What it answers at a path.

        Raises:
            OSError: it does not answer, or not with success (urllib.error.HTTPError).
        """
        with urllib.request.urlopen(self.url + path, timeout=5.0) as answer:
            return str(answer.read().decode())


class Cluster:
    """Some of each service.

    Args:
        keeper: ends them when this run ends.
        app: the author's file.
        settings: of all of them, as environment variables.
        counts: how many of each role.
        port: of the first gateway; None for a free one.
        firsts: further settings of the first of a role.
    """

    def __init__(
        self,
        keeper: Keeper,
        app: Path,
        settings: Mapping[str, str],
        counts: Mapping[str, int] = TWO_OF_EACH,
        port: int | None = None,
        firsts: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.settings = dict(settings)
        self._keeper = keeper
        self._app = app
        self._processes: dict[str, list[ServiceProcess]] = {role: [] for role in ROLES}
        for role in ROLES:
            for number in range(counts.get(role, 0)):
                further = dict((firsts or {}).get(role, {})) if number == 0 else {}
                if port is not None and role == "gateway" and number == 0:
                    further["TASKPATH_PORT"] = str(port)
                self._new(role, further)

    @property
    def gateway(self) -> Sequence[ServiceProcess]:
        """The gateways."""
        return self._processes["gateway"]

    @property
    def scheduler(self) -> Sequence[ServiceProcess]:
        """The schedulers."""
        return self._processes["scheduler"]

    @property
    def storage(self) -> Sequence[ServiceProcess]:
        """The storage processes."""
        return self._processes["storage"]

    @property
    def executor(self) -> Sequence[ServiceProcess]:
        """The executors."""
        return self._processes["executor"]

    @property
    def url(self) -> str:
        """The address of the first gateway."""
        return self.gateway[0].url

    def __iter__(self) -> Iterator[ServiceProcess]:
        for processes in self._processes.values():
            yield from processes

    def start(self) -> None:
        """Migrates the stores, starts every process, and waits until all are ready.

        Raises:
            StartFailed: one could not; the message has the end of its log.
        """
        self.migrate()
        for process in self:
            process.launch()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Waits until all are ready, and every gateway has heard of every executor.

        Raises:
            StartFailed: one is not in time.
        """
        for process in self:
            process.wait_ready()
        executors = sum(process.running for process in self.executor)
        for gateway in self.gateway:
            gateway.wait_until(partial(_has_heard_of, gateway, executors))

    def migrate(self) -> None:
        """Runs ``taskpath migrate``."""
        said = subprocess.run(
            [sys.executable, "-m", "taskpath_services.cli.main", "migrate"],
            env=environ_with(self.settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if said.returncode != 0:
            raise StartFailed(f"taskpath migrate ended with {said.returncode}.\n{said.stdout}{said.stderr}")

    def add(self, role: str, settings: Mapping[str, str] | None = None) -> ServiceProcess:
        """Starts one more of a role, and waits until it is ready."""
        process = self._new(role, settings)
        process.start()
        return process

    def stop(self) -> None:
        """Stops every process in order: what takes work first, what keeps it last."""
        for role in ("gateway", "executor", "scheduler", "storage"):
            for process in self._processes[role]:
                process.stop()

    def kill(self) -> None:
        """Kills every process."""
        for process in self:
            process.kill()

    def last_lines(self) -> str:
        """The end of what each of them said."""
        return "\n".join(process.last_lines() for process in self)

    def _new(self, role: str, settings: Mapping[str, str] | None = None) -> ServiceProcess:
        number = len(self._processes[role]) + 1
        process = ServiceProcess(
            self._keeper,
            role,
            self._app,
            {**self.settings, **(settings or {})},
            f"{role}-{number}",
        )
        self._processes[role].append(process)
        return process


def _has_heard_of(gateway: ServiceProcess, executors: int) -> bool:
    return len(json.loads(gateway.ask("/api/v1/executors"))["items"]) >= executors


def environ_with(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process with these settings, and with no others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TASKPATH_")}
    return {**inherited, **settings}
