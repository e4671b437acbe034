from __future__ import annotations

from pathlib import Path

import pytest

from gates.settings import SettingsError, load
from gates.settings.alerts import SILENT, AlertSettings, ChannelSettings


def alerts(tmp_path: Path, text: str) -> AlertSettings:
    (tmp_path / "penstock.yaml").write_text(f"models: {{}}\n{text}")
    return load(tmp_path / "penstock.yaml").alerts


def test_without_a_section_nobody_is_told(tmp_path: Path) -> None:
    found = alerts(tmp_path, "")
    assert (found.channels, found.repeat_after, found.most) == ((), SILENT.repeat_after, SILENT.most)
    assert not any(found.routes.values())


def test_channels_and_who_hears_of_what(tmp_path: Path) -> None:
    text = """
alerts:
  channels:
    pager: {env: PAGER_URL}
    chat: {file: secrets/chat}
    hook: {url: "json://127.0.0.1/hunter2"}
  critical: [pager, chat]
  info: [hook]
  repeat_after: 10m
"""
    found = alerts(tmp_path, text)
    assert found.channels == (
        ChannelSettings("pager", env="PAGER_URL"),
        ChannelSettings("chat", file=tmp_path / "secrets" / "chat"),
        ChannelSettings("hook", "json://127.0.0.1/hunter2"),
    )
    assert found.routes == {"critical": ("pager", "chat"), "warning": (), "info": ("hook",)}
    assert found.repeat_after == 600.0
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("alerts: {critical: [pager]}", "alerts.critical[0]", "pager is no channel; there are: none"),
        ("alerts: {channels: {a: {}}}", "alerts.channels.a", "expected one of url, env and file"),
        ("alerts: {channels: {a: {url: u, env: E}}}", "alerts.channels.a", "expected one of"),
        ("alerts: {most_in_ten_minutes: 0}", "alerts.most_in_ten_minutes", "greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_told_at_its_key(tmp_path: Path, text: str, key: str, said: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        alerts(tmp_path, text)
    (problem,) = wrong.value.problems
    assert problem.key == key
    assert said in problem.message
