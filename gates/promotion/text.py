"""A report as a person reads it in a terminal: the light first, then each gate under its own, the worst first."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule as Line
from rich.text import Text

from gates.promotion.documents import LIGHTS, subject, when
from gates.promotion.report import Report, StageReport
from gates.verdict import GateResult, Light, Verdict

_COLOURS = {Light.GO: "bold green", Light.WARNING: "bold yellow", Light.NO_GO: "bold red"}
_SAID = {
    Light.GO: "all gates pass",
    Light.WARNING: "no critical gate fails, and not all pass: look before you go on",
    Light.NO_GO: "a critical gate fails",
}
_ORDER = (Light.NO_GO, Light.WARNING, Light.GO)


def as_text(report: Report) -> RenderableType:
    headline = Text.assemble((LIGHTS[report.light], _COLOURS[report.light]), f"  {plain(subject(report))}")
    stages = [part for stage in report.stages for part in _stage(stage)]
    return Group(headline, Text(f"{_SAID[report.light]}", style="dim"), *stages, Text(when(report), style="dim"))


def light_of(gate: GateResult) -> Light:
    """The light that this gate alone would show."""
    if gate.verdict is Verdict.PASS:
        return Light.GO
    return Light.NO_GO if gate.verdict is Verdict.FAIL and gate.severity == "critical" else Light.WARNING


def plain(text: str) -> str:
    """Text from elsewhere, such as a tag's, without what would steer the terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _stage(stage: StageReport) -> Iterator[RenderableType]:
    yield Text()
    yield Line(
        Text.assemble((stage.stage, "bold"), "  ", (str(stage.light), _COLOURS[stage.light])), align="left", style="dim"
    )
    for light in _ORDER:
        gates = [gate for gate in stage.gates if light_of(gate) is light]
        if gates:
            yield Text(
                f"{LIGHTS[light]} ({len(gates)} {'gate' if len(gates) == 1 else 'gates'})", style=_COLOURS[light]
            )
            yield from (Padding(_gate(gate, light), (0, 0, 0, 2)) for gate in gates)


def _gate(gate: GateResult, light: Light) -> RenderableType:
    weight = " advisory" if gate.severity == "advisory" else ""
    lines: list[RenderableType] = [
        Text.assemble((f"{plain(gate.gate)} ", "bold"), (str(gate.verdict), _COLOURS[light]), (weight, "dim")),
        Padding(Text(plain(gate.reason)), (0, 0, 0, 2)),
    ]
    value = "none" if gate.value is None else f"{gate.value:.6g}"
    read = f"value {value}  limit {gate.limit:.6g}  {plain(gate.source)}"
    lines.append(Padding(Text(read, style="dim", overflow="fold"), (0, 0, 0, 2)))
    if gate.verdict is not Verdict.PASS:
        lines += [Padding(Text(plain(line), style="dim"), (0, 0, 0, 4)) for line in gate.details]
    return Group(*lines)
