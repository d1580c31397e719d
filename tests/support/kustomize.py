"""The manifests as Kubernetes gets them: built by kubectl, which comes with the tests' packages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[2]
KUBECTL: Final = Path(sys.executable).with_name("kubectl")

Manifest = Mapping[str, Any]


def build(folder: Path) -> list[Manifest]:
    """What a kustomization comes to. kubectl needs no cluster for it."""
    built = subprocess.run(
        [KUBECTL, "kustomize", str(folder)], capture_output=True, text=True, check=False, timeout=30
    )
    assert built.returncode == 0, built.stderr
    assert not built.stderr, built.stderr  # what is deprecated is said there
    return list(yaml.safe_load_all(built.stdout))


def of_kind(manifests: Sequence[Manifest], kind: str) -> dict[str, Manifest]:
    """Those of a kind, by name."""
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def containers(deployment: Manifest) -> list[Manifest]:
    """The containers of a Deployment's pods, those that run before the others first."""
    spec = deployment["spec"]["template"]["spec"]
    return [*spec.get("initContainers", ()), *spec["containers"]]


def environ(container: Manifest, manifests: Sequence[Manifest], secret: Mapping[str, str]) -> dict[str, str]:
    """The variables that a container gets from its pod.

    Args:
        container: the container.
        manifests: where the ConfigMaps are.
        secret: what is in the Secret ``taskpath``.

    Raises:
        KeyError: something is referred to that is not there.
    """
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        found.update(of_kind(manifests, "ConfigMap")[source["configMapRef"]["name"]]["data"])
    for variable in container.get("env", ()):
        if "value" in variable:
            found[variable["name"]] = variable["value"]
            continue
        reference = variable["valueFrom"]["secretKeyRef"]
        found[variable["name"]] = {"taskpath": secret}[reference["name"]][reference["key"]]
    return found
