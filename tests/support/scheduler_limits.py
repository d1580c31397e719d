"""Limits that are made small, so that little trees meet them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from taskpath_services.scheduler import cancel as cancel_module
from taskpath_services.scheduler import instance as instance_module
from taskpath_services.scheduler import results as results_module
from taskpath_services.scheduler import snapshot as snapshot_module
from taskpath_services.scheduler import windows as windows_module
from taskpath_services.scheduler.frames import Frame


@contextmanager
def small_limits(random: random.Random) -> Iterator[None]:
    """Makes windows, values and events small."""
    small: list[tuple[Any, str, list[int]]] = [
        (windows_module, "WINDOW", [1, 2, 3, 8]),
        (instance_module, "KEEP_BYTES", [40]),
        (instance_module, "RECENT_BYTES", [0, 500]),
        (results_module, "INLINE_BYTES", [120]),
        (results_module, "KEEP_BYTES", [40]),
        (snapshot_module, "MOST_TASKS", [1, 5]),
    ]
    kept = [getattr(module, name) for module, name, _ in small]
    try:
        for (module, name, values), value in zip(small, kept, strict=True):
            setattr(module, name, random.choice([*values, value]))
        yield
    finally:
        for (module, name, _), value in zip(small, kept, strict=True):
            setattr(module, name, value)


@contextmanager
def spied_cancels(found: list[tuple[str, str]]) -> Iterator[None]:
    """Collects the foreaches that a cancel meets and that have more to start.

    A run that ends at once with the cancel stores no word of them.
    """
    remember = cancel_module._remember

    def spy(instance: instance_module.Instance, frame: Frame) -> None:
        found.append((instance.id, frame.node.path))
        remember(instance, frame)

    cancel_module._remember = spy
    try:
        yield
    finally:
        cancel_module._remember = remember
