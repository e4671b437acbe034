"""Alerts on their way to real services: a webhook and a mail server, through Apprise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from apprise.plugins.custom_json import NotifyJSON

from gates.adapters.notify import AppriseNotifier
from gates.alerts import Alert, Urgency
from gates.ports import NotifyError, Unusable
from gates.settings.alerts import AlertSettings, ChannelSettings
from tests.mailbox import Mailbox, text_of
from tests.webhook import Webhook

ALERT = Alert("rolled_back", "fraud_detector", Urgency.CRITICAL, "fraud_detector: rolled back", "gate agreement: 71 %")


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as webhook:
        yield webhook


def notifier(**urls: str) -> AppriseNotifier:
    return AppriseNotifier(AlertSettings(tuple(ChannelSettings(name, url) for name, url in urls.items())), {})


def test_a_webhook_gets_title_text_and_kind(webhook: Webhook) -> None:
    notifier(hook=webhook.url).send("hook", ALERT)
    (got,) = webhook.received
    assert (got["title"], got["message"], got["type"]) == (ALERT.title, ALERT.text, "failure")


def test_a_service_that_refuses_is_told_by_its_name(webhook: Webhook) -> None:
    webhook.status = 500
    with pytest.raises(NotifyError, match="hook"):
        notifier(hook=webhook.url).send("hook", ALERT)


def test_a_channel_that_is_gone_by_now_is_told_by_its_name(webhook: Webhook) -> None:
    with pytest.raises(NotifyError, match="names no such channel any more"):
        notifier(hook=webhook.url).send("chat", ALERT)


def test_a_plugin_that_breaks_is_told_and_tells_no_secret(webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> bool:
        raise ValueError("hunter2")

    monkeypatch.setattr(NotifyJSON, "send", broken)
    with pytest.raises(NotifyError, match="hook: ValueError") as caught:
        notifier(hook=webhook.url).send("hook", ALERT)
    assert "hunter2" not in str(caught.value)


def mailed(alert: Alert) -> EmailMessage:
    with Mailbox() as mailbox:
        notifier(mail=mailbox.url).send("mail", alert)
    (mail,) = mailbox.mails
    return mail


def test_a_mail_server_gets_a_mail() -> None:
    mail = mailed(ALERT)
    assert (mail["subject"], mail["to"]) == (ALERT.title, "oncall@models.example")
    assert ALERT.text in text_of(mail)


def test_what_a_person_wrote_is_no_markup_of_a_mail() -> None:
    """A reason is anybody's who may roll back: it brings no link, and keeps its lines."""
    text = "<a href='http://evil.example'>log in</a>\nsecond line"
    assert text in text_of(mailed(replace(ALERT, text=text)))


def test_a_url_may_stand_in_the_environment_or_in_a_file(webhook: Webhook, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(webhook.url + "\n")
    channels = (ChannelSettings("a", env="HOOK"), ChannelSettings("b", file=tmp_path / "url"))
    made = AppriseNotifier(AlertSettings(channels), {"HOOK": webhook.url})
    made.send("a", ALERT)
    made.send("b", ALERT)
    assert len(webhook.received) == 2


@pytest.mark.parametrize(
    "channel",
    [
        ChannelSettings("slack", "nonsense://hunter2"),
        ChannelSettings("slack", env="NOT_THERE"),
        ChannelSettings("slack", file=Path("/nowhere/hunter2")),
    ],
)
def test_a_channel_that_cannot_be_is_named(channel: ChannelSettings) -> None:
    with pytest.raises(Unusable, match=r"alerts\.channels\.slack") as unusable:
        AppriseNotifier(AlertSettings((channel,)), {})
    assert "nonsense" not in str(unusable.value)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("\n")
    with pytest.raises(Unusable, match=f"channels.slack: its URL is not there: {tmp_path}/url is empty") as unusable:
        AppriseNotifier(AlertSettings((ChannelSettings("slack", file=tmp_path / "url"),)), {})
    assert unusable.value.key == ("alerts", "channels", "slack")
