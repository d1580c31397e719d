"""The React package: its types, its own tests over React 18 and 19, and what is published of it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.browser.react_package import PACKAGE, ROOT, install, run, tool
from tools import typescript_types

pytestmark = pytest.mark.timeout(400)

# With gzip and without React, in bytes: so that nothing large slips in. Its README has what it is now.
MOST = {"core": 12_000, "Jobify": 14_000, "all": 23_000}


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    install()


@pytest.fixture(scope="module")
def dist(_installed: None) -> Path:
    """What is published, newly built."""
    shutil.rmtree(PACKAGE / "dist", ignore_errors=True)
    tool("tsc", "--project", "tsconfig.build.json")
    return PACKAGE / "dist"


def test_the_types_are_those_of_the_contract() -> None:
    found = typescript_types.TARGET.read_text(encoding="utf-8")
    assert found == typescript_types.text(), "run .venv/bin/python tools/typescript_types.py"


def test_the_types_agree() -> None:
    tool("tsc", "--noEmit")


def test_its_own_tests_over_both_versions_of_react() -> None:
    report = json.loads(tool("vitest", "run", "--reporter=json", "--silent"))
    assert report["numFailedTests"] == 0
    assert report["numPassedTests"] >= 140
    files = {Path(suite["name"]).name for suite in report["testResults"]}
    assert {"sync.test.ts", "jobify.test.tsx", "server.test.tsx"} <= files


def test_what_is_published(dist: Path) -> None:
    # Node reads it as it is, where there is no window.
    code = (
        "const core = await import('./core/index.js'); console.log(new core.Taskpath().connection.state.name)"
    )
    assert run("node", "--input-type=module", "--eval", code, cwd=dist) == "idle\n"
    text = "".join(file.read_text() for file in dist.rglob("*.js"))
    needed = {name for name in re.findall(r"\bfrom ['\"]([^'\"]+)['\"]", text) if not name.startswith(".")}
    assert needed == {"react", "react/jsx-runtime"}
    package = json.loads((PACKAGE / "package.json").read_text())
    assert "dependencies" not in package
    for entry in (package["exports"]["."], package["exports"]["./core"]):
        assert all((PACKAGE / file).is_file() for file in entry.values())


def test_it_stays_small() -> None:
    sizes = json.loads(run("node", "tools/size.mjs", "--json"))
    assert {part: size["gzip"] for part, size in sizes.items() if size["gzip"] > MOST[part]} == {}


def test_the_lockfile_names_no_registry() -> None:
    lock = json.loads((PACKAGE / "package-lock.json").read_text())
    elsewhere = [name for name, entry in lock["packages"].items() if "://" in entry.get("resolved", "")]
    assert elsewhere == []


def test_the_example_is_built_with_what_is_published(dist: Path, tmp_path: Path) -> None:
    """As in an application, where the package is one of several in node_modules."""
    example = ROOT / "examples" / "react-app"
    shutil.copytree(
        example, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules", "dist")
    )
    assert dist.is_dir()
    modules = tmp_path / "node_modules"
    (modules / "@taskpath").mkdir(parents=True)
    (modules / "@types").mkdir()
    (modules / "@taskpath" / "react").symlink_to(PACKAGE)
    for name in ("react", "react-dom", "vite", "@types/react", "@types/react-dom"):
        (modules / name).symlink_to(PACKAGE / "node_modules" / name)
    tool("tsc", "--noEmit", cwd=tmp_path)
    tool("vite", "build", cwd=tmp_path)
    assert (tmp_path / "dist" / "index.html").is_file()
