"""A private RabbitMQ, with its own Erlang port mapper."""

from __future__ import annotations

import base64
import itertools
import json
import os
import socket
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from tests.support.servers.keeper import Keeper
from tests.support.servers.program import Program, find_program

USER: Final = "guest"
PASSWORD: Final = "guest"


class RabbitMQ(Program):
    """RabbitMQ on free ports, with the management API.

    Args:
        keeper: ends it when this run ends.
        consumer_timeout: after how many seconds a delivery that is not acknowledged closes its channel;
            None for RabbitMQ's own half an hour.
    """

    def __init__(self, keeper: Keeper, *, consumer_timeout: float | None = None) -> None:
        super().__init__(keeper, "rabbitmq")
        self.port: Final = keeper.port()
        self.management_port: Final = keeper.port()
        self._distribution_port = keeper.port()
        self._mapper = PortMapper(keeper)
        self._own_log = self.log.with_suffix(".own.log")
        self._consumer_timeout = consumer_timeout
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """As in TASKPATH_BROKER: the virtual host ``/``."""
        return self._url("/")

    @property
    def management_url(self) -> str:
        """The root of the management API and page."""
        return f"http://127.0.0.1:{self.management_port}"

    def new_vhost(self) -> str:
        """Creates an empty virtual host.

        Returns:
            Its URL.
        """
        name = f"v{next(self._numbers)}"
        self.ask("PUT", f"/api/vhosts/{name}")
        self.ask("PUT", f"/api/permissions/{name}/{USER}", {"configure": ".*", "write": ".*", "read": ".*"})
        return self._url(name)

    def remove_vhost(self, url: str) -> None:
        """Removes a virtual host with all its queues, which would slow down whoever comes after.

        Args:
            url: as :meth:`new_vhost` gave it.
        """
        self.ask("DELETE", f"/api/vhosts/{url.rpartition('/')[2]}")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Calls the management API.

        Raises:
            OSError: it is away, or refuses (urllib.error.HTTPError).
        """
        request = urllib.request.Request(
            self.management_url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode(),
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=10.0) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def launch(self) -> None:
        if not self._mapper.running:
            self._mapper.start()
        super().launch()

    def stop(self) -> int | None:
        code = super().stop()
        self._mapper.stop()
        return code

    def command(self) -> Sequence[str]:
        # Debian's wrapper in the search path changes the user and the folder; this is what it calls.
        program = find_program("rabbitmq-server", "rabbitmq-server", "/usr/lib/rabbitmq/bin/rabbitmq-server")
        settings = {
            "listeners.tcp.local": f"127.0.0.1:{self.port}",
            "management.tcp.ip": "127.0.0.1",
            "management.tcp.port": self.management_port,
        }
        if self._consumer_timeout is not None:
            settings["consumer_timeout"] = round(self._consumer_timeout * 1000)
        self._write("rabbitmq.conf", "".join(f"{name} = {value}\n" for name, value in settings.items()))
        self._write("enabled_plugins", "[rabbitmq_management].\n")
        return [program]

    def environ(self) -> Mapping[str, str]:
        # Nothing from the machine's own RabbitMQ, neither its variables nor its files.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RABBITMQ_")}
        return {
            **inherited,
            **self._mapper.variables,
            "HOME": str(self.folder),  # where the Erlang cookie is
            "RABBITMQ_NODENAME": f"taskpath{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": " ".join(self._arguments()),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder / "generated"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOGS": str(self._own_log),
            # Its script then becomes the server, so that our process is the server itself.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _arguments(self) -> Iterator[str]:
        yield "-kernel inet_dist_use_interface {127,0,0,1}"
        if self._consumer_timeout is not None:
            # It looks for deliveries that are too old once a minute by itself.
            yield "-rabbit channel_tick_interval 200"

    def is_ready(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), 1.0) as connection:
            connection.sendall(b"AMQP\0\0\x09\x01")
            if not connection.recv(1):
                return False
        return self.ask("GET", "/api/overview") is not None

    def logs(self) -> Sequence[Path]:
        return [self.log, self._own_log]

    def _write(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content)

    def _url(self, vhost: str) -> str:
        return f"amqp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{quote(vhost, safe='')}"


class PortMapper(Program):
    """Erlang's epmd. A node would start one as a daemon that outlives it, so we start it before."""

    def __init__(self, keeper: Keeper) -> None:
        super().__init__(keeper, "epmd")
        self._port = keeper.port()

    @property
    def variables(self) -> Mapping[str, str]:
        """What makes an Erlang node use this one."""
        return {"ERL_EPMD_PORT": str(self._port), "ERL_EPMD_ADDRESS": "127.0.0.1"}

    def command(self) -> Sequence[str]:
        return [find_program("epmd", "rabbitmq-server"), "-address", "127.0.0.1", "-port", str(self._port)]

    def is_ready(self) -> bool:
        with socket.create_connection(("127.0.0.1", self._port), 1.0):
            return True
