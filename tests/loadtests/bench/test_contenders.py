"""Each contender is configured for the work that it is measured by, and its own program accepts the configuration."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from loadtests.bench import nginx
from loadtests.bench.contenders import (
    CONTENDERS,
    Site,
    envoy_command,
    envoy_settings,
    nginx_command,
    nginx_settings,
    penstock_snapshot,
)
from loadtests.bench.upstreams import model_server
from proxy.routing import assign, match
from proxy.snapshot import decode, encode
from tests.loadtests.bench.programs import needed


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, listen=20_001, champion=20_002, candidate=20_003, core=0, models=3)


def test_the_line_up_is_each_proxy_without_and_with_copies() -> None:
    assert [(name, contender.mirrors) for name, contender in CONTENDERS.items()] == [
        ("direct", False),
        ("nginx", False),
        ("nginx+mirror", True),
        ("envoy", False),
        ("envoy+mirror", True),
        ("penstock", False),
        ("penstock+shadow", True),
        ("penstock+copies", True),
    ]


def test_penstock_routes_each_model_and_copies_every_request(site: Site) -> None:
    snapshot = decode(encode(penstock_snapshot(site, shadow=True)))

    for number in range(3):
        route = match(snapshot, f"/m{number}/invocations", [])
        assert route is not None
        assert route.model == f"m{number}"
        assignment = assign(route, b"any")
        assert assignment.variant == "champion"
        assert assignment.target.origins[0].port == site.champion
        assert assignment.shadow is not None
        assert assignment.shadow.origins[0].port == site.candidate


def test_penstock_without_shadow_knows_no_candidate(site: Site) -> None:
    assert all(route.candidate is None for route in penstock_snapshot(site, shadow=False).routes)


@pytest.mark.parametrize("mirror", [False, True])
def test_nginx_keeps_connections_and_mirrors_only_where_it_should(site: Site, mirror: bool) -> None:
    settings = nginx_settings(site, mirror)

    assert settings.count("keepalive 512;") == 2
    assert 'proxy_set_header Connection "";' in settings
    assert "access_log off;" in settings
    assert ("mirror /-/copy;" in settings) is mirror


@pytest.mark.parametrize("mirror", [False, True])
def test_envoy_mirrors_only_where_it_should_and_breaks_no_circuit(site: Site, mirror: bool) -> None:
    resources = envoy_settings(site, mirror)["static_resources"]
    manager = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    route = manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]

    assert "access_log" not in manager
    assert route["cluster"] == "champion"
    assert route.get("request_mirror_policies", []) == ([{"cluster": "candidate"}] if mirror else [])
    for cluster in resources["clusters"]:
        assert min(cluster["circuit_breakers"]["thresholds"][0].values()) > 1_000_000


@pytest.mark.parametrize("mirror", [False, True])
def test_nginx_accepts_its_configuration(site: Site, mirror: bool) -> None:
    needed("nginx")
    _assert_passes([*nginx_command(site, mirror), "-t"])


@pytest.mark.parametrize("size", [200, 100_000])
def test_nginx_accepts_the_model_servers_configuration(tmp_path: Path, size: int) -> None:
    needed("nginx")
    answer = json.dumps({"predictions": ["x" * size]}).encode()
    _assert_passes([*nginx.command(tmp_path, model_server(tmp_path, 20_004, answer)), "-t"])


@pytest.mark.parametrize("mirror", [False, True])
def test_envoy_accepts_its_configuration(site: Site, mirror: bool) -> None:
    needed("envoy")
    _assert_passes([*envoy_command(site, mirror), "--mode", "validate"])


def _assert_passes(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
