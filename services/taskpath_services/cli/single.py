"""The commands that serve one service in a process of its own. This module only parses."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from taskpath_services.cli import options
from taskpath_services.cli.options import HERE, Text, setting

EPILOG: Final = (
    "Every option is a setting too: --max-value is TASKPATH_MAX_VALUE. Health and metrics are at /healthz, "
    "/readyz and /metrics."
)
_HEALTH: Final = "Health and metrics; 0 takes a free port."


def add_to(cli: typer.Typer) -> None:
    """Adds the four commands."""
    for command in (gateway, scheduler, storage, executor):
        cli.command(rich_help_panel="Serve", epilog=EPILOG)(command)


def gateway(
    app: options.AnyApp = None,
    port: Annotated[Text, setting(HERE, "PORT", "The API and the web page.", "8080")] = None,
    host: options.Host = None,
    broker: options.Broker = None,
    partitions: options.Partitions = None,
    grace: options.DrainTime = None,
    max_body: options.MaxBody = None,
    max_value: options.MaxValue = None,
    auth_secret: options.AuthSecret = None,
    allowed_origins: options.AllowedOrigins = None,
) -> None:
    """Serve REST, WebSocket and the web page; one of several alike."""
    _serve(
        "gateway", app, port=port, host=host, broker=broker, partitions=partitions, grace=grace,
        max_body=max_body, max_value=max_value, auth_secret=auth_secret, allowed_origins=allowed_origins,
    )  # fmt: skip


def scheduler(
    app: options.AnyApp = None,
    port: Annotated[Text, setting(HERE, "PORT", _HEALTH, "8081")] = None,
    host: options.Host = None,
    broker: options.Broker = None,
    partitions: options.Partitions = None,
    grace: options.DrainTime = None,
    lease: options.Lease = None,
) -> None:
    """Decide what runs when; schedulers share the instances."""
    _serve(
        "scheduler", app, port=port, host=host, broker=broker, partitions=partitions, grace=grace, lease=lease
    )


def storage(
    app: options.AnyApp = None,
    port: Annotated[Text, setting(HERE, "PORT", _HEALTH, "8082")] = None,
    host: options.Host = None,
    broker: options.Broker = None,
    records: Annotated[
        Text, setting(HERE, "URL", "Results and logs: redis://… or dynamodb://….", "none, so give it")
    ] = None,
    index: Annotated[Text, setting(HERE, "URL", "Lists: mysql://….", "none, so give it")] = None,
    partitions: options.Partitions = None,
    grace: options.DrainTime = None,
    max_value: options.MaxValue = None,
) -> None:
    """Keep records and the index; the only one with their passwords."""
    _serve(
        "storage", app, port=port, host=host, broker=broker, records=records, index=index,
        partitions=partitions, grace=grace, max_value=max_value,
    )  # fmt: skip


def executor(
    app: options.AppArgument,
    port: Annotated[Text, setting(HERE, "PORT", _HEALTH, "8083")] = None,
    host: options.Host = None,
    broker: options.Broker = None,
    queues: options.Queues = None,
    concurrency: options.Concurrency = None,
    threads: options.Threads = None,
    processes: options.Processes = None,
    partitions: options.Partitions = None,
    grace: options.Grace = None,
    lease: options.Lease = None,
    max_value: options.MaxValue = None,
) -> None:
    """Run the tasks of an app; as many as there is work for."""
    _serve(
        "executor", app, port=port, host=host, broker=broker, queues=queues, concurrency=concurrency,
        threads=threads, processes=processes, partitions=partitions, grace=grace, lease=lease,
        max_value=max_value,
    )  # fmt: skip


def _serve(role: str, app: str | None, **flags: Any) -> None:
    from taskpath_services.cli.service import serve

    raise typer.Exit(serve(role, app, flags))
