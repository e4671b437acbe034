"""The Helm chart, rendered by Helm itself: the values that it is tried with, and where things are in what comes out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

CHART = Path(__file__).parents[2] / "charts" / "penstock"
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


def run_helm(helm: str, folder: Path, values: Values) -> subprocess.CompletedProcess[str]:
    file = folder / "values.json"
    file.write_text(json.dumps(values))
    command = [helm, "template", "trial", str(CHART), "--namespace", "ml", "--values", str(file)]
    return subprocess.run([*command, "--kube-version", "1.30.0"], capture_output=True, text=True)


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
