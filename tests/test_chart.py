"""The Helm chart, rendered by Helm itself and held against the schemas of Kubernetes."""

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gates.settings.configuration import Configuration
from proxy.limits import Limits
from proxy.settings import parse
from proxy.tls import ServerTls

CHART = Path(__file__).parents[1] / "charts" / "penstock"
ABOUT = yaml.safe_load((CHART / "Chart.yaml").read_text())
OLDEST = ABOUT["kubeVersion"].removeprefix(">=").removesuffix(".0-0")
NEWEST = kubernetes_validate.latest_version()

PLANES = ("control", "proxy")

Manifest = dict[str, Any]
Values = dict[str, Any]
Objects = dict[tuple[str, str], Manifest]
Render = Callable[[Values], Objects]

PLAIN: Values = {
    "proxy": {"autoscaling": {"enabled": False}, "podDisruptionBudget": {"enabled": False}, "replicas": 3},
    "control": {"persistence": {"enabled": False}},
    "networkPolicy": {"enabled": False},
}
ELABORATE: Values = {
    "fullnameOverride": "models",
    "imagePullSecrets": ["registry"],
    "access": {"existingSecret": "tokens"},
    "config": {
        "penstock.yaml": "# ours\nmodels: !include models/fraud.yaml\n",
        "models/fraud.yaml": "fraud_detector: {plan: {shadow: {min_requests: 5000000}}}\n",
    },
    "control": {
        "image": {"repository": "registry.test/control", "tag": "1.2.3"},
        "existingSecret": "passwords",
        "persistence": {"storageClass": "fast", "size": "5Gi"},
        "podAnnotations": {"team": "risk"},
        "nodeSelector": {"disk": "ssd"},
    },
    "proxy": {
        "autoscaling": {"minReplicas": 4, "maxReplicas": 40, "targetCPUUtilizationPercentage": 70},
        "podDisruptionBudget": {"maxUnavailable": "25%"},
        "preStopSeconds": 10,
        "tls": {"secretName": "data-port"},
        "upstreamSecrets": ["fraud-ca", "ranker"],
        "trustedPeers": ["10.0.0.0/8"],
        "service": {"type": "LoadBalancer", "annotations": {"internal": "true"}},
        "tolerations": [{"key": "models", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
    },
    "networkPolicy": {
        "controlFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "proxyFrom": [{"podSelector": {"matchLabels": {"app": "shop"}}}],
    },
}


@pytest.fixture(scope="module")
def helm() -> str:
    found = shutil.which("helm")
    if found is None:
        assert not os.environ.get("PENSTOCK_REQUIRE_SERVICES"), "helm is not on PATH; .ci/run shows how to get it"
        pytest.skip("helm is not on PATH")
    return found


def run_helm(helm: str, folder: Path, values: Values) -> subprocess.CompletedProcess[str]:
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    command = [helm, "template", "trial", str(CHART), "--namespace", "ml", "--values", str(file)]
    return subprocess.run([*command, "--kube-version", "1.30.0"], capture_output=True, text=True)


@pytest.fixture
def render(helm: str, tmp_path: Path) -> Render:
    """Values in, the chart's objects out, by kind and name."""

    def rendered(values: Values) -> Objects:
        done = run_helm(helm, tmp_path, values)
        assert done.returncode == 0, done.stderr
        manifests = [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]
        objects = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests}
        assert len(objects) == len(manifests), "two objects of one kind share a name"
        return objects

    return rendered


def pod(objects: Objects, name: str) -> Manifest:
    spec: Manifest = objects["Deployment", name]["spec"]["template"]["spec"]
    return spec


def container(objects: Objects, name: str) -> Manifest:
    (only,) = pod(objects, name)["containers"]
    assert isinstance(only, dict)
    return only


def options(arguments: list[str]) -> dict[str, str]:
    """`["--listen", "a"]` as `{"--listen": "a"}`."""
    return dict(zip(arguments[::2], arguments[1::2], strict=True))


def config_files(objects: Objects, release: str) -> dict[str, str]:
    """The files that the control pod finds, by path under the place where the ConfigMap is mounted."""
    (volume,) = (v for v in pod(objects, f"{release}-control")["volumes"] if "configMap" in v)
    data = objects["ConfigMap", volume["configMap"]["name"]]["data"]
    return {item["path"]: data[item["key"]] for item in volume["configMap"]["items"]}


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


def test_the_data_plane_calls_the_control_service(render: Render) -> None:
    objects = render(ELABORATE)
    control = options(container(objects, "models-proxy")["args"])["--control"]
    (port,) = objects["Service", "models-control"]["spec"]["ports"]
    assert control == f"http://models-control:{port['port']}"


def test_the_control_port_admits_the_proxies_and_whom_the_operator_names(render: Render) -> None:
    (rule,) = render(ELABORATE)["NetworkPolicy", "models-control"]["spec"]["ingress"]
    proxies, monitoring = rule["from"]
    assert proxies["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "proxy"
    assert monitoring == ELABORATE["networkPolicy"]["controlFrom"][0]


@pytest.mark.parametrize("plane", ["proxy", "control"])
def test_pods_keep_to_the_restricted_standard(render: Render, plane: str) -> None:
    objects = render({})
    spec, only = pod(objects, f"trial-{plane}"), container(objects, f"trial-{plane}")
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] != 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["automountServiceAccountToken"] is False
    assert objects["ServiceAccount", spec["serviceAccountName"]]["automountServiceAccountToken"] is False


def test_there_is_one_decider_and_never_two_at_once(render: Render) -> None:
    spec = render(ELABORATE)["Deployment", "models-control"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_a_proxy_drains_before_it_is_killed(render: Render) -> None:
    objects = render(ELABORATE)
    assert container(objects, "models-proxy")["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "10"]
    assert pod(objects, "models-proxy")["terminationGracePeriodSeconds"] >= 10 + Limits().drain_seconds + 5


def test_a_worker_understands_its_arguments_and_caches_on_a_volume_of_its_own(render: Render) -> None:
    objects = render({})
    settings = parse(container(objects, "trial-proxy")["args"])
    (mount,) = container(objects, "trial-proxy")["volumeMounts"]
    (volume,) = pod(objects, "trial-proxy")["volumes"]
    assert volume == {"name": mount["name"], "emptyDir": {"sizeLimit": "64Mi"}}
    assert settings.cache is not None
    assert settings.cache.parent == Path(mount["mountPath"])


def test_a_worker_reads_its_tls_files_where_they_are_mounted(render: Render) -> None:
    objects = render(ELABORATE)
    only = container(objects, "models-proxy")
    volumes = {volume["name"]: volume["secret"]["secretName"] for volume in pod(objects, "models-proxy")["volumes"][:3]}
    mounted = {mount["mountPath"]: volumes.get(mount["name"]) for mount in only["volumeMounts"]}
    assert parse(only["args"]).tls == ServerTls("/etc/penstock/tls/tls.crt", "/etc/penstock/tls/tls.key")
    assert parse(only["args"]).trusted_peers == ("10.0.0.0/8",)
    assert mounted["/etc/penstock/tls"] == "data-port"
    assert mounted["/etc/penstock/upstreams/fraud-ca"] == "fraud-ca"
    assert only["readinessProbe"]["httpGet"] == {"path": "/-/ready", "port": "data", "scheme": "HTTPS"}


def test_where_clients_need_a_certificate_the_kubelet_only_connects(render: Render) -> None:
    only = container(render({"proxy": {"tls": {"secretName": "s", "verifyClients": True}}}), "trial-proxy")
    assert options(only["args"])["--tls-client-ca"] == "/etc/penstock/tls/ca.crt"
    assert only["readinessProbe"]["tcpSocket"] == {"port": "data"}


def test_proxies_are_spread_over_zones_and_nodes(render: Render) -> None:
    spread = pod(render({}), "trial-proxy")["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]


def test_prometheus_is_sent_to_the_control_plane(render: Render) -> None:
    template = render(ELABORATE)["Deployment", "models-control"]["spec"]["template"]
    assert template["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9080",
        "prometheus.io/path": "/metrics",
        "team": "risk",
    }


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


def test_images_are_the_charts_version_or_the_operators(render: Render) -> None:
    assert container(render({}), "trial-proxy")["image"] == f"penstock-proxy:{ABOUT['appVersion']}"
    assert container(render(ELABORATE), "models-control")["image"] == "registry.test/control:1.2.3"


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


def test_the_control_command_knows_its_arguments(render: Render) -> None:
    penstock = Path(sys.executable).with_name("penstock")
    wide = {**os.environ, "COLUMNS": "200"}
    shown = subprocess.run([penstock, "control", "--help"], capture_output=True, text=True, env=wide)
    assert shown.returncode == 0, shown.stderr
    for option in options(container(render({}), "trial-control")["args"]):
        assert re.search(rf"{option}\b", shown.stdout), f"penstock control has no {option}"


def test_helm_finds_nothing_to_complain_about(helm: str) -> None:
    done = subprocess.run([helm, "lint", "--strict", str(CHART)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
