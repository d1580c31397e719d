"""The examples of the guides do what the guides say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

GUIDES = Path(__file__).parents[2] / "docs"
_BLOCK = re.compile(r"^```python\n# (\S+\.py)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def unpack(guide: str, folder: Path) -> list[str]:
    """Writes the files that a guide shows; gives their names."""
    files = _BLOCK.findall((GUIDES / guide).read_text(encoding="utf-8"))
    for name, text in files:
        (folder / name).write_text(text, encoding="utf-8")
    return [name for name, _ in files]


def python(folder: Path, *arguments: str) -> str:
    """What Python prints in a folder; it must succeed."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_guide_to_testing(tmp_path: Path) -> None:
    assert unpack("guide-testing.md", tmp_path) == ["app.py", "test_album.py", "check.py"]
    options = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    (tmp_path / "pytest.ini").write_text(options)
    printed = python(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_album.py")
    assert "4 passed" in printed
    assert python(tmp_path, "check.py") == "<Result done: 6 tasks>\n"
