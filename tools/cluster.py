"""What `make cluster` runs: the servers and two of each service on this machine, until Ctrl-C.

    make cluster
    make cluster ARGS="--app my/app.py --each 1 --records dynamodb"

Everything that it starts ends with it. The servers' data goes, too; the logs stay in .taskpath-cluster.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.support.cluster import ROLES, Cluster, settings_over
from tests.support.servers import (
    DynamoDB,
    Keeper,
    MariaDB,
    Program,
    ProgramMissing,
    RabbitMQ,
    Redis,
    StartFailed,
)

APP: Final = Path("examples/album/app.py")
LOGS: Final = Path(".taskpath-cluster")
PORT: Final = 8080
INTERRUPTED: Final = 130

out = Console(highlight=False)


def main() -> int:
    """Starts everything, says where it is, and waits for Ctrl-C."""
    wanted = arguments()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has it ignored
        signal.signal(number, signal.default_int_handler)
    shutil.rmtree(LOGS, ignore_errors=True)
    with Keeper(LOGS) as keeper:
        try:
            serve(keeper, wanted)
        except (ProgramMissing, StartFailed) as error:
            out.print(Text(f"make cluster: {error}", style="red"), soft_wrap=True)
            return 1
        except KeyboardInterrupt:  # before everything had started, or once more while it stopped
            return INTERRUPTED
    return 0


def serve(keeper: Keeper, wanted: argparse.Namespace) -> None:
    """Serves until Ctrl-C, then stops in order."""
    broker, index = RabbitMQ(keeper), MariaDB(keeper)
    records = DynamoDB(keeper) if wanted.records == "dynamodb" else Redis(keeper)
    start(broker, records, index)
    cluster = Cluster(
        keeper,
        wanted.app,
        settings_over(broker, records, index),
        dict.fromkeys(ROLES, wanted.each),
        PORT if is_free(PORT) else None,
    )
    out.print(f"Starting {wanted.each} of each service.", style="dim")
    cluster.start()
    announce(cluster, broker, wanted)
    try:
        watch(cluster)
    except KeyboardInterrupt:
        out.print("\nStopping. Once more ends everything at once.", style="dim")
    cluster.stop()


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="make cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--app", type=Path, default=APP, help=f"whose workflows to serve ({APP})")
    parser.add_argument("--each", type=int, default=2, help="how many of each service (2)")
    parser.add_argument("--records", choices=["redis", "dynamodb"], default="redis", help="(redis)")
    return parser.parse_args()


def start(*servers: Program) -> None:
    """Starts servers side by side."""
    out.print(f"Starting {', '.join(server.name for server in servers)}.", style="dim")
    for server in servers:
        server.launch()
    for server in servers:
        server.wait_ready()


def announce(cluster: Cluster, broker: RabbitMQ, wanted: argparse.Namespace) -> None:
    """Says what is where."""
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim")
    facts.add_column(overflow="fold")
    for gateway in cluster.gateway:
        facts.add_row("  web page", Text(gateway.url + "/", style="bold cyan"))
    facts.add_row("  API", f"{cluster.url}/api/v1")
    for process in cluster:
        if process.role != "gateway":
            facts.add_row(f"  {process.name}", f"{process.url}/metrics")
    facts.add_row("  RabbitMQ", f"{broker.management_url}/ (guest, guest)")
    for name, value in cluster.settings.items():
        facts.add_row(f"  {name}", value)
    facts.add_row("  logs", f"{LOGS}/")
    out.print(Text.assemble("\n", ("Taskpath", "bold"), f" serves {wanted.app}\n"))
    out.print(facts)
    out.print(f"\nIn another terminal: [bold]taskpath run album --url {cluster.url}[/bold]", soft_wrap=True)
    out.print("[dim]Ctrl-C stops.[/dim]\n")
    sys.stdout.flush()


def watch(cluster: Cluster) -> None:
    """Says which service ends, until Ctrl-C."""
    gone: set[str] = set()
    while True:
        time.sleep(1)
        for process in cluster:
            if not process.running and process.name not in gone:
                gone.add(process.name)
                out.print(f"[red]{process.name} has ended[/]; its log is {process.log}.")


def is_free(port: int) -> bool:
    """Whether nobody listens on a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    sys.exit(main())
