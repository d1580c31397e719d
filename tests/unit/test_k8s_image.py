"""The image and compose.yaml, as far as they can be checked without a Docker engine."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from taskpath.runtime.settings import Settings
from tests.support.kustomize import ROOT

BIN = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVICES = {"gateway": 8080, "scheduler": 8081, "storage": 8082, "executor": 8083}


@functools.cache
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, each on one line."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    lines = [line.strip() for line in text.splitlines()]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines if line and line[0] != "#"]


def of(word: str) -> list[str]:
    return [rest for found, rest in instructions() if found == word]


def sources() -> list[str]:
    """What the image is built from."""
    copied = [rest.split() for rest in of("COPY")]
    return [name for words in copied if not words[0].startswith("--from") for name in words[:-1]]


def test_the_dockerfile_has_no_known_fault() -> None:
    said = subprocess.run(
        [BIN / "hadolint", "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_what_is_copied_reaches_the_engine() -> None:
    """.dockerignore keeps everything out that it does not name."""
    rules = (ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in rules
    assert sorted(sources()) == sorted(rule[1:] for rule in rules if rule.startswith("!"))
    for name in sources():
        assert (ROOT / name).exists()


def test_the_package_is_built_from_that(tmp_path: Path) -> None:
    """The wheel that the image installs is whole, though the image sees only some of the files."""
    for name in sources():
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules")
            )
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "out"],
        cwd=tmp_path, check=True, capture_output=True, timeout=50,
    )  # fmt: skip
    (wheel,) = (tmp_path / "out").glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        root = ROOT / Path(package).parts[0]
        files = [file for file in (ROOT / package).rglob("*") if file.is_file()]
        wanted = {str(file.relative_to(root)) for file in files if "__pycache__" not in file.parts}
        assert wanted - inside == set()
    assert "taskpath_services/gateway/page/index.html" in inside


def test_every_service_has_what_it_needs() -> None:
    install = next(rest for rest in of("RUN") if "pip install" in rest)
    wanted = re.search(r'"\.\[(.*?)\]"', install)
    assert wanted is not None
    extras = PROJECT["project"]["optional-dependencies"]
    assert set(wanted[1].split(",")) == set(extras) - {"dev"} == set(SERVICES)
    assert of("ENTRYPOINT") == ['["taskpath"]']
    assert "taskpath" in PROJECT["project"]["scripts"]


def test_it_does_not_run_as_root() -> None:
    assert of("USER") == ["10001:10001"]
    for file in (ROOT / "k8s/base").rglob("*.yaml"):
        for user in re.findall(r"(?:runAsUser|runAsGroup|fsGroup): (\d+)", file.read_text()):
            assert user == "10001"


@functools.cache
def compose() -> dict[str, Any]:
    """compose.yaml with a password and an app, as the engine reads it."""
    known = {"TASKPATH_PASSWORD": "secret", "TASKPATH_APP": "./app.py"}
    text = (ROOT / "compose.yaml").read_text()
    text = re.sub(r"\$\{(\w+)(?::\?[^}]*)?\}", lambda found: known[found[1]], text)
    checked = PyCompose.from_json(json.dumps(yaml.safe_load(text)))
    document: dict[str, Any] = json.loads(checked.to_json())
    return document


def test_compose_fits_the_specification() -> None:
    assert compose()["services"].keys() == {*SERVICES, "migrate", "rabbitmq", "redis", "mariadb"}


def test_compose_refers_to_what_is_there() -> None:
    services = compose()["services"]
    named: set[str] = set()
    for service in services.values():
        for name, need in service.get("depends_on", {}).items():
            ends = name == "migrate"
            assert need["condition"] == ("service_completed_successfully" if ends else "service_healthy")
            assert ends or "healthcheck" in services[name]
        for volume in service.get("volumes", ()):
            named |= {volume.partition(":")[0]} if isinstance(volume, str) else set()
    assert named & compose()["volumes"].keys() == compose()["volumes"].keys()


@pytest.mark.parametrize("name", [*SERVICES, "migrate"])
def test_the_services_of_compose(name: str) -> None:
    service = compose()["services"][name]
    variables = service["environment"]
    assert {f"TASKPATH_{name.upper()}" for name in Settings.__struct_fields__} >= variables.keys()
    settings = Settings.read(variables)
    assert settings.broker.startswith("memory://" if name == "migrate" else "amqp://")
    stores = {"TASKPATH_RECORDS", "TASKPATH_INDEX"} & variables.keys()
    assert len(stores) == (2 if name in ("storage", "migrate") else 0)
    assert service["command"][0] == name
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    if name in SERVICES:
        assert settings.port == SERVICES[name]
        assert service["healthcheck"]["test"][0] == "CMD"
        assert int(service["stop_grace_period"].removesuffix("s")) > settings.grace


def test_nothing_of_compose_is_open_to_other_machines() -> None:
    for service in compose()["services"].values():
        for port in service.get("ports", ()):
            assert str(port).startswith("127.0.0.1:") or port.get("host_ip") == "127.0.0.1"
