"""Run background workflows and watch their progress live."""

from typing import TYPE_CHECKING

from taskpath.app import App
from taskpath.context import TaskContext
from taskpath.task import Retry, Task
from taskpath.updaters import UpdaterError
from taskpath_proto.errors import TaskpathError

if TYPE_CHECKING:
    from taskpath.client import Client

__all__ = ["App", "Client", "Retry", "Task", "TaskContext", "TaskpathError", "UpdaterError"]


def __getattr__(name: str) -> object:
    # The client brings an HTTP library along; worker processes, which only import an app, do without it.
    if name == "Client":
        from taskpath.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
