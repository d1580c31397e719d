"""The manifests' own commands, variables and probes, as processes of this machine."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from taskpath.client import Client
from tests.support.kustomize import ROOT, Manifest, build, containers, environ, of_kind
from tests.support.servers.keeper import Keeper
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.program import Program
from tests.support.servers.rabbitmq import RabbitMQ
from tests.support.servers.redis import Redis

BIN: Final = Path(sys.executable).parent
ITEMS: Final = 300
APP: Final = """
import asyncio

from taskpath import App, Task

app = App()


async def square(number):
    await asyncio.sleep(0.05)
    return number * number


@app.workflow("sum")
def numbers(data):
    return [
        Task("list", lambda data: list(range(data["count"]))),
        Task("square", square, foreach=True, max_parallel=3),
        Task("total", sum, process=True),
    ]
"""

# Notes what a process opens to write: in a pod its files cannot be written, but for those in /tmp.
AUDIT: Final = """
import os, sys

log = os.open(os.environ["AUDIT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(event, arguments):
    writing = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writing and isinstance(arguments[0], str):
        os.write(log, f"{arguments[0]}\\n".encode())


sys.addaudithook(note)
"""


class Container(Program):
    """A container of the manifests: its command with its variables, in a folder that has the app.

    Args:
        keeper: ends it when this run ends.
        container: as the manifest has it.
        variables: what its pod gives it.
        grace: after how many seconds of a stop Kubernetes would kill it.
    """

    def __init__(
        self, keeper: Keeper, container: Manifest, variables: Mapping[str, str], grace: float
    ) -> None:
        super().__init__(keeper, container["name"], patience=grace)
        self.port: Final = keeper.port()
        self._container = container
        # Its own port may be taken here. Besides, it has what the manifest says and nothing else.
        self._variables = {**variables, "TASKPATH_PORT": str(self.port)}
        (self.folder / "app.py").write_text(APP)
        (self.folder / "audit").mkdir()
        (self.folder / "audit" / "sitecustomize.py").write_text(AUDIT)

    def command(self) -> Sequence[str]:
        # The image's entry point is `taskpath`.
        return [str(BIN / "taskpath"), *self._container["args"]]

    def environ(self) -> Mapping[str, str]:
        return {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",  # as the image has it
            "PYTHONPATH": str(self.folder / "audit"),
            "AUDIT": str(self.folder / "written"),
            **self._variables,
        }

    def is_ready(self) -> bool:
        probes = ("startupProbe", "livenessProbe", "readinessProbe")
        return all(self._passes(self._container[probe]) for probe in probes)

    def written(self) -> list[str]:
        """The files that it has opened to write, but for those that it may."""
        lines = (self.folder / "written").read_text().splitlines()
        return [line for line in lines if not line.startswith(("/tmp/", "/dev/"))]

    def _passes(self, probe: Mapping[str, Any]) -> bool:
        if "exec" in probe:
            tried = subprocess.run(
                probe["exec"]["command"],
                env=self.environ(),
                cwd=self.folder,
                capture_output=True,
                check=False,
            )
            return tried.returncode == 0
        url = f"http://127.0.0.1:{self.port}{probe['httpGet']['path']}"
        with urllib.request.urlopen(url, timeout=probe.get("timeoutSeconds", 1)) as answer:
            status: int = answer.status
            return 200 <= status < 400


class Pods:
    """The Deployments of the base, of each one pod.

    Args:
        keeper: ends them when this run ends.
        secret: what is in the Secret.
    """

    def __init__(self, keeper: Keeper, secret: Mapping[str, str]) -> None:
        self._keeper = keeper
        self._secret = secret
        self._manifests = build(ROOT / "k8s/base")
        self._deployments = of_kind(self._manifests, "Deployment")
        self.running: dict[str, Container] = {}

    def launch(self, service: str) -> Container:
        """Starts a pod, after what is to run before it, and does not wait until it is ready."""
        deployment = self._deployments[f"taskpath-{service}"]
        spec = deployment["spec"]["template"]["spec"]
        for container in containers(deployment):
            variables = environ(container, self._manifests, self._secret)
            process = Container(self._keeper, container, variables, spec["terminationGracePeriodSeconds"])
            process.launch()
            if container not in spec["containers"]:
                assert process.wait_end(30) == 0, process.last_lines()
        return process

    def start(self) -> None:
        """Starts one pod of each, all at once: Kubernetes knows no order."""
        for deployment in self._deployments.values():
            service = deployment["metadata"]["labels"]["app.kubernetes.io/component"]
            self.running[service] = self.launch(service)
        for process in self.running.values():
            process.wait_ready()

    def roll(self, service: str) -> None:
        """As the Deployments say: one comes and is ready, then one goes."""
        old, self.running[service] = self.running[service], self.launch(service)
        self.running[service].wait_ready()
        self.stop(old)

    @staticmethod
    def stop(process: Container) -> None:
        """Ends a pod: it has to exit with 0 before Kubernetes would kill it."""
        assert process.stop() == 0, process.last_lines()
        assert process.written() == []


@pytest.mark.timeout(180)
async def test_the_manifests_run(keeper: Keeper, rabbitmq: RabbitMQ, redis: Redis, mariadb: MariaDB) -> None:
    secret = {
        "TASKPATH_BROKER": rabbitmq.new_vhost(),
        "TASKPATH_RECORDS": redis.new_database(),
        "TASKPATH_INDEX": mariadb.new_database(),
    }
    pods = Pods(keeper, secret)
    await asyncio.to_thread(pods.start)
    async with Client(f"http://127.0.0.1:{pods.running['gateway'].port}") as client:
        created = await client.create("sum", {"count": ITEMS}, execute=True)
        # A new version while it runs.
        for service in ("executor", "scheduler", "storage"):
            await asyncio.to_thread(pods.roll, service)
        done = await client.wait(created.id, timeout=60)
        assert done.status == "done"
        assert await client.result(created.id, "#.total") == sum(n * n for n in range(ITEMS))
        assert {one.attempt for one in done.statuses.values() if one.attempt} == {1}
    for service in ("gateway", "executor", "scheduler", "storage"):
        await asyncio.to_thread(pods.stop, pods.running[service])
