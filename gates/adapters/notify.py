"""Alerts on their way out, by Apprise: one URL for Slack, PagerDuty, email, webhooks and a hundred more."""

from __future__ import annotations

import logging
from collections.abc import Mapping

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
            taken = service.notify(body=alert.text, title=alert.title, notify_type=_TYPES[alert.urgency])
        except Exception as error:  # of a service's plugin; its text may quote the URL
            raise NotifyError(f"{channel}: {type(error).__name__} in Apprise's plugin of the service") from None
        if not taken:
            raise NotifyError(f"{channel}: the service did not take it")


def _service(channel: ChannelSettings, environment: Mapping[str, str]) -> apprise.NotifyBase:
    where = f"alerts.channels.{channel.name}"
    url = channel.url
    if channel.env:
        url = environment.get(channel.env, "")
    elif channel.file is not None:
        try:
            url = channel.file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise Unusable(f"{where}: {channel.file} cannot be read: {why}") from None
    if not url:
        raise Unusable(f"{where}: its URL is not there: set {channel.env} in the control plane's environment")
    service = apprise.Apprise.instantiate(url)
    if service is None:
        raise Unusable(f"{where}: its URL is none that Apprise knows, such as slack://… or json://host/path")
    return service
