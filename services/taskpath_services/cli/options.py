"""The options that commands share."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

HERE: Final = "Where"
WORK: Final = "How much at once"
LIMITS: Final = "Limits"
ACCESS: Final = "Access"

Text = str | None


def setting(panel: str, metavar: str, what: str, default: str) -> Any:
    """A setting as an option. It stays text: `Settings.read` judges it, as it does the environment's."""
    return typer.Option(
        metavar=metavar,
        help=f"{what} [dim]Default: {default}.[/dim]",
        rich_help_panel=panel,
        show_default=False,
    )


AppArgument = Annotated[str, typer.Argument(metavar="APP", help="A file such as app.py, or module:name.")]
Host = Annotated[Text, setting(HERE, "HOST", "The address to listen on.", "127.0.0.1")]
Concurrency = Annotated[Text, setting(WORK, "N", "Coroutines.", "200")]
Threads = Annotated[Text, setting(WORK, "N", "Plain functions, each in a thread.", "16")]
Processes = Annotated[Text, setting(WORK, "N", "Processes for process=True.", "one a core")]
Queues = Annotated[Text, setting(WORK, "NAMES", "Queues to serve, with commas.", "all")]
Grace = Annotated[Text, setting(LIMITS, "SECONDS", "For running tasks, at a stop.", "30")]
Lease = Annotated[Text, setting(LIMITS, "SECONDS", "After such a silence a task is lost.", "30")]
MaxBody = Annotated[Text, setting(LIMITS, "BYTES", "Of a request.", "8 MiB")]
MaxValue = Annotated[Text, setting(LIMITS, "BYTES", "Of data, context or result.", "64 MiB")]
AuthSecret = Annotated[
    Text,
    setting(
        ACCESS,
        "SECRET",
        "For tokens, which this version does not check: it refuses to start.",
        "no tokens",
    ),
]
AllowedOrigins = Annotated[
    Text, setting(ACCESS, "ORIGINS", "Web pages that may use the API, with commas.", "its own")
]

# Of a service in a process of its own.
AnyApp = Annotated[
    Text, typer.Argument(metavar="[APP]", help="May be given, and is not needed.", show_default=False)
]
Broker = Annotated[Text, setting(HERE, "URL", "RabbitMQ, as amqp://… or amqps://….", "none, so give it")]
Partitions = Annotated[Text, setting(WORK, "N", "Mailboxes; fixed for a deployment.", "4")]
DrainTime = Annotated[Text, setting(LIMITS, "SECONDS", "For what is under way, at a stop.", "30")]
