"""TASKPATH_DEBUG, which turns on what authors use to look into their tasks."""

from __future__ import annotations

import pytest

from taskpath.runtime.settings import Settings, SettingsError


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", True), ("true", True), (" Yes ", True), ("on", True), ("0", False), ("off", False), ("", False)],
)
def test_it_is_on_or_off(text: str, value: bool) -> None:
    assert Settings.read({"TASKPATH_DEBUG": text}).debug is value


def test_anything_else_stops_the_start() -> None:
    with pytest.raises(SettingsError, match=r"TASKPATH_DEBUG is 'maybe'; expected is 1 or 0"):
        Settings.read({"TASKPATH_DEBUG": "maybe"})
    assert Settings.read({}, debug=True).debug is True
