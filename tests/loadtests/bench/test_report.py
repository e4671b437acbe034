"""What is written can be read again, says what was measured, and marks what went wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from loadtests.bench.chart import draw
from loadtests.bench.report import Report, cost_by_body, show
from loadtests.bench.results import Result
from loadtests.bench.scenarios import SCENARIOS
from tests.loadtests.bench.samples import run


def result(name: str, failures: int = 0) -> Result:
    scenario = SCENARIOS[name]
    return Result(
        scenario,
        tuple(
            run(case, 1000 + place, failures=failures, cpu=None if case.contender == "direct" else case.body / 1e5)
            for place, case in enumerate(scenario.cases)
        ),
    )


def test_the_files_hold_every_run_and_every_finding(tmp_path: Path) -> None:
    report = Report("2030-01-02T03:04+00:00", {"processor": "a core"}, {"pairs": 1}, [result("small")])

    report.write(tmp_path)

    written = json.loads((tmp_path / "bench.json").read_bytes())
    (scenario,) = written["scenarios"]
    assert written["machine"] == {"processor": "a core"}
    assert [entry["load"]["requests"] for entry in scenario["runs"]] == list(range(1000, 1008))
    assert len(scenario["findings"]) == len(SCENARIOS["small"].goals)
    text = (tmp_path / "bench.md").read_text()
    assert "2030-01-02T03:04+00:00; processor a core; pairs 1." in text
    assert "| penstock+shadow | 1,005 |" in text
    assert "penstock against envoy, requests/s: at least 1 → 1.00" in text


def test_a_run_with_failures_is_marked() -> None:
    output = io.StringIO()

    show(result("small", failures=7), Console(file=output, width=200))

    assert "7!" in output.getvalue()


def test_what_a_request_costs_grows_with_its_body() -> None:
    costs = cost_by_body([result("small"), result("10kb"), result("models"), result("faults")])

    assert "direct" not in costs
    assert list(costs["envoy+mirror"]) == [200, 10_000]
    assert costs["envoy+mirror"][200] < costs["envoy+mirror"][10_000]
    assert cost_by_body([result("small")]) == {}


def test_the_picture_is_a_png_with_a_panel_for_everything(tmp_path: Path) -> None:
    small, tall = tmp_path / "small.png", tmp_path / "tall.png"

    draw([result("small")], small, "then and there")
    draw([result("small"), result("10kb"), result("faults")], tall, "then and there")

    assert small.read_bytes().startswith(b"\x89PNG\r\n")
    assert _height(tall) > 2 * _height(small)


def _height(png: Path) -> int:
    return int.from_bytes(png.read_bytes()[20:24], "big")
