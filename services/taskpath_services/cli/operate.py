"""The commands for operators: they reach the servers themselves. This module only parses."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from taskpath_services.cli import options
from taskpath_services.cli.options import HERE, WORK, Text, setting

PANEL: Final = "Operate"
EPILOG: Final = (
    "Settings are best given by the environment, as the services have them. "
    "Exit codes: 0 done, 1 a server is away, 2 a setting is wrong."
)
_ONE: Final = "Print one JSON document, for programs."

Data = Annotated[Text, setting(HERE, "DIR", "The folder of the embedded system.", ".taskpath")]
Records = Annotated[Text, setting(HERE, "URL", "Results and logs.", "SQLite in the folder")]
Index = Annotated[Text, setting(HERE, "URL", "The list of instances.", "SQLite in the folder")]
Partitions = Annotated[Text, setting(WORK, "N", "Mailboxes; fixed for a deployment.", "4")]
Json = Annotated[bool, typer.Option("--json", help=_ONE)]


def add_to(cli: typer.Typer) -> None:
    """Adds the commands."""
    cli.command(
        rich_help_panel=PANEL, epilog="Exit codes: 0 all is well, 1 something is wrong, 2 a setting is."
    )(doctor)
    for command in (migrate, reindex, recover):
        cli.command(rich_help_panel=PANEL, epilog=EPILOG)(command)


def doctor(
    app: Annotated[
        Text,
        typer.Argument(metavar="[APP]", help="A file such as app.py, or module:name.", show_default=False),
    ] = None,
    port: Annotated[Text, setting(HERE, "PORT", "Where the API is, or will be.", "8080")] = None,
    host: options.Host = None,
    data: Data = None,
    broker: Annotated[Text, setting(HERE, "URL", "How the services talk.", "memory://")] = None,
    records: Records = None,
    index: Index = None,
    partitions: Partitions = None,
    management: Annotated[
        Text,
        setting(HERE, "URL", "RabbitMQ's management API.", "port 15672 of the broker's host"),
    ] = None,
    json: Json = False,
) -> None:
    """Check settings, folder, servers, port and page, and say what is wrong; it changes nothing."""
    from taskpath_services.cli.doctor import command
    from taskpath_services.cli.session import carry_out

    flags: dict[str, Any] = {
        "port": port, "host": host, "data": data, "broker": broker, "records": records, "index": index,
        "partitions": partitions,
    }  # fmt: skip
    raise typer.Exit(carry_out(command.doctor(app, flags, json=json, management=management)))


def migrate(
    data: Data = None,
    records: Records = None,
    index: Index = None,
    partitions: Partitions = None,
    json: Json = False,
) -> None:
    """Make the tables, or bring them up to date; before the first start, and before each new version.

    It does no harm when it runs again, or several times at once, or while the services run.
    """
    from taskpath_services.cli import migrate as command

    _carry_out(command.migrate, json=json, data=data, records=records, index=index, partitions=partitions)


def reindex(
    everything: Annotated[
        bool,
        typer.Option("--all", help="Write every row anew, also those that are at the right revision."),
    ] = False,
    data: Data = None,
    records: Records = None,
    index: Index = None,
    json: Json = False,
) -> None:
    """Make the list of instances from the records again; the services may run."""
    from taskpath_services.cli import reindex as command

    def work(settings: Any, json: bool) -> Any:
        return command.reindex(settings, everything=everything, json=json)

    _carry_out(work, json=json, data=data, records=records, index=index)


def recover(
    broker: options.Broker = None,
    records: Records = None,
    index: Index = None,
    partitions: Partitions = None,
    json: Json = False,
) -> None:
    """After a server lost data: have the others make good what they can, and say what is left to do.

    The services should run. It can be run again, and while nothing was lost it changes nothing.
    """
    from taskpath_services.cli import recover as command

    _carry_out(command.recover, json=json, broker=broker, records=records, index=index, partitions=partitions)


def _carry_out(command: Any, *, json: bool, **flags: Any) -> None:
    from taskpath_services.cli.operating import carry_out

    raise typer.Exit(carry_out(lambda settings: command(settings, json=json), flags))
