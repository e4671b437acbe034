"""Alerts of whole processes: a rollback calls somebody, and a control plane that dies loses and repeats none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.endtoend import controlplane
from tests.endtoend.controlplane import CountingWorker, control_plane
from tests.endtoend.penstock import MODEL, Penstock, configuration, kill
from tests.mailbox import Mailbox, text_of
from tests.servers import Background, ModelServer, eventually, predicting
from tests.webhook import Webhook

pytestmark = pytest.mark.timeout(600)  # each starts two processes, on a busy machine


def test_a_control_plane_that_dies_neither_loses_an_alert_nor_repeats_one(
    background: Background, tmp_path: Path
) -> None:
    with (
        Webhook() as webhook,
        ModelServer(background, predicting(1.0)) as champion,
        ModelServer(background, predicting(1.0)) as candidate,
    ):
        servers = {"40": champion, "42": candidate}
        urls = {version: f"http://{server.origin.authority}" for version, server in servers.items()}
        alerts = {"channels": {"hook": {"url": webhook.url}}, "warning": ["hook"], "info": ["hook"]}
        settings = {**configuration(tmp_path / "penstock.db", urls, champion="40"), "alerts": alerts}
        with Penstock(tmp_path, settings, workers=1) as penstock:
            with penstock.client() as client:
                client.start(MODEL, "42", by="ada", reason="retrained")
            eventually(lambda: titles(webhook) == [f"{MODEL}: started"])
            webhook.status = 500
            with penstock.client() as client:
                client.ask(MODEL, "rollback", by="ada", reason="second thoughts")
            eventually(lambda: titles(webhook)[1:])
            die(penstock)
            webhook.forget()
            webhook.status = 200
            eventually(lambda: penstock.model() is not None)
            eventually(lambda: titles(webhook) == [f"{MODEL}: rolled back"])
            with penstock.client() as client:
                client.start(MODEL, "42", by="ada", reason="once more", override=True)
            eventually(lambda: f"{MODEL}: started" in titles(webhook))
            assert titles(webhook).count(f"{MODEL}: started") == 1, "the one before was told by the first"
            assert titles(webhook).count(f"{MODEL}: rolled back") == 1


def test_a_gates_rollback_calls_somebody_by_mail(tmp_path: Path) -> None:
    with Mailbox() as mailbox:
        config = controlplane.configuration(tmp_path, f"sqlite:///{tmp_path}/penstock.db")
        alerts = {"channels": {"mail": {"env": "MAIL_URL"}}, "critical": ["mail"]}
        config.write_text(json.dumps({**json.loads(config.read_text()), "alerts": alerts}))
        with control_plane(config, tmp_path / "log", MAIL_URL=mailbox.url) as control:
            control.until_acting()
            worker = CountingWorker()
            worker.follow(control)
            worker.traffic(60, failures=60)
            worker.push(control)
            eventually(lambda: mailbox.mails)
    (mail,) = mailbox.mails
    assert mail["subject"] == f"{controlplane.MODEL}: rolled back"
    assert "gate errors: " in text_of(mail)
    assert text_of(mail).rstrip().endswith("(by controller)")


def titles(webhook: Webhook) -> list[str]:
    return [alert["title"] for alert in webhook.received]


def die(penstock: Penstock) -> None:
    """The control plane, by kill -9; the supervisor starts another."""
    (control,) = penstock.children("gates")
    kill(control)
