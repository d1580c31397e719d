"""The command `taskpath`: what can be said, and what each command is for.

This module only parses. What a command needs is imported when it runs, so that the command starts quickly.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from taskpath_services.cli import operate, options, single
from taskpath_services.cli.options import HERE, WORK, Text, setting

EXIT_CODES: Final = (
    "[dim]Exit codes: 0 done, 1 the workflow failed or was cancelled, "
    "2 the command could not be carried out.[/dim]"
)

cli = typer.Typer(
    name="taskpath",
    help="Run background workflows and watch their progress live.",
    epilog=(
        "Begin with [bold]taskpath up app.py[/bold], then [bold]taskpath run WORKFLOW[/bold] in another "
        f"terminal.\n\n{EXIT_CODES}"
    ),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_GATEWAY: Final = "The gateway"

Url = Annotated[
    Text,
    typer.Option(
        "--url", envvar="TASKPATH_URL", help="Its address. [dim]Default: http://127.0.0.1:8080.[/dim]",
        metavar="URL", show_default=False, rich_help_panel=_GATEWAY,
    ),
]  # fmt: skip
Token = Annotated[
    Text,
    typer.Option(
        "--token", envvar="TASKPATH_TOKEN", help="The token it wants, if it wants one.", metavar="TOKEN",
        rich_help_panel=_GATEWAY,
    ),
]  # fmt: skip
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]
JsonLines = Annotated[
    bool,
    typer.Option("--json", help="Print each packet as a line of JSON, and the instance as the last line."),
]
Id = Annotated[str, typer.Argument(metavar="ID", help="The instance.")]
MaybePath = Annotated[
    Text, typer.Argument(metavar="[PATH]", help="A task, such as '#.resize\\[17]'.", show_default=False)
]
Pattern = Annotated[
    Text,
    typer.Argument(
        metavar="[PATH]",
        help="A task or a pattern, such as '#.resize\\[*]'. [dim]Default: the whole instance.[/dim]",
        show_default=False,
    ),
]
Argument = Annotated[
    Text,
    typer.Option(metavar="JSON", help="What the first task receives, in place of what it would get."),
]


class Mode(StrEnum):
    all = "all"
    stale = "stale"
    failed = "failed"


class Upstream(StrEnum):
    require = "require"
    run = "run"
    ignore = "ignore"


class Status(StrEnum):
    inactive = "inactive"
    working = "working"
    done = "done"
    failed = "failed"
    cancelled = "cancelled"


@cli.command(
    rich_help_panel="Serve", epilog="Every option is a setting too: --max-body is TASKPATH_MAX_BODY."
)
def up(
    app: options.AppArgument,
    port: Annotated[
        Text, setting(HERE, "PORT", "The API and the web page; 0 takes a free port.", "8080")
    ] = None,
    host: options.Host = None,
    data: Annotated[Text, setting(HERE, "DIR", "The folder that keeps everything.", ".taskpath")] = None,
    broker: Annotated[Text, setting(HERE, "URL", "How the services talk.", "memory://")] = None,
    records: Annotated[Text, setting(HERE, "URL", "Results and logs.", "SQLite in the folder")] = None,
    index: Annotated[Text, setting(HERE, "URL", "The list of instances.", "SQLite in the folder")] = None,
    concurrency: options.Concurrency = None,
    threads: options.Threads = None,
    processes: options.Processes = None,
    queues: options.Queues = None,
    partitions: Annotated[Text, setting(WORK, "N", "Mailboxes; fixed for a data folder.", "4")] = None,
    grace: options.Grace = None,
    lease: options.Lease = None,
    max_body: options.MaxBody = None,
    max_value: options.MaxValue = None,
    auth_secret: options.AuthSecret = None,
    allowed_origins: options.AllowedOrigins = None,
) -> None:
    """Serve an app: [bold]everything in one process[/bold], without any server to install."""
    from taskpath_services.cli.up import serve

    flags: dict[str, Any] = {
        "port": port, "host": host, "data": data, "broker": broker, "records": records, "index": index,
        "concurrency": concurrency, "threads": threads, "processes": processes, "queues": queues,
        "partitions": partitions, "grace": grace, "lease": lease, "max_body": max_body,
        "max_value": max_value, "auth_secret": auth_secret, "allowed_origins": allowed_origins,
    }  # fmt: skip
    raise typer.Exit(serve(app, flags))


single.add_to(cli)
operate.add_to(cli)


@cli.command(rich_help_panel="Run and watch", epilog=EXIT_CODES)
def run(
    workflow: Annotated[
        str, typer.Argument(metavar="WORKFLOW", help="The name that it is registered under.")
    ],
    data: Annotated[
        Text,
        typer.Option(
            metavar="JSON", help="What the workflow is about; @FILE reads a file, - standard input."
        ),
    ] = None,
    name: Annotated[Text, typer.Option(metavar="NAME", help="A name for people.")] = None,
    realm: Annotated[Text, typer.Option(metavar="REALM", help="The tenant or group.")] = None,
    argument: Argument = None,
    logs: Annotated[bool, typer.Option("--logs", help="Show what the tasks log, too.")] = False,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Start it and print its id, no more.")
    ] = False,
    json: JsonLines = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Create an instance, execute it, and watch it with live bars.

    Ctrl-C ends the watching, never the workflow.
    """
    from taskpath_services.cli import run as command

    _carry_out(
        command.run(
            _access(url, token), workflow, data=data, name=name, realm=realm, argument=argument, logs=logs,
            detach=detach, json=json,
        )
    )  # fmt: skip


@cli.command(rich_help_panel="Run and watch", epilog=EXIT_CODES)
def watch(
    id: Id,
    path: Pattern = None,
    logs: Annotated[bool, typer.Option("--logs", help="Show what the tasks log, too.")] = False,
    json: JsonLines = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Watch an instance until it has ended."""
    from taskpath_services.cli import run as command

    _carry_out(command.watch(_access(url, token), id, path, logs=logs, json=json))


@cli.command(rich_help_panel="Run and watch", epilog=EXIT_CODES)
def rerun(
    id: Id,
    path: Pattern = None,
    mode: Annotated[
        Mode,
        typer.Option(help="[bold]all[/bold] of it, what is not done or [bold]stale[/bold], or what "
                          "[bold]failed[/bold] and what that held up."),
    ] = Mode.all,
    upstream: Annotated[
        Upstream,
        typer.Option(help="If tasks before it are not fresh: refuse ([bold]require[/bold]), "
                          "[bold]run[/bold] them first, or [bold]ignore[/bold] it."),
    ] = Upstream.require,
    argument: Argument = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Watch it until it has ended.")] = False,
    json: Json = False,
    url: Url = None,
    token: Token = None,
) -> None:  # fmt: skip
    """Execute an instance again: all of it, or a part."""
    from taskpath_services.cli import run as command

    _carry_out(
        command.rerun(
            _access(url, token), id, path, mode=mode.value, upstream=upstream.value, argument=argument,
            watch=watch, json=json,
        )
    )  # fmt: skip


@cli.command(rich_help_panel="Run and watch")
def cancel(id: Id, path: Pattern = None, json: Json = False, url: Url = None, token: Token = None) -> None:
    """Cancel what runs; what does not run stays as it is."""
    from taskpath_services.cli import change as command

    _carry_out(command.cancel(_access(url, token), id, path, json=json))


@cli.command(rich_help_panel="Look")
def ls(
    realm: Annotated[Text, typer.Option(metavar="REALM", help="Only those of this realm.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only those of this status.")] = None,
    workflow: Annotated[Text, typer.Option(metavar="NAME", help="Only those of this workflow.")] = None,
    name: Annotated[Text, typer.Option(metavar="PREFIX", help="Only those whose name begins so.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 20,
    cursor: Annotated[Text, typer.Option(metavar="CURSOR", help="From the page before.")] = None,
    json: Json = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """List instances, the newest first."""
    from taskpath_services.cli import look as command

    _carry_out(
        command.ls(
            _access(url, token), realm=realm, status=status.value if status else None, workflow=workflow,
            name=name, limit=limit, cursor=cursor, json=json,
        )
    )  # fmt: skip


@cli.command(rich_help_panel="Look")
def show(id: Id, path: MaybePath = None, json: Json = False, url: Url = None, token: Token = None) -> None:
    """Show an instance and its tree, or one task with its result."""
    from taskpath_services.cli import look as command

    _carry_out(command.show(_access(url, token), id, path, json=json))


@cli.command(rich_help_panel="Look")
def logs(
    id: Id,
    path: Pattern = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the instance has ended.")
    ] = False,
    json: Json = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Print what tasks logged."""
    from taskpath_services.cli import look as command

    _carry_out(command.logs(_access(url, token), id, path, follow=follow, json=json))


@cli.command(rich_help_panel="Run and watch")
def delete(
    id: Id,
    json: Json = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Delete an instance with its results and logs; what runs is cancelled."""
    from taskpath_services.cli import change as command

    _carry_out(command.delete(_access(url, token), id, json=json))


@cli.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"taskpath {installed('taskpath')}")
        raise typer.Exit


def _access(url: str | None, token: str | None) -> Any:
    from taskpath_services.cli.session import Access

    return Access(url, token)


def _carry_out(work: Any) -> None:
    from taskpath_services.cli.session import carry_out

    raise typer.Exit(carry_out(work))


def main() -> None:
    """The entry point."""
    try:
        cli()
    except BrokenPipeError:
        # Whoever read our output has had enough (`taskpath logs … | head`).
        sys.stderr.close()
        raise SystemExit(0) from None


if __name__ == "__main__":
    main()
