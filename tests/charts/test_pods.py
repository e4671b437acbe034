"""What runs in the pods that the chart makes: as what, told what, and where."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.limits import Limits
from proxy.settings import parse
from proxy.tls import ServerTls
from tests.charts.rendering import (
    ABOUT,
    ELABORATE,
    Render,
    container,
    options,
    pod,
)


def test_the_data_plane_calls_the_control_service(render: Render) -> None:
    objects = render(ELABORATE)
    control = options(container(objects, "models-proxy")["args"])["--control"]
    (port,) = objects["Service", "models-control"]["spec"]["ports"]
    assert control == f"http://models-control:{port['port']}"


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


def test_images_are_the_charts_version_or_the_operators(render: Render) -> None:
    assert container(render({}), "trial-proxy")["image"] == f"penstock-proxy:{ABOUT['appVersion']}"
    assert container(render(ELABORATE), "models-control")["image"] == "registry.test/control:1.2.3"


def test_the_control_command_knows_its_arguments(render: Render) -> None:
    penstock = Path(sys.executable).with_name("penstock")
    wide = {**os.environ, "COLUMNS": "200"}
    shown = subprocess.run([penstock, "control", "--help"], capture_output=True, text=True, env=wide)
    assert shown.returncode == 0, shown.stderr
    for option in options(container(render({}), "trial-control")["args"]):
        assert re.search(rf"{option}\b", shown.stdout), f"penstock control has no {option}"
