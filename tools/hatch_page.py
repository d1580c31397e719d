"""The hook of hatchling that puts the web page into the wheel, and in its place for an editable install."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):  # type: ignore[type-arg]  # the parameter is of no use to a hook
    """Builds the page before anything is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before each build."""
        page = runpy.run_path(str(Path(self.root) / "tools" / "page.py"))
        try:
            page["build"]()
        except page["PageError"] as error:
            self.app.abort(str(error))
