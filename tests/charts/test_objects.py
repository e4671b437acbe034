"""The objects that the chart makes, held against the schemas of Kubernetes and against each other."""

from __future__ import annotations

import subprocess
from base64 import b64decode
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from gates.settings.configuration import Configuration
from tests.charts.rendering import (
    CHART,
    ELABORATE,
    NEWEST,
    OLDEST,
    PLAIN,
    PLANES,
    Render,
    Values,
    config_files,
    container,
    options,
    pod,
    run_helm,
)


@pytest.mark.parametrize("values", [{}, PLAIN, ELABORATE], ids=["default", "plain", "elaborate"])
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_object_fits_the_oldest_and_the_newest_kubernetes(render: Render, values: Values, version: str) -> None:
    for manifest in render(values).values():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_default_chart_is_two_deployments_with_what_they_need(render: Render) -> None:
    assert set(render({})) == {
        ("ServiceAccount", "trial"),
        ("ConfigMap", "trial-config"),
        ("PersistentVolumeClaim", "trial-control"),
        ("Deployment", "trial-control"),
        ("Service", "trial-control"),
        ("NetworkPolicy", "trial-control"),
        ("Deployment", "trial-proxy"),
        ("Service", "trial-proxy"),
        ("NetworkPolicy", "trial-proxy"),
        ("HorizontalPodAutoscaler", "trial-proxy"),
        ("PodDisruptionBudget", "trial-proxy"),
        ("Secret", "trial-tokens"),
    }


def test_what_is_switched_off_is_gone(render: Render) -> None:
    objects = render(PLAIN)
    assert {kind for kind, _ in objects} == {"ServiceAccount", "ConfigMap", "Deployment", "Secret", "Service"}
    assert objects["Deployment", "trial-proxy"]["spec"]["replicas"] == 3
    assert {"name": "state", "emptyDir": {}} in pod(objects, "trial-control")["volumes"]


def test_an_autoscaled_deployment_leaves_its_size_to_the_autoscaler(render: Render) -> None:
    objects = render(ELABORATE)
    assert "replicas" not in objects["Deployment", "models-proxy"]["spec"]
    scaler = objects["HorizontalPodAutoscaler", "models-proxy"]["spec"]
    assert ("Deployment", scaler["scaleTargetRef"]["name"]) in objects
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (4, 40)


@pytest.mark.parametrize("values", [{}, ELABORATE], ids=["default", "elaborate"])
def test_selectors_find_exactly_their_own_plane(render: Render, values: Values) -> None:
    objects = render(values)
    labels = {
        name: manifest["spec"]["template"]["metadata"]["labels"]
        for (kind, name), manifest in objects.items()
        if kind == "Deployment"
    }
    for (kind, name), manifest in objects.items():
        spec = manifest.get("spec", {})
        selector = {
            "Service": lambda spec=spec: spec["selector"],
            "Deployment": lambda spec=spec: spec["selector"]["matchLabels"],
            "PodDisruptionBudget": lambda spec=spec: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda spec=spec: spec["podSelector"]["matchLabels"],
        }.get(kind)
        if selector is not None:
            assert [owner for owner, carried in labels.items() if selector().items() <= carried.items()] == [name]


@pytest.mark.parametrize("plane", ["proxy", "control"])
def test_services_probes_and_policies_name_ports_that_the_container_opens(render: Render, plane: str) -> None:
    objects = render({})
    name = f"trial-{plane}"
    opened = {port["name"]: port["containerPort"] for port in container(objects, name)["ports"]}
    (served,) = objects["Service", name]["spec"]["ports"]
    assert opened[served["targetPort"]] == served["port"] == {"proxy": 8080, "control": 9080}[plane]
    listen = options(container(objects, name)["args"])["--listen"]
    assert listen == f"0.0.0.0:{served['port']}"
    for probe, path in {"startupProbe": "live", "livenessProbe": "live", "readinessProbe": "ready"}.items():
        assert container(objects, name)[probe]["httpGet"] == {"path": f"/-/{path}", "port": served["targetPort"]}
    (rule,) = objects["NetworkPolicy", name]["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == [served["targetPort"]]


def test_the_control_port_admits_the_proxies_and_whom_the_operator_names(render: Render) -> None:
    (rule,) = render(ELABORATE)["NetworkPolicy", "models-control"]["spec"]["ingress"]
    proxies, monitoring = rule["from"]
    assert proxies["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "proxy"
    assert monitoring == ELABORATE["networkPolicy"]["controlFrom"][0]


def test_configuration_files_arrive_as_they_were_given(render: Render) -> None:
    objects = render(ELABORATE)
    given = ELABORATE["config"]
    assert config_files(objects, "models") == given
    arguments = options(container(objects, "models-control")["args"])
    (mount,) = (m for m in container(objects, "models-control")["volumeMounts"] if m["name"] == "config")
    assert "subPath" not in mount, "a subPath mount would never see a change"
    assert Path(arguments["--config"]).relative_to(mount["mountPath"]).as_posix() in given


def test_the_default_configuration_is_one_that_penstock_accepts(render: Render) -> None:
    (text,) = config_files(render({}), "trial").values()
    assert Configuration.model_validate(yaml.safe_load(text)).models == {}


def test_secrets_are_referred_to_and_never_written(render: Render) -> None:
    objects = render(ELABORATE)
    assert container(objects, "models-control")["envFrom"] == [{"secretRef": {"name": "passwords"}}]
    assert pod(objects, "models-proxy")["imagePullSecrets"] == [{"name": "registry"}]
    assert not any(kind == "Secret" for kind, _ in objects)
    for name in ("models-control", "models-proxy"):
        sources = {variable["valueFrom"]["secretKeyRef"]["name"] for variable in container(objects, name)["env"]}
        assert sources == {"tokens"}, "the chart makes no tokens where it is given some"


def test_tokens_are_made_where_none_are_given(render: Render) -> None:
    objects = render({})
    made = objects["Secret", "trial-tokens"]["data"]
    assert {len(b64decode(token)) for token in made.values()} == {43}
    given = {name: [each["name"] for each in container(objects, f"trial-{name}")["env"]] for name in PLANES}
    assert given == {"control": ["PENSTOCK_WORKERS_TOKEN", "PENSTOCK_ADMIN_TOKEN"], "proxy": ["PENSTOCK_WORKERS_TOKEN"]}


def test_the_audit_trail_outlives_the_release(render: Render) -> None:
    objects = render(ELABORATE)
    claim = objects["PersistentVolumeClaim", "models-control"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["spec"]["storageClassName"] == "fast"
    existing = render({"control": {"persistence": {"existingClaim": "ours"}}})
    assert ("PersistentVolumeClaim", "trial-control") not in existing
    volumes = pod(existing, "trial-control")["volumes"]
    assert {"name": "state", "persistentVolumeClaim": {"claimName": "ours"}} in volumes


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"proxy": {"replica": 3}}, "replica is not allowed"),
        ({"proxy": {"autoscaling": {"minReplicas": 0}}}, "minReplicas"),
        ({"proxy": {"podDisruptionBudget": {"maxUnavailable": "one"}}}, "maxUnavailable"),
        ({"config": {"../escape.yaml": ""}}, "escape"),
        ({"config": {"penstock.yaml": {"models": {}}}}, "penstock.yaml"),
        ({"control": {"persistence": {"size": "big"}}}, "size"),
    ],
)
def test_a_mistaken_value_is_refused_by_name(helm: str, tmp_path: Path, values: Values, complaint: str) -> None:
    done = run_helm(helm, tmp_path, values)
    assert done.returncode != 0
    assert complaint in done.stderr


def test_helm_finds_nothing_to_complain_about(helm: str) -> None:
    done = subprocess.run([helm, "lint", "--strict", str(CHART)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
