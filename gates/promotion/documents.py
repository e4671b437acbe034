"""A report as other programs read it: JSON, Markdown for a pull request, JUnit for a build server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree

import msgspec

from gates.promotion.report import Report
from gates.verdict import GateResult, Light, Verdict

MARKS = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.INSUFFICIENT: "⚠️"}
LIGHTS = {Light.GO: "🟢 GO", Light.WARNING: "🟡 WARNING", Light.NO_GO: "🔴 NO-GO"}


def as_json(report: Report) -> str:
    """All of it, with the time in ISO 8601 beside the seconds."""
    built: dict[str, object] = msgspec.to_builtins(report)
    return msgspec.json.format(msgspec.json.encode(built | {"time": when(report)})).decode() + "\n"


def as_markdown(report: Report) -> str:
    """A table for each stage; what failed or lacks data says so in full below it."""
    return "\n".join([f"# {LIGHTS[report.light]}: {subject(report)}", "", *_sections(report), f"_{when(report)}_", ""])


def as_junit(report: Report) -> str:
    """A suite for each stage, a case for each gate. What failed is a failure where it is critical; what lacks data, and
    advisory failures, are skipped cases with their reason, as JUnit has no warning."""
    root = ElementTree.Element("testsuites", name="penstock gate", timestamp=when(report))
    for stage in report.stages:
        suite = ElementTree.SubElement(root, "testsuite", name=stage.stage, timestamp=when(report))
        counts = {"tests": len(stage.gates), "failures": 0, "skipped": 0, "errors": 0}
        for gate in stage.gates:
            case = ElementTree.SubElement(suite, "testcase", classname=f"penstock.{stage.stage}", name=gate.gate)
            if gate.verdict is Verdict.PASS:
                ElementTree.SubElement(case, "system-out").text = gate.reason
                continue
            kind = "failure" if gate.verdict is Verdict.FAIL and gate.severity == "critical" else "skipped"
            counts["failures" if kind == "failure" else "skipped"] += 1
            shown = ElementTree.SubElement(case, kind, message=_printable(f"{gate.verdict}: {gate.reason}"))
            shown.text = _printable("\n".join((gate.source, *gate.details)))
        suite.attrib |= {name: str(count) for name, count in counts.items()}
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def subject(report: Report) -> str:
    """Who was checked, in words."""
    if not report.model:
        return "the service"
    against = f" against champion {report.champion}" if report.champion else ""
    return f"{report.model} {report.candidate}{against}".strip()


def when(report: Report) -> str:
    return datetime.fromtimestamp(report.at, UTC).isoformat(timespec="seconds")


def _sections(report: Report) -> Iterator[str]:
    for stage in report.stages:
        yield from (f"## {stage.stage}: {stage.light}", "")
        yield from ("| | gate | value | limit | why |", "|---|---|---:|---:|---|")
        yield from (_row(gate) for gate in stage.gates)
        yield ""
        for gate in stage.gates:
            if gate.verdict is not Verdict.PASS and gate.details:
                yield from (f"<details><summary>{_cell(gate.gate)}</summary>", "")
                yield from (f"- {_cell(line)}" for line in gate.details)
                yield from ("", "</details>", "")


def _row(gate: GateResult) -> str:
    weight = " (advisory)" if gate.severity == "advisory" else ""
    value = "" if gate.value is None else f"{gate.value:.6g}"
    cells = (MARKS[gate.verdict], f"{gate.gate}{weight}", value, f"{gate.limit:.6g}", gate.reason)
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _printable(text: str) -> str:
    """XML 1.0 has no control characters."""
    return "".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in text)
