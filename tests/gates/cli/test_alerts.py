"""`penstock alerts test` against a real control plane: its words, and its exit status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gates.exits import Exit
from tests.endtoend.controlplane import ControlPlane, configuration, control_plane
from tests.gates.cli.calling import called
from tests.webhook import Webhook


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    with Webhook() as webhook:
        yield webhook


@pytest.fixture(scope="module")
def control(webhook: Webhook, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("control")
    config = configuration(folder, f"sqlite:///{folder}/penstock.db")
    channels = {"hook": {"url": webhook.url}, "pager": {"url": webhook.url.replace("/alerts", "/pager")}}
    alerts = {"channels": channels, "critical": ["hook", "pager"], "warning": ["hook"]}
    config.write_text(json.dumps({**json.loads(config.read_text()), "alerts": alerts}))
    with control_plane(config, folder / "log") as control:
        control.until_acting()
        yield control


def tried(control: ControlPlane, folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = called("alerts", "test", *arguments, "--control", f"http://127.0.0.1:{control.port}", cwd=folder)
    return done.returncode, done.stdout, done.stderr


def test_each_channel_that_takes_one_is_named(control: ControlPlane, webhook: Webhook, tmp_path: Path) -> None:
    webhook.status = 200
    webhook.received.clear()
    assert tried(control, tmp_path) == (Exit.GO, "hook: taken\npager: taken\n", "")
    assert [each["title"] for each in webhook.received] == ["Penstock: a test of critical alerts"] * 2
    answer = control.client.post("/api/alerts/test", json={"urgency": "warning"})
    assert (answer.status_code, answer.json()) == (200, [{"channel": "hook", "error": ""}])


def test_a_channel_that_does_not_take_one_is_an_exit_status(
    control: ControlPlane, webhook: Webhook, tmp_path: Path
) -> None:
    webhook.status = 500
    status, out, err = tried(control, tmp_path, "--urgency", "warning")
    assert (status, out) == (Exit.UNAVAILABLE, "hook: the service did not take it\n")
    assert "not every channel took it" in err
    status, out, _ = tried(control, tmp_path, "--json")
    assert (status, [each["channel"] for each in json.loads(out)]) == (Exit.UNAVAILABLE, ["hook", "pager"])


def test_an_urgency_without_a_channel_is_the_configurations_to_mend(control: ControlPlane, tmp_path: Path) -> None:
    status, _, err = tried(control, tmp_path, "--urgency", "info")
    assert status == Exit.CONFIGURATION
    assert "no channel is told of info alerts: name some under alerts.info" in err


def test_an_unknown_urgency_is_told_with_those_that_there_are(control: ControlPlane, tmp_path: Path) -> None:
    status, _, err = tried(control, tmp_path, "--urgency", "loud")
    assert status == Exit.USAGE
    assert "expected critical, warning, info, found 'loud'" in err
    assert control.client.post("/api/alerts/test", json={"urgency": "loud"}).status_code == 422
