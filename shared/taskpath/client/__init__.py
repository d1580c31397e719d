"""The client of a gateway, and what it hands out."""

from __future__ import annotations

from taskpath.client.client import Client
from taskpath.client.views import (
    Change,
    Instance,
    InstanceList,
    Logs,
    SetTasksStatuses,
    TaskDetails,
)
from taskpath_proto.errors import TaskpathError
from taskpath_proto.packets import (
    ExecutionError,
    InstanceGone,
    Resync,
    RollupView,
    SetWorkflowStatus,
    TaskLogs,
    TaskNode,
    TaskState,
    WorkflowDescription,
)

__all__ = [
    "Change",
    "Client",
    "ExecutionError",
    "Instance",
    "InstanceGone",
    "InstanceList",
    "Logs",
    "Resync",
    "RollupView",
    "SetTasksStatuses",
    "SetWorkflowStatus",
    "TaskDetails",
    "TaskLogs",
    "TaskNode",
    "TaskState",
    "TaskpathError",
    "WorkflowDescription",
]
