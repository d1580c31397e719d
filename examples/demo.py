"""What `make demo` runs: the embedded system, a real workflow, and its tree in the terminal while it works.

It keeps serving until Ctrl-C. With DEMO_EXIT=1 it ends when the workflow has ended, with its exit code.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sys
from pathlib import Path

from rich.text import Text

from taskpath.app import App
from taskpath.client import Client
from taskpath.runtime.settings import Settings, SettingsError
from taskpath_proto.errors import TaskpathError
from taskpath_proto.records import InstanceStatus
from taskpath_services.cli.live.follow import Viewer
from taskpath_services.cli.run import say_end
from taskpath_services.cli.serving import (
    configure_logs,
    import_app,
    on_signals,
    run_loop,
    start_failure,
    stopped,
)
from taskpath_services.cli.session import NOT_CARRIED_OUT, complain, console, exit_code, form
from taskpath_services.embedded import Embedded

APP = Path(__file__).parent / "codebase" / "app.py"
DATA = Path(".taskpath-demo")
ADDRESS = "bold cyan"


async def main() -> int:
    """Starts, runs, shows, and serves."""
    stop = asyncio.Event()
    out = console()
    try:
        system = await start(import_app(str(APP)))
    except (SettingsError, TaskpathError) as error:
        complain(str(error))
        return NOT_CARRIED_OUT
    try:
        on_signals(stop, system.settings.grace)
        out.print(Text.assemble("\nThe web page: ", (f"{system.url}/", ADDRESS), "\n"))
        showing = asyncio.create_task(show(system))
        asked = asyncio.create_task(stop.wait())
        await asyncio.wait([showing, asked], return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not showing.done():
            showing.cancel()
            await asyncio.wait([showing])
            return exit_code(None)
        code = showing.result()
        if os.environ.get("DEMO_EXIT") == "1":
            return code
        where = (f"{system.url}/", ADDRESS)
        out.print(Text.assemble("\nStill serving at ", where, "; in another terminal you can say"))
        out.print(Text.assemble(f"  taskpath ls --url {system.url}\n", ("Ctrl-C stops.", "dim")))
        return 0 if await stopped(system, stop) else 1
    finally:
        await system.stop()


async def start(app: App) -> Embedded:
    """The running system, at the port of the settings or, if that is taken, at a free one."""
    data = None if os.environ.get("TASKPATH_DATA") else DATA
    settings = Settings.read(data=data)
    for port in (settings.port, 0):
        system = Embedded(app, Settings.read(data=data, port=port))
        try:
            await system.start()
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port == 0:
                raise SettingsError(start_failure(error, settings)) from error
        else:
            return system
    raise AssertionError("a free port is never taken")


async def show(system: Embedded) -> int:
    """Runs the workflow and shows it; returns the exit code."""
    out = console()
    url = system.url
    data = {"report": str(system.settings.data.resolve() / "report"), "folder": os.environ.get("DEMO_FOLDER")}
    async with Client(url) as client:
        instance = await client.create("codebase", data, name="demo", execute=True)
        viewer = Viewer(client, instance.id, "codebase", console=out, form=form(False, out))
        status = await viewer.show()
        say_end(viewer.tree, out)
        if status is InstanceStatus.DONE:
            result = await client.result(instance.id, "#.report.check")
            report, here = Path(result["report"]).as_uri(), f"{url}/i/{instance.id}"
            out.print(Text.assemble("\nThe report:   ", (report, ADDRESS)), soft_wrap=True)
            out.print(Text.assemble("The instance: ", (here, ADDRESS)), soft_wrap=True)
    return exit_code(status)


if __name__ == "__main__":
    configure_logs(logging.WARNING)
    sys.exit(run_loop(main()))
