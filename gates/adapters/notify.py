"""Alerts on their way out, by Apprise: one URL for Slack, PagerDuty, email, webhooks and a hundred more."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import apprise

from gates.alerts import Alert, Urgency
from gates.ports import NotifyError, Unusable
from gates.settings.alerts import AlertSettings, ChannelSettings

_TYPES = {
    Urgency.CRITICAL: apprise.NotifyType.FAILURE,
    Urgency.WARNING: apprise.NotifyType.WARNING,
    Urgency.INFO: apprise.NotifyType.INFO,
}

# Its own lines may repeat an answer, or a URL; what failed is told by us, by the channel's name.
logging.getLogger("apprise").setLevel(logging.CRITICAL)


class AppriseNotifier:
    """`gates.ports.Notifier`: each call may block for as long as the service's own timeouts last."""

    def __init__(self, settings: AlertSettings, environment: Mapping[str, str]) -> None:
        """Raises Unusable for a channel whose URL is not there, or none that Apprise knows."""
        self._services = {channel.name: _service(channel, environment) for channel in settings.channels}

    def send(self, channel: str, alert: Alert) -> None:
        service = self._services.get(channel)
        if service is None:
            raise NotifyError(f"{channel}: the configuration names no such channel any more")
        try:
            taken = service.notify(
                body=alert.text,
                title=alert.title,
                notify_type=_TYPES[alert.urgency],
                body_format=apprise.NotifyFormat.TEXT,  # what a person wrote is no markup of ours
            )
        except Exception as error:  # of a service's plugin; its text may quote the URL
            raise NotifyError(f"{channel}: {type(error).__name__} in Apprise's plugin of the service") from None
        if not taken:
            raise NotifyError(f"{channel}: the service did not take it")


def _service(channel: ChannelSettings, environment: Mapping[str, str]) -> apprise.NotifyBase:
    service = apprise.Apprise.instantiate(_url(channel, environment))
    if service is None:
        raise _unusable(channel, "its URL is none that Apprise knows, such as slack://… or json://host/path")
    return service


def _url(channel: ChannelSettings, environment: Mapping[str, str]) -> str:
    """From where it is kept."""
    if channel.file is not None:
        return _held_by(channel, channel.file)
    url = environment.get(channel.env, "") if channel.env else channel.url
    if not url:
        raise _unusable(channel, f"its URL is not there: set {channel.env} in the control plane's environment")
    return url


def _held_by(channel: ChannelSettings, file: Path) -> str:
    try:
        url = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise _unusable(channel, f"{file} cannot be read: {why}") from None
    if not url:
        raise _unusable(channel, f"its URL is not there: {file} is empty")
    return url


def _unusable(channel: ChannelSettings, message: str) -> Unusable:
    return Unusable(f"alerts.channels.{channel.name}: {message}", ("alerts", "channels", channel.name))
