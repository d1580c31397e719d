"""The manifests fit the schemas of Kubernetes and KEDA, refer to what is there, and are closed by default."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from taskpath.runtime.settings import Settings
from taskpath_proto import topology
from tests.support.kustomize import ROOT, Manifest, build, containers, environ, of_kind

OLDEST, NEWEST = "1.29", "1.37"
PORTS = {"gateway": 8080, "scheduler": 8081, "storage": 8082, "executor": 8083}
SECRET = {
    "TASKPATH_BROKER": "amqp://user:password@rabbitmq.servers.svc:5672/",
    "TASKPATH_RECORDS": "rediss://:password@redis.servers.svc:6379/0",
    "TASKPATH_INDEX": "mysql://user:password@mysql.servers.svc:3306/taskpath",
}
KEDA = json.loads((ROOT / "tests/support/schemas/keda.json").read_text())
_BLOCK = re.compile(r"^```yaml\n# (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@functools.cache
def everything() -> tuple[Manifest, ...]:
    return (*build(ROOT / "k8s/base"), *build(ROOT / "k8s/components/autoscaling"))


@functools.cache
def deployments() -> dict[str, Manifest]:
    return {
        one["metadata"]["labels"]["app.kubernetes.io/component"]: one
        for one in of_kind(everything(), "Deployment").values()
    }


def pod(service: str) -> Any:
    return deployments()[service]["spec"]["template"]["spec"]


def own(service: str) -> Any:
    (container,) = pod(service)["containers"]
    return container


def check(manifest: Manifest, version: str) -> None:
    if manifest["apiVersion"].startswith("keda.sh/"):
        jsonschema.Draft202012Validator(KEDA).validate(manifest)
    else:
        kubernetes_validate.validate(dict(manifest), version, strict=True)


def test_there_is_everything() -> None:
    assert deployments().keys() == PORTS.keys()
    kinds = [manifest["kind"] for manifest in everything()]
    assert {kind: kinds.count(kind) for kind in sorted(set(kinds))} == {
        "ConfigMap": 1,
        "Deployment": 4,
        "PodDisruptionBudget": 4,
        "ScaledObject": 1,
        "ServiceAccount": 2,
        "TriggerAuthentication": 1,
    }


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_it_fits_the_schemas(version: str) -> None:
    assert f"{version}.0" in kubernetes_validate.utils.all_versions()
    for manifest in everything():
        check(manifest, version)


def break_name(manifest: Any) -> None:
    manifest["spec"]["template"]["spec"]["terminationGracePeriod"] = 5


def break_type(manifest: Any) -> None:
    manifest["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = "8083"


def break_trigger(manifest: Any) -> None:
    manifest["spec"]["triggers"][0]["metadata"]["queueLength"] = "5"


def break_count(manifest: Any) -> None:
    manifest["spec"]["maxReplicaCount"] = "20"


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("Deployment", break_name),
        ("Deployment", break_type),
        ("ScaledObject", break_trigger),
        ("ScaledObject", break_count),
    ],
)
def test_the_schemas_are_strict(kind: str, fault: Callable[[Any], None]) -> None:
    broken = copy.deepcopy(of_kind(everything(), kind)["taskpath-executor"])
    check(broken, NEWEST)
    fault(broken)
    with pytest.raises(jsonschema.ValidationError):
        check(broken, NEWEST)


def test_a_key_that_comes_twice_is_seen() -> None:
    """YAML takes the last one, and kustomize says nothing."""
    for file in sorted((ROOT / "k8s").rglob("*.yaml")):
        for document in yaml.compose_all(file.read_text(), yaml.SafeLoader):
            nodes = [document]
            while nodes:
                node = nodes.pop()
                if isinstance(node, yaml.MappingNode):
                    keys = [key.value for key, _ in node.value]
                    assert len(keys) == len(set(keys)), f"{file}: {keys}"
                    nodes += [value for _, value in node.value]
                elif isinstance(node, yaml.SequenceNode):
                    nodes += node.value


@pytest.mark.parametrize("service", PORTS)
def test_what_is_referred_to_is_there(service: str) -> None:
    deployment = deployments()[service]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels == {"app.kubernetes.io/name": "taskpath", "app.kubernetes.io/component": service}
    spec = pod(service)
    budget = of_kind(everything(), "PodDisruptionBudget")[deployment["metadata"]["name"]]
    for selector in (
        deployment["spec"]["selector"],
        budget["spec"]["selector"],
        spec["topologySpreadConstraints"][0]["labelSelector"],
    ):
        assert selector == {"matchLabels": labels}
    assert spec["serviceAccountName"] in of_kind(everything(), "ServiceAccount")
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in containers(deployment):
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        environ(container, everything(), SECRET)
    ports = {port["name"]: port["containerPort"] for port in own(service)["ports"]}
    assert list(ports.values()) == [PORTS[service]]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        call = own(service)[probe].get("httpGet")
        if call is not None:
            assert call["port"] in ports


@pytest.mark.parametrize("service", PORTS)
def test_its_variables_are_settings(service: str) -> None:
    for container in containers(deployments()[service]):
        variables = environ(container, everything(), SECRET)
        assert {f"TASKPATH_{name.upper()}" for name in Settings.__struct_fields__} >= variables.keys()
        settings = Settings.read(variables)
        assert settings.partitions == 4
        assert ("TASKPATH_BROKER" in variables) is (container["name"] != "migrate")
    assert settings.port == PORTS[service]
    known_stores = {"TASKPATH_RECORDS", "TASKPATH_INDEX"} & variables.keys()
    assert known_stores == ({"TASKPATH_RECORDS", "TASKPATH_INDEX"} if service == "storage" else set())
    # The grace is what the process may take; Kubernetes waits longer before it kills.
    assert settings.grace + 10 <= pod(service)["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("service", PORTS)
def test_it_may_do_nothing_more_than_it_must(service: str) -> None:
    spec = pod(service)
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert all(volume.keys() == {"name", "emptyDir"} for volume in spec["volumes"])
    for container in containers(deployments()[service]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        assert not any("password" in str(variable.get("value")) for variable in container["env"])


@pytest.mark.parametrize("service", ["gateway", "scheduler", "storage"])
def test_one_comes_before_one_goes(service: str) -> None:
    spec = deployments()[service]["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_only_the_command_and_the_image_choose_the_service() -> None:
    images = {service: own(service)["image"] for service in PORTS}
    version = yaml.safe_load((ROOT / "k8s/base/kustomization.yaml").read_text())["images"][0]["newTag"]
    assert images.pop("executor").startswith("taskpath-app:")
    assert set(images.values()) == {f"taskpath:{version}"}
    assert {service: own(service)["args"] for service in PORTS} == {
        "gateway": ["gateway"],
        "scheduler": ["scheduler"],
        "storage": ["storage"],
        "executor": ["executor", "app.py"],
    }
    assert [container["args"] for container in pod("storage")["initContainers"]] == [["migrate"]]


def test_executors_grow_with_their_own_queue() -> None:
    scaled = of_kind(everything(), "ScaledObject")["taskpath-executor"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == deployments()["executor"]["metadata"]["name"]
    assert "replicas" not in deployments()["executor"]["spec"]  # or every apply would undo the scaling
    (trigger,) = scaled["triggers"]
    queues = Settings.read(environ(own("executor"), everything(), SECRET)).queues
    assert queues is not None
    assert [trigger["metadata"]["queueName"]] == [topology.executor_mailbox(queue) for queue in queues]
    (known,) = of_kind(everything(), "TriggerAuthentication").values()
    assert trigger["authenticationRef"]["name"] == known["metadata"]["name"]
    assert known["spec"]["secretTargetRef"] == [
        {"parameter": "host", "name": "taskpath", "key": "TASKPATH_BROKER"}
    ]


def test_the_kustomizations_of_the_guide(tmp_path: Path) -> None:
    (tmp_path / "k8s").symlink_to(ROOT / "k8s")
    files = _BLOCK.findall((ROOT / "docs/deployment.md").read_text())
    assert [name for name, _ in files] == ["kustomization.yaml", "gpu/kustomization.yaml"]
    for name, text in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    manifests = build(tmp_path)
    for manifest in manifests:
        assert manifest["metadata"]["namespace"] == "taskpath"
        check(manifest, NEWEST)
    executors = of_kind(manifests, "Deployment")
    assert executors.keys() - of_kind(everything(), "Deployment").keys() == {"taskpath-executor-gpu"}
    (settings,) = of_kind(manifests, "ConfigMap").values()
    assert settings["data"]["TASKPATH_PARTITIONS"] == "8"
    assert settings["data"]["TASKPATH_LEASE"] == "30"
    for name, queue in (("taskpath-executor", "default"), ("taskpath-executor-gpu", "gpu")):
        (container,) = containers(executors[name])
        assert container["image"] == "registry.example.com/album:42"
        assert environ(container, manifests, SECRET)["TASKPATH_QUEUES"] == queue
        assert executors[name]["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] == name[9:]
        scaled = of_kind(manifests, "ScaledObject")[name]["spec"]
        assert scaled["scaleTargetRef"]["name"] == name
        (trigger,) = scaled["triggers"]
        assert trigger["metadata"]["queueName"] == topology.executor_mailbox(queue)
        assert trigger["authenticationRef"]["name"] in of_kind(manifests, "TriggerAuthentication")
