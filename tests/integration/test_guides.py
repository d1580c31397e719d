"""The examples of the guides do what the guides say."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import sys
from pathlib import Path

from taskpath_proto.errors import ErrorCode
from tests.support import command
from tests.support.guides import GUIDES, shown, steps, unpack

_PYTEST = "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"


def run(folder: Path, *words: str, **environ: str) -> str:
    """What a program prints in a folder; it must succeed."""
    ran = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **environ}
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def python(folder: Path, *arguments: str, **environ: str) -> str:
    """What Python prints in a folder; it must succeed, and warn of nothing."""
    return run(folder, sys.executable, "-W", "error", *arguments, **environ)


def test_the_guide_to_testing(tmp_path: Path) -> None:
    assert unpack("guide-testing.md", tmp_path) == ["app.py", "test_album.py", "check.py"]
    (tmp_path / "pytest.ini").write_text(_PYTEST)
    printed = python(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_album.py")
    assert "4 passed" in printed
    assert python(tmp_path, "check.py") == "<Result done: 6 tasks>\n"


async def test_the_guide_for_authors(tmp_path: Path) -> None:
    files = unpack("guide-authors.md", tmp_path)
    files.remove("program.py")
    assert len(files) == len(set(files)) >= 9
    for name in files:
        assert "\nasync def test_" in (tmp_path / name).read_text(), f"{name} does not say what comes of it"
    (tmp_path / "pytest.ini").write_text(_PYTEST + "filterwarnings = error\n")
    async with command.up(tmp_path / "items.py", tmp_path / "data") as (url, _):
        printed, said = await asyncio.gather(
            asyncio.to_thread(python, tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files),
            asyncio.to_thread(python, tmp_path, "program.py", TASKPATH_URL=url),
        )
    assert f"{len(files)} passed" in printed
    assert said.splitlines()[-3:] == ["2450", "done True", "done False"]


async def test_the_guide_to_rest(tmp_path: Path) -> None:
    assert unpack("guide-rest.md", tmp_path) == ["app.py"]
    session = steps("guide-rest.md")
    assert len(session) >= 20
    mark = "-- the next step --"
    script = f"\necho; echo {shlex.quote(mark)}\n".join(words for words, _ in session)
    async with command.up(tmp_path / "app.py", tmp_path / "data") as (url, _):
        printed = await asyncio.to_thread(run, tmp_path, "bash", "-euo", "pipefail", "-c", script, BASE=url)
    for (words, expected), said in zip(session, printed.split(mark), strict=True):
        assert shown(expected).fullmatch(said.strip()), f"$ {words}\n{said}\nThe guide says:\n{expected}"


async def test_the_tour_of_the_concepts(tmp_path: Path) -> None:
    assert unpack("concepts.md", tmp_path) == ["app.py", "tour.py"]
    async with command.up(tmp_path / "app.py", tmp_path / "data") as (url, _):
        said = await asyncio.to_thread(python, tmp_path, "tour.py", TASKPATH_URL=url)
    assert said == "CANNOT_FIND_TASK\n100\n"


def test_the_concepts_know_every_error() -> None:
    text = (GUIDES / "concepts.md").read_text()
    assert [code for code in ErrorCode if f"`{code}`" not in text] == []
