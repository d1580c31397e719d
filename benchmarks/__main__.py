"""Runs a benchmark by its name: ``python -m benchmarks embedded --uvloop``; else says which there are."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

names = sorted(
    path.stem
    for path in Path(__file__).parent.glob("*.py")
    if path.stem != "__main__" and '\nif __name__ == "__main__":' in path.read_text()
)

if len(sys.argv) < 2 or sys.argv[1] not in names:
    sys.exit(f"expected is the name of a benchmark: {', '.join(names)}")

sys.argv = sys.argv[1:]
runpy.run_module(f"benchmarks.{sys.argv[0]}", run_name="__main__", alter_sys=True)
