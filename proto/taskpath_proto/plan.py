"""The plan: what a generator returned, as plain data.

An executor calls the generator and sends this; a scheduler needs nothing else to run the tree, and never
imports the author's code.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class RetrySpec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How often and when a failed task is tried again. All times in seconds.

    The delay before try n+1 is ``min(max_delay, backoff * 2**(n - 1))``, give or take the fraction
    ``jitter``.
    """

    attempts: int = 3
    backoff: float = 1.0
    max_delay: float = 60.0
    jitter: float = 0.1


class Handler(StrEnum):
    """What an author may have called when something happens to an instance."""

    COMPLETE = "complete"
    ERROR = "error"
    DELETE = "delete"


class TaskSpec(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One task as its author wrote it, less the functions.

    Attributes:
        name: unique among its siblings.
        description: for people.
        run: whether the task has a function of its own.
        condition: whether it has a condition, to be evaluated by an executor.
        context_var: the name under which its result is left in the context.
        context_vars: the keys of its result that are left in the context.
        dest: the name under which its result is bound in the context of its subtasks.
        subtasks: None for a plain task; a group otherwise.
        sequential: whether the subtasks run one after the other.
        foreach: None, the name of a list in the context, or True for the previous result.
        max_parallel: how many items of a foreach may run at once.
        retry: how often and when it is tried again.
        timeout: of one attempt, in seconds.
        queue: the queue whose executors run it; None for the workflow's own.
    """

    name: str
    description: str = ""
    run: bool = True
    condition: bool = False
    context_var: str | None = None
    context_vars: tuple[str, ...] = ()
    dest: str | None = None
    subtasks: tuple[TaskSpec, ...] | None = None
    sequential: bool = False
    foreach: str | bool | None = None
    max_parallel: int | None = None
    retry: RetrySpec | None = None
    timeout: float | None = None
    queue: str | None = None


class Plan(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The root list of an instance's tree, the queue of tasks that name none, and the handlers of its app."""

    tasks: tuple[TaskSpec, ...]
    queue: str = "default"
    handlers: tuple[Handler, ...] = ()
