"""The command line: what it says, and what its exit status means."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

import proxy
from gates.adapters.tokens import hash_of
from gates.cli import app, run
from gates.exits import Exit
from tests.gates.cli.calling import ENVIRONMENT, PENSTOCK, called
from tests.ports import claimed_port
from tests.servers import START_PATIENCE

COMMANDS = ("serve", "control", "proxy", "demo", "status", "start", "advance", "pause", "resume", "rollback", "promote")

SOUND = """\
models:
  fraud_detector:
    servers: {"40": [http://127.0.0.1:5001], "42": [http://127.0.0.1:5002]}
    champion: "40"
"""

UNSOUND = SOUND + '    champoin: "40"\nlisten: 8080\n'


def test_alone_it_says_where_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    shown = capsys.readouterr().out
    assert "penstock demo" in shown
    assert "Exit status" in shown
    listed = (*COMMANDS, "events", "logs", "reload", "replay", "audit", "config", "gate", "registry")
    assert all(f"\n  {command} " in shown for command in listed)
    assert "..." not in shown.partition("Commands:")[2], "a summary is too long for its line"


@pytest.mark.parametrize(
    "words",
    [
        *[(name,) for name in (*COMMANDS, "events", "logs", "reload", "replay")],
        ("config", "validate"),
        ("config", "schema"),
        ("audit", "verify"),
        ("audit", "export"),
    ],
)
def test_each_command_teaches_itself_by_an_example(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words, "--help"]) == 0
    assert f"\n    penstock {' '.join(words)}" in capsys.readouterr().out


def test_an_override_names_all_that_it_passes_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["start", "--help"]) == 0
    told = capsys.readouterr().out
    assert all(against in told for against in ("cool-down", "offline or staging gates", "registry"))


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"penstock {proxy.__version__}\n"


# Processes, whose output is a log; and commands whose output is JSON anyway.
WITHOUT_JSON = {"serve", "control", "proxy", "demo", "config schema", "audit export"}


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    """Each command by its words, and its options."""
    if commands := getattr(command, "commands", None):
        for name, below in commands.items():
            yield from leaves(below, (*path, name))
    else:
        yield " ".join(path), {option for parameter in command.params for option in parameter.opts}


def test_every_command_that_answers_can_answer_in_json() -> None:
    lacking = {name for name, options in leaves(typer.main.get_command(app)) if "--json" not in options}
    assert lacking == WITHOUT_JSON


def test_a_token_and_its_hash_are_json_for_programs(tmp_path: Path) -> None:
    made = called("token", "new", "--name", "ada", "--role", "operator", "--json", cwd=tmp_path)
    told = json.loads(made.stdout)
    assert (told["entry"]["name"], told["entry"]["role"], made.stderr) == ("ada", "operator", "")
    assert told["entry"]["hash"] == hash_of(told["token"])


def test_what_was_begun_is_told_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "init", str(tmp_path / "config"), "--json"]) == Exit.GO
    told = json.loads(capsys.readouterr().out)
    assert told["configuration"] in told["files"]
    assert all(Path(file).is_file() for file in told["files"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["xyzzy"], "No such command 'xyzzy': see `penstock --help`"),
        (["stauts"], "Did you mean 'status', 'start'? See `penstock --help`"),
        (["config", "valdate"], "Did you mean 'validate'?"),
        (["status", "--wach"], "--watch"),
        (["start", "fraud_detector"], "Missing option '--candidate': see `penstock start --help`"),
        (["rollback", "fraud_detector"], "Missing option '--reason': see `penstock rollback --help`"),
        (["advance"], "Missing argument 'MODEL': see `penstock advance --help`"),
        (["proxy", "--workers", "none"], "Invalid value for '--workers'"),
        (["proxy", "--listen", "8080"], "expected HOST:PORT"),
        (["proxy", "--control", "somewhere"], "expected http://host:port"),
        (["status", "--control", "somewhere"], "--control takes http://HOST:PORT"),
        (["config"], "Missing command: see `penstock config --help`"),
    ],
)
def test_wrong_usage_is_never_a_verdict(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == Exit.USAGE
    shown = capsys.readouterr().err
    assert told in shown
    assert shown.startswith("penstock: ")
    assert shown.count("\n") == 1


@pytest.mark.parametrize("command", [["status"], ["status", "--watch"], ["events", "m"], ["pause", "m"]])
def test_a_control_plane_that_is_not_there(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--control", f"http://127.0.0.1:{claimed_port()}"]) == Exit.UNAVAILABLE
    shown = capsys.readouterr().err
    assert "start one with `penstock serve`" in shown
    assert shown.count("\n") == 1


def test_a_reader_that_goes_away_is_no_verdict(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*PENSTOCK, "config", "schema"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=START_PATIENCE,
    )
    os.close(writing)
    assert done.returncode >= 3


def test_a_sound_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text(SOUND)
    assert run(["config", "validate", str(file)]) == 0
    slowest = "slowest is gate error_rate in the stage shadow: at least 337 requests of clients"
    assert capsys.readouterr().out == f"{file}: sound; models: fraud_detector\nfraud_detector: {slowest}\n"
    assert run(["config", "validate", str(file), "--json"]) == 0
    told = {"file": str(file), "sound": True, "problems": [], "models": {"fraud_detector": [slowest]}}
    assert json.loads(capsys.readouterr().out) == told
    file.write_text(UNSOUND)
    assert run(["config", "validate", str(file), "--json"]) == Exit.CONFIGURATION
    told = json.loads(capsys.readouterr().out)
    assert not told["sound"]
    assert any("did you mean champion?" in problem for problem in told["problems"])


def test_gates_that_cannot_be_decided_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "penstock.yaml"
    gates = "{agreement: {min: 98%}, tail: {metric: latency, quantile: p99.99, max: 1s, scope: ramp}}"
    file.write_text(f"{SOUND}    gates: {gates}\n    shadow: {{percent: 1}}\n")
    assert run(["config", "validate", str(file), "--rate", "0.5"]) == 0
    _, first, *_, last = capsys.readouterr().out.splitlines()
    days = "needs at least 1,701,106 requests of clients: 39 days at 0.5 a second"
    assert first == f"fraud_detector: gate tail in the stage 1 % {days}"
    assert last.startswith("fraud_detector: slowest is gate tail in the stage 1 %: at least 1,701,106 requests")
    file.write_text(
        f"{SOUND}    gates: {gates}\n    shadow: {{percent: 0}}\n    plan: {{shadow: {{min_requests: 0}}}}\n"
    )
    assert run(["config", "validate", str(file)]) == 0
    why = "nothing is copied, so it sees nothing in this stage"
    told = f"fraud_detector: gate agreement in the stage shadow cannot be decided: {why}\n"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("command", [["config", "validate"], ["serve", "--config"], ["control", "--config"]])
def test_every_problem_has_its_file_line_and_key(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text(UNSOUND)
    done = called(*command, "penstock.yaml", cwd=tmp_path)
    assert done.returncode == Exit.CONFIGURATION
    assert done.stdout == ""
    problems = done.stderr.splitlines()
    assert len(problems) == 2
    assert problems[0].startswith("penstock.yaml:5: models.fraud_detector.champoin: ")
    assert problems[1].startswith("penstock.yaml:6: listen: ")
    assert list(tmp_path.iterdir()) == [tmp_path / "penstock.yaml"], "nothing was started"


def test_the_configuration_is_also_named_by_the_environment(tmp_path: Path) -> None:
    done = called("config", "validate", cwd=tmp_path, PENSTOCK_CONFIG="elsewhere.yaml")
    assert done.returncode == Exit.CONFIGURATION
    assert "elsewhere.yaml" in done.stderr


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "schema"]) == 0
    assert "models" in json.loads(capsys.readouterr().out)["properties"]


def test_the_command_line_is_light() -> None:
    heavy = "httpx2 mlflow numpy prometheus_client pydantic rich sqlalchemy starlette uvicorn watchfiles yaml"
    code = f"import sys, gates.cli; print(*set('{heavy}'.split()) & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=START_PATIENCE
    )
    assert done.stdout.split() == [], done.stderr
