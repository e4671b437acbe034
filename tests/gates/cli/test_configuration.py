"""`penstock config init`: a configuration to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gates.cli import run
from gates.exits import Exit


def test_what_it_writes_is_sound(tmp_path: Path, capsys: Any) -> None:
    folder = tmp_path / "new" / "config"
    assert run(["config", "init", str(folder)]) == Exit.GO
    assert f"penstock config validate {folder}/penstock.yaml" in capsys.readouterr().out
    assert run(["config", "validate", str(folder / "penstock.yaml")]) == Exit.GO
    assert {"default.yaml", "llm-service.yaml", "promotion.yaml"} <= {
        file.name for file in (folder / "gates").iterdir()
    }


def test_nothing_is_written_over(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "gates").mkdir()
    (tmp_path / "gates" / "default.yaml").write_text("mine")
    assert run(["config", "init", str(tmp_path)]) == Exit.REFUSED
    assert f"{tmp_path}/gates/default.yaml would be written over" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["gates"]
    assert (tmp_path / "gates" / "default.yaml").read_text() == "mine"


def test_a_folder_that_cannot_be_is_told(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "config").write_text("a file")
    assert run(["config", "init", str(tmp_path / "config")]) == Exit.UNAVAILABLE
    assert str(tmp_path / "config") in capsys.readouterr().err


def test_what_waits_for_more_than_traffic_is_told(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(
        "prometheus: http://127.0.0.1:9090\n"
        'models: {m: {servers: {"1": [http://127.0.0.1:1]}, champion: "1", promotion: {\n'
        "  live: {loss: {metric: prometheus, query: loss, max: 2}},\n"
        "  production: {shadow_period: {}, accuracy: {}, approvals: {severity: advisory}}}}}\n"
    )
    assert run(["config", "validate", str(file)]) == Exit.GO
    told = capsys.readouterr().out
    assert "m: every stage waits for what is not seen in its traffic: loss\n" in told
    assert "m: the shadow waits for what is not seen in its traffic: shadow_period\n" in told
    assert "m: the bake waits for what is not seen in its traffic: accuracy\n" in told
