"""The examples, end to end in the embedded system."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from taskpath.app import load
from taskpath.client import Client
from tests.support.system import embedded

pytestmark = pytest.mark.timeout(60)

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "one.py").write_text("import os\n\ndef f(x):\n    return 1 if x else 2\n")
    (folder / "two.py").write_text("class C:\n    pass\n")
    (folder / "bad.py").write_text("def\n")
    return folder


async def test_the_survey_of_a_code_base(sources: Path, tmp_path: Path) -> None:
    app = load(str(EXAMPLES / "codebase" / "app.py"))
    report = tmp_path / "report"
    data = {"folder": str(sources), "report": str(report)}
    async with embedded(app, tmp_path / "data", processes=1) as system, Client(system.url) as client:
        first = await client.create("codebase", data, execute=True)
        ended = await client.wait(first.id, timeout=40)
        assert ended.status.value == "done"
        assert ended.statuses["#.recall"].status.value == "skipped"
        totals = await client.result(first.id, "#.count.totals")
        assert totals == {"files": 2, "lines": 6, "functions": 1, "classes": 1, "branches": 1, "broken": 1}
        attempts = [ended.statuses[f"#.report.write.{name}"].attempt for name in ("page", "numbers")]
        assert min(attempts) == 1
        assert max(attempts) > 1, "the second writer meets the lock of the first"
        result = await client.result(first.id, "#.report.check")
        page = Path(result["report"]).read_text()
        assert "inner" in page
        assert "bad.py" in page
        said = await client.logs(first.id, "#.measure[0]")
        assert said.lines[0].text.startswith("does not parse")

        second = await client.create("codebase", data, execute=True)
        ended = await client.wait(second.id, timeout=40)
        assert ended.statuses["#.recall"].status.value == "ok"
        assert "as last time" in (report / "index.html").read_text()


async def test_the_album(tmp_path: Path) -> None:
    app = load(str(EXAMPLES / "album" / "app.py"))
    async with embedded(app, tmp_path / "data") as system, Client(system.url) as client:
        instance = await client.create("album", {"album": "Sea", "count": 9}, execute=True)
        ended = await client.wait(instance.id, timeout=30)
        assert ended.status.value == "done"
        assert ended.statuses["#.resize[7]"].attempt == 2
        assert (await client.result(instance.id, "#.zip"))["photos"] == 9
        empty = await client.create("album", {"album": "Sea", "count": 0}, execute=True)
        ended = await client.wait(empty.id, timeout=30)
        assert (ended.status.value, ended.statuses["#.zip"].status.value) == ("done", "skipped")


async def test_the_demo_ends_with_the_code_of_its_workflow(sources: Path, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / "demo.py"),
        env={**os.environ, "DEMO_EXIT": "1", "DEMO_FOLDER": str(sources), "TASKPATH_PORT": "0"},
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert "# done" in out.decode()
    numbers = json.loads((tmp_path / ".taskpath-demo" / "report" / "numbers.json").read_text())
    assert numbers["totals"]["files"] == 2
