"""The configuration's keys for alerts: channels, and which of them hear of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gates.settings import kinds
from gates.settings.kinds import Keys, contradiction, written


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """Where alerts go: an Apprise URL, or the environment variable or the file that holds it. It may hold a secret."""

    name: str
    url: str = field(default="", repr=False)
    env: str = ""
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """`routes` are the channels of each urgency. The same alert is not sent again within `repeat_after` seconds, and
    no channel gets more than `most` in ten minutes, but
    for critical ones."""

    channels: tuple[ChannelSettings, ...] = ()
    routes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    repeat_after: float = 3600.0
    most: int = 30


SILENT = AlertSettings()


class ChannelKeys(Keys):
    """One place that alerts go to, by its Apprise URL: slack://…, pagerduty://…, mailtos://…, json://host/path."""

    url: kinds.Title | None = None
    """The URL itself. Better not, where it holds a secret."""
    env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """The environment variable of the control plane that holds it."""
    file: kinds.File | None = None
    """The file that holds it, such as a mounted secret."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(source is not None for source in (self.url, self.env, self.file)) != 1:
            raise contradiction("expected one of url, env and file")
        return self

    def channel(self, name: str, folder: Path) -> ChannelSettings:
        file = (folder / self.file).absolute() if self.file else None
        return ChannelSettings(name, self.url or "", self.env or "", file)


class AlertKeys(Keys):
    """Who is told of what. Without channels nobody is."""

    channels: dict[kinds.Name, ChannelKeys] = written({})
    """The places that alerts go to, each under a name of your own."""
    critical: list[kinds.Name] = written([])
    """The channels for what somebody has to be called for: a gate rolled back, the store is gone."""
    warning: list[kinds.Name] = written([])
    """The channels for what somebody has to look at: a late stage, a bad configuration, an approval that is asked."""
    info: list[kinds.Name] = written([])
    """The channels for what happens as it should: started, climbed, promoted."""
    repeat_after: kinds.Deadline = written("1h")
    """The same alert is not sent again before that."""
    most_in_ten_minutes: Annotated[int, Field(ge=1)] = 30
    """No channel gets more, critical ones aside; what is over is counted, and told in one line once there is room."""

    @field_validator("critical", "warning", "info")
    @classmethod
    def _known(cls, names: list[str], info: ValidationInfo) -> list[str]:
        channels = info.data.get("channels", {})
        for index, name in enumerate(names):
            if "channels" in info.data and name not in channels:
                raise contradiction(f"{name} is no channel; there are: {', '.join(channels) or 'none'}", index)
        return names

    def alerts(self, folder: Path) -> AlertSettings:
        channels = tuple(channel.channel(name, folder) for name, channel in self.channels.items())
        routes = {
            urgency: tuple(names)
            for urgency, names in (("critical", self.critical), ("warning", self.warning), ("info", self.info))
        }
        return AlertSettings(channels, routes, self.repeat_after, self.most_in_ten_minutes)
