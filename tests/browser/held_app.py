"""An app for a server that is killed: its task waits until somebody writes into a named pipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from taskpath import App, Task

app = App()


def hold(arg: Any) -> str:
    return Path(arg["pipe"]).read_text()


async def echo(arg: str) -> str:
    return arg


@app.workflow("held")
def held(data: Any) -> list[Task]:
    return [Task("hold", hold, description="Waits for the pipe"), Task("after", echo)]
