"""The proxies: how each is configured, as somebody who knows it would, and how it is started."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.bench import nginx
from loadtests.bench.control import standing_in
from loadtests.bench.processes import HOST, ROOT, Process, running
from proxy.snapshot import AgreementSpec, ModelRoute, Origin, Phase, Snapshot, Target
from proxy.window import Window

TIMEOUT_SECONDS = 2
COMPILED = ROOT / ".venv" / "compiled"
"""Where `make compile` puts the hot path as a wheel has it."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where one run takes place: its files, its ports, the core of its proxy, and the number of models."""

    folder: Path
    listen: int
    champion: int
    candidate: int
    core: int
    models: int = 1
    source: bool = False
    """Whether Penstock runs from its source, and not compiled."""

    @property
    def log(self) -> Path:
        return self.folder / "proxy.log"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A started proxy; `process` is None where there is none. `window` is what it has counted itself, if it does."""

    port: int
    process: Process | None = None
    window: Callable[[], Window | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to stand between clients and the champion. `tool` is the program that it needs, "" for none; `compares`
    tells whether what is mirrored is compared, by one that could."""

    name: str
    tool: str
    mirrors: bool
    compares: bool = True

    @contextmanager
    def started(self, site: Site) -> Iterator[Proxy]:
        """The contender, on its core, for the length of the block."""
        if self.name == "direct":
            yield Proxy(site.champion)
        elif self.tool == "":
            with (
                standing_in(penstock_snapshot(site, self.mirrors, self.compares)) as control,
                running(penstock_command(site, control.port), site.log, site.core) as process,
            ):
                yield Proxy(site.listen, process, control.seen)
        else:
            command = nginx_command(site, self.mirrors) if self.tool == "nginx" else envoy_command(site, self.mirrors)
            with running(command, site.log, site.core) as process:
                yield Proxy(site.listen, process)


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("direct", "", mirrors=False),
        Contender("nginx", "nginx", mirrors=False),
        Contender("nginx+mirror", "nginx", mirrors=True),
        Contender("envoy", "envoy", mirrors=False),
        Contender("envoy+mirror", "envoy", mirrors=True),
        Contender("penstock", "", mirrors=False),
        Contender("penstock+shadow", "", mirrors=True),
        Contender("penstock+copies", "", mirrors=True, compares=False),
    )
}


def penstock_snapshot(site: Site, shadow: bool, compares: bool = True) -> Snapshot:
    """Each model under its own prefix; with `shadow`, every request is copied and, where it `compares`, every pair of
    answers compared as far as the budget of time goes; else that is nothing."""
    agreement = AgreementSpec() if compares else AgreementSpec(cpu_bp=0)
    champion = Target("1", (Origin(HOST, site.champion),))
    candidate = Target("2", (Origin(HOST, site.candidate),)) if shadow else None
    phase = Phase.SHADOW if shadow else Phase.IDLE
    return Snapshot(
        1,
        tuple(
            ModelRoute(
                *(f"m{i}", f"/m{i}", champion, candidate, phase),
                epoch=1,
                salt="bench",
                timeout=TIMEOUT_SECONDS,
                agreement=agreement,
            )
            for i in range(site.models)
        ),
    )


def penstock_command(site: Site, control: int) -> list[str]:
    """One worker, as `penstock serve --workers 1` starts it."""
    # The safe path keeps Python from looking into this folder, where the source is, before it looks anywhere else.
    compiled = [] if site.source else ["env", "PYTHONSAFEPATH=1", f"PYTHONPATH={COMPILED}"]
    worker = [sys.executable, "-m", "proxy", "--control", f"http://{HOST}:{control}"]
    return [*compiled, *worker, "--listen", f"{HOST}:{site.listen}"]


def nginx_command(site: Site, mirror: bool) -> list[str]:
    return nginx.command(site.folder, nginx_settings(site, mirror))


def nginx_settings(site: Site, mirror: bool) -> str:
    """Kept connections to both upstreams, and buffers that hold a 1 MB body, so that nothing goes to disk."""
    return nginx.settings(
        site.folder,
        f"""\
    upstream champion {{ server {HOST}:{site.champion}; keepalive 512; keepalive_requests 100000000; }}
    upstream candidate {{ server {HOST}:{site.candidate}; keepalive 512; keepalive_requests 100000000; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_connect_timeout {TIMEOUT_SECONDS}s;
    proxy_send_timeout {TIMEOUT_SECONDS}s;
    proxy_read_timeout {TIMEOUT_SECONDS}s;
    proxy_buffering on;
    proxy_buffer_size 16k;
    proxy_buffers 80 16k;
    proxy_busy_buffers_size 256k;
    proxy_max_temp_file_size 0;
    server {{
        {nginx.LISTEN.format(port=site.listen)}
        location / {{ {"mirror /-/copy; " if mirror else ""}proxy_pass http://champion; }}
        location = /-/copy {{ internal; proxy_pass http://candidate$request_uri; }}
    }}""",
    )


def envoy_command(site: Site, mirror: bool) -> list[str]:
    """One worker thread, beside the main thread that every Envoy has, on the same core."""
    file = site.folder / "envoy.json"
    file.write_text(json.dumps(envoy_settings(site, mirror), indent=1))
    return ["envoy", "-c", str(file), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]


def envoy_settings(site: Site, mirror: bool) -> dict[str, Any]:
    """As Envoy's own advice on benchmarks has it: no circuit breaking, no access log, no request ids, no dynamic
    statistics. Buffers hold a 1 MB body, as nginx's do."""
    timeout = f"{TIMEOUT_SECONDS}s"
    route: dict[str, Any] = {"cluster": "champion", "timeout": timeout}
    if mirror:
        route["request_mirror_policies"] = [{"cluster": "candidate"}]
    kind = "type.googleapis.com/envoy.extensions.filters"
    router = {"@type": f"{kind}.http.router.v3.Router", "dynamic_stats": False}
    manager = {
        "@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "codec_type": "HTTP1",
        "generate_request_id": False,
        "use_remote_address": True,
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
        "route_config": {
            "virtual_hosts": [
                {"name": "models", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": route}]}
            ]
        },
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    listener = {
        "name": "clients",
        "address": _address(site.listen),
        "filter_chains": [chain],
        "per_connection_buffer_limit_bytes": _BUFFER,
    }
    clusters = [_cluster("champion", site.champion), _cluster("candidate", site.candidate)]
    return {"static_resources": {"listeners": [listener], "clusters": clusters}}


_BUFFER = 4 * 1024 * 1024


def _cluster(name: str, port: int) -> dict[str, Any]:
    unlimited = 1_000_000_000
    limits = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    endpoint = {"endpoint": {"address": _address(port)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": f"{TIMEOUT_SECONDS}s",
        "per_connection_buffer_limit_bytes": _BUFFER,
        "circuit_breakers": {"thresholds": [dict.fromkeys(limits, unlimited)]},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": HOST, "port_value": port}}
