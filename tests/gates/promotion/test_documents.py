"""A report in every format."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from rich.console import Console

from gates.promotion.documents import as_json, as_junit, as_markdown
from gates.promotion.report import Report, StageReport
from gates.promotion.rule import Rule
from gates.promotion.text import as_text
from gates.verdict import Light, Verdict

RESULTS = (
    Rule(name="size").result(Verdict.PASS, 3.0, 5.0, "small | enough", "MLflow"),
    Rule(name="auc").result(Verdict.FAIL, 0.7, 0.8, "auc 0.7 <b>", "MLflow", ["EU: 0.6", "US: \x1b[31m0.8"]),
    Rule(name="tags", severity="advisory").result(Verdict.FAIL, 2.0, 0.0, "no team", "MLflow"),
    Rule(name="slices", severity="advisory").lacking(0.5, "no data", "MLflow"),
)
REPORT = Report.of("fraud_detector", "42", "40", 1_700_000_000.0, [StageReport.of("offline", RESULTS)])


def printed() -> str:
    console = Console(width=100, no_color=True)
    with console.capture() as captured:
        console.print(as_text(REPORT))
    return captured.get()


def test_json_holds_all() -> None:
    read = json.loads(as_json(REPORT))
    assert (read["light"], read["time"]) == ("NO-GO", "2023-11-14T22:13:20+00:00")
    assert read["stages"][0]["gates"][1]["value"] == 0.7
    assert read["stages"][0]["gates"][3]["value"] is None


def test_markdown_keeps_its_tables_whole() -> None:
    text = as_markdown(REPORT)
    assert "# 🔴 NO-GO: fraud_detector 42 against champion 40" in text
    assert "| ✅ | size | 3 | 5 | small \\| enough |" in text
    assert "&lt;b>" in text
    assert "- EU: 0.6" in text


def test_junit_fails_by_critical_gates_alone() -> None:
    suite = ElementTree.fromstring(as_junit(REPORT))[0]
    assert suite.attrib | {"timestamp": ""} == {
        "name": "offline",
        "timestamp": "",
        "tests": "4",
        "failures": "1",
        "skipped": "2",
        "errors": "0",
    }
    assert [case[0].tag for case in suite] == ["system-out", "failure", "skipped", "skipped"]


def test_text_shows_the_worst_first_and_steers_no_terminal() -> None:
    text = printed()
    assert text.index("🔴 NO-GO (1 gate)") < text.index("🟡 WARNING (2 gates)") < text.index("🟢 GO (1 gate)")
    assert "value 0.7  limit 0.8  MLflow" in text
    assert "\x1b" not in text


def test_no_gates_are_no_go_ahead() -> None:
    assert Report.of("m", "1", "2", 0.0, []).light is Light.WARNING
