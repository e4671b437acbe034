"""The rules, the dashboard and the runbook, by promtool, by a real Prometheus and a real Alertmanager."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.endtoend.controlplane import control_plane
from tests.ports import claimed_port
from tests.servers import eventually

ROOT = Path(__file__).parents[2]
RULES = ROOT / "config" / "prometheus" / "rules.yaml"
DASHBOARD = json.loads((ROOT / "config" / "grafana" / "penstock.json").read_text())
ALERTS = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule]


def program(*names: str) -> str:
    """Where services are required, a missing one fails; else it skips."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        assert not os.environ.get("PENSTOCK_REQUIRE_SERVICES"), f"{names[0]} is missing; .ci/run shows how to get it"
        pytest.skip(f"{names[0]} is missing")
    return found


@pytest.mark.parametrize("check", [("check", "rules", "rules.yaml"), ("test", "rules", "rules_test.yaml")])
def test_promtool_accepts_and_tests_the_rules(check: tuple[str, ...]) -> None:
    done = subprocess.run([program("promtool"), *check], cwd=RULES.parent, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_has_its_entry_in_the_runbook() -> None:
    tested = (RULES.parent / "rules_test.yaml").read_text()
    entries = re.findall(r"(?m)^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text())
    names = [alert["alert"] for alert in ALERTS]
    assert entries == names, "in the order of the rules"
    assert [name for name in names if f"alertname: {name}\n" not in tested] == []
    for alert in ALERTS:
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"
        assert alert["labels"]["severity"] in ("critical", "warning", "info")


def test_rules_and_dashboard_speak_of_metrics_that_there_are() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    known = set(re.findall(r"`(penstock_\w+)`", page))
    asked = set(re.findall(r"(?<![\w:])penstock_\w+", RULES.read_text() + json.dumps(DASHBOARD["panels"])))
    assert {name.removesuffix("_bucket") for name in asked} <= known
    recorded = set(re.findall(r"record: (\S+)", RULES.read_text()))
    assert set(re.findall(r"model:penstock_\w+:\w+", json.dumps(DASHBOARD))) <= recorded


class Receiver:
    """What Alertmanager sends its webhooks to."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.alerts += json.loads(self.rfile.read(int(self.headers["content-length"])))["alerts"]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @contextmanager
    def listening(self) -> Iterator[str]:
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{self.server.server_port}/"
        finally:
            self.server.shutdown()
            self.server.server_close()
            thread.join()


@contextmanager
def running(folder: Path, *command: str) -> Iterator[None]:
    with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        process.wait(60)


def alertmanager(folder: Path, webhook: str) -> tuple[str, int]:
    route = {"receiver": "hook", "group_wait": "0s", "group_interval": "1s", "group_by": ["..."]}
    hook = {"name": "hook", "webhook_configs": [{"url": webhook}]}
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump({"route": route, "receivers": [hook]}))
    return program("prometheus-alertmanager", "alertmanager"), claimed_port()


def prometheus(folder: Path, control: int, manager: int) -> None:
    """The shipped files, but for the ports and for waits that no test has time for."""
    rules = re.sub(r"for: \w+", "for: 0s", RULES.read_text())
    (folder / "rules.yaml").write_text(rules)
    shipped = (RULES.parent / "prometheus.yaml").read_text()
    quick = shipped.replace("5s", "1s").replace("127.0.0.1:9080", f"127.0.0.1:{control}")
    (folder / "prometheus.yaml").write_text(quick.replace("127.0.0.1:9093", f"127.0.0.1:{manager}"))


def test_a_real_prometheus_scrapes_judges_and_has_an_alertmanager_tell(tmp_path: Path) -> None:
    config = tmp_path / "penstock.yaml"
    good = 'models: {m: {servers: {"40": ["http://127.0.0.1:1"]}, champion: "40"}}\n'
    config.write_text(f"store: sqlite:///{tmp_path}/penstock.db\n{good}")
    server, receiver, port = program("prometheus"), Receiver(), claimed_port()
    with ExitStack() as stack:
        control = stack.enter_context(control_plane(config, tmp_path / "control.log"))
        control.until_acting()
        manager, managed = alertmanager(tmp_path, stack.enter_context(receiver.listening()))
        prometheus(tmp_path, control.port, managed)
        stack.enter_context(
            running(
                tmp_path,
                *(manager, "--config.file=alertmanager.yaml", f"--storage.path={tmp_path}/manager"),
                *(f"--web.listen-address=127.0.0.1:{managed}", "--cluster.listen-address="),
            )
        )
        stack.enter_context(
            running(
                tmp_path,
                *(server, "--config.file=prometheus.yaml", f"--storage.tsdb.path={tmp_path}/prometheus"),
                f"--web.listen-address=127.0.0.1:{port}",
            )
        )
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: value(url, "penstock_acting") == 1.0)
        config.write_text("models: [")
        eventually(lambda: value(url, "penstock_config_sound") == 0.0)
        eventually(lambda: "PenstockConfigRefused" in {alert["labels"]["alertname"] for alert in receiver.alerts})
        for panel in DASHBOARD["panels"]:
            for target in panel["targets"]:
                query = target["expr"].replace("$model", ".*")
                eventually(lambda query=query: ask(url, query) is not None)  # type: ignore[misc]


def ask(url: str, query: str) -> list[Any] | None:
    """What an instant query finds, None while there is no answer."""
    try:
        answer = httpx2.get(f"{url}/api/v1/query", params={"query": query}, trust_env=False)
    except httpx2.HTTPError:
        return None
    assert answer.status_code in (200, 503), answer.text
    found: list[Any] | None = answer.json()["data"]["result"] if answer.status_code == 200 else None
    return found


def value(url: str, query: str) -> float | None:
    found = ask(url, query)
    return float(found[0]["value"][1]) if found else None
