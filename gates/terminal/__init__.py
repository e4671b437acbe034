"""The control plane's state as people read it in a terminal: 80 columns are enough, and colours only underline."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from gates.durations import duration
from gates.outlook import Forecast
from gates.phases import ENDED
from gates.status import ControlStatus, LaneStatus, ModelStatus, RolloutStatus
from gates.terminal.answers import answers_compared
from gates.terminal.troubles import WIDEST, troubles_view
from gates.terminal.wording import CANDIDATE, CHAMPION, milliseconds, plain, words
from gates.verdict import GateResult, Light, Verdict
from proxy.snapshot import Phase

__all__ = ["model_view", "overview", "workers_view"]

TRAFFIC_CELLS = 36
EVIDENCE_CELLS = 12
_SCALE = f"{'FAIL':<{EVIDENCE_CELLS}}┃{'PASS':>{EVIDENCE_CELLS}}"

PHASES = {
    Phase.IDLE: "bold",
    Phase.SHADOW: "bold blue",
    Phase.RAMP: "bold magenta",
    Phase.BAKE: "bold magenta",
    Phase.PAUSED: "bold yellow",
    Phase.AWAITING_APPROVAL: "bold yellow",
    Phase.PROMOTED: "bold green",
    Phase.ROLLED_BACK: "bold red",
}
_VERDICTS = {
    Verdict.PASS: ("✔", "green"),
    Verdict.FAIL: ("✘", "bold red"),
    Verdict.INSUFFICIENT: ("…", "yellow"),
}
_LIGHTS = {Light.GO: "bold green", Light.WARNING: "bold yellow", Light.NO_GO: "bold red"}
_STAGES = {"done": ("✔", "green"), "now": ("●", "bold magenta"), "ahead": ("○", "dim")}
_LANES = {
    "champion": ("champion", CHAMPION),
    "candidate": ("candidate", CANDIDATE),
    "champion_shadow": ("champion, on copies", CHAMPION),
    "candidate_shadow": ("candidate, on copies", CANDIDATE),
}
_SERVING = ("champion", "candidate")
"""The lanes of clients' requests."""
_HEALTH = {Verdict.PASS: "dim", Verdict.FAIL: "bold red", Verdict.INSUFFICIENT: "dim"}
# What a person can do in a phase that waits for one.
_HINTS = {
    Phase.IDLE: "penstock start {model} --candidate VERSION",
    Phase.PAUSED: "penstock resume {model}, or penstock rollback {model}",
    Phase.AWAITING_APPROVAL: "penstock advance {model}, or penstock rollback {model}",
}


def overview(status: ControlStatus) -> RenderableType:
    """What is wrong, all models, and the workers that are alive."""
    models: list[RenderableType] = [model_view(model) for model in status.models]
    if not models and not status.unresolved:
        models.append(Text("no model is configured", style="yellow"))
    return Group(*troubles_view(status), *models, workers_view(status))


def model_view(status: ModelStatus) -> RenderableType:
    """One model and its rollout."""
    parts: list[RenderableType] = [_headline(status), _traffic(status)]
    if status.rollout is not None:
        parts += [_climb(status.rollout), *_outlook(status.rollout)]
    if status.previous:
        parts.append(_line("back", ", ".join(_past(status))))
    if hint := _HINTS.get(status.phase):
        parts.append(_line("next", hint.format(model=status.model)))
    if status.rollout is not None:
        parts += [Text(), *_traffic_seen(status.rollout), Text(), *_gates(status.rollout)]
    title = Rule(Text(plain(status.model), style="bold"), align="left", style="dim")
    return Constrain(Group(title, Padding(Group(*parts), (0, 1, 1, 1))), WIDEST)


def workers_view(status: ControlStatus) -> Text:
    """Who is alive, and who does not route by the newest generation yet."""
    behind = {name: held for name, held in status.workers.items() if held != status.generation}
    number = len(status.workers)
    if not number:
        return Text(" no worker is alive: no evidence comes in", style="bold red")
    line = Text.assemble((f" {number} worker{'s' if number > 1 else ''} alive", "dim"))
    if not behind:
        return line.append(f", routing by generation {status.generation}", style="dim")
    for name, held in sorted(behind.items()):
        line.append(f", {plain(name)} by generation {held} of {status.generation} yet", style="yellow")
    return line


def _headline(status: ModelStatus) -> Text:
    line = Text.assemble((words(status.phase), PHASES[status.phase]))
    if status.rollout is not None:
        line.append(f"   candidate {plain(status.rollout.candidate)}")
        line.append(f"   started by {plain(status.rollout.started_by)}", style="dim")
    return line


def _traffic(status: ModelStatus) -> Text:
    """Who serves: the two shares as one bar, in which neither vanishes before it is nothing."""
    cells = round(status.percent / 100 * TRAFFIC_CELLS)
    if 0 < status.percent < 100:
        cells = min(max(cells, 1), TRAFFIC_CELLS - 1)
    line = Text.assemble((f"champion {plain(status.champion)} ", CHAMPION))
    line.append("█" * (TRAFFIC_CELLS - cells), style=CHAMPION).append("▒" * cells, style=CANDIDATE)
    if status.candidate is not None:
        line.append(f" {status.percent:g} % candidate {plain(status.candidate)}", style=CANDIDATE)
    return line


def _past(status: ModelStatus) -> Iterator[str]:
    """Whom `penstock rollback --to` goes back to, and whether a server of theirs is known."""
    for name, version in (("previous", status.previous), ("fallback", status.fallback)):
        if version:
            yield f"{name} {version} ({'warm' if version in status.warm else 'no server is configured'})"


def _climb(rollout: RolloutStatus) -> Text:
    """The stages passed, the one that it is in or ended in, and those ahead."""
    line = Text()
    for position, stage in enumerate(rollout.stages):
        fell = rollout.phase is Phase.ROLLED_BACK and position == rollout.position
        mark, style = _VERDICTS[Verdict.FAIL] if fell else _STAGES[stage.state]
        line.append(" ─ " if line else "", style="dim").append(f"{mark} {plain(stage.name)}", style)
    return line


def _outlook(rollout: RolloutStatus) -> list[Table]:
    """How it ended, or what the present stage has and what it lacks before the next one."""
    if rollout.phase in ENDED:
        served = f"the candidate answered {rollout.candidate_served:,} requests of clients"
        return [_line("why", rollout.reason), _line("in all", served)]
    lines = [_line("so far", f"{duration(rollout.elapsed)}, {rollout.requests:,} requests in this stage")]
    if rollout.waiting_for:
        lines.append(_line("needs", ", ".join(rollout.waiting_for)))
    lines += [_line("note", note) for note in _notes(rollout)]
    return lines


def _notes(rollout: RolloutStatus) -> list[str]:
    """What is out of the ordinary."""
    notes = []
    if rollout.dry_run:
        said = f"; it says: {rollout.reason}" if rollout.reason.startswith("dry run") else ""
        notes.append(f"a dry run: the controller records what it would do, and people act{said}")
    if rollout.stepped_down:
        notes.append("stepped down once; the next gate that fails rolls back")
    if rollout.overdue:
        notes.append("past the deadline of the stage")
    return notes + list(rollout.warnings)


def _line(label: str, text: str) -> Table:
    row = Table.grid()
    row.add_column(width=8, style="dim")
    row.add_row(label, Text(plain(text)))
    return row


def _traffic_seen(rollout: RolloutStatus) -> list[RenderableType]:
    lanes, left = rollout.lanes, list(_left(rollout.lanes))
    if not left and not any(lane.answers for lane in lanes.values()):
        return [Text("no answers in this stage yet", style="dim")]
    return [_lanes(lanes), *_failures(lanes), *left, *answers_compared(rollout), *_losses(rollout)]


def _lanes(lanes: dict[str, LaneStatus]) -> Table:
    table = Table(box=None, padding=(0, 0, 0, 2), pad_edge=False, header_style="dim")
    table.add_column("")
    for heading in ("answers", "failed", "p50", "p99"):
        table.add_column(heading, justify="right", min_width=9)
    for name, (label, style) in _LANES.items():
        lane = lanes.get(name)
        if lane is None or not lane.answers:
            continue
        failed = Text(f"{lane.failures:,}", style="red" if lane.failures else "")
        table.add_row(
            Text(label, style), f"{lane.answers:,}", failed, milliseconds(lane.p50_ms), milliseconds(lane.p99_ms)
        )
    return table


def _failures(lanes: dict[str, LaneStatus]) -> Iterator[Text]:
    """By code: what went wrong tells whose fault it is."""
    for name, (label, _) in _LANES.items():
        if name in lanes and (errors := lanes[name].errors):
            codes = sorted(errors.items(), key=lambda item: -item[1])
            yield Text(
                f"{label} failed: " + ", ".join(f"{plain(code)} {count:,}" for code, count in codes), style="red"
            )


def _left(lanes: dict[str, LaneStatus]) -> Iterator[Text]:
    """Where one of the two makes clients wait in vain, this is where it shows: they have no answers to count. Copies
    have no clients; theirs were given up by a worker that stopped."""
    left = [f"{name} {lanes[name].abandoned:,}" for name in _SERVING if name in lanes and lanes[name].abandoned]
    if left:
        yield Text(f"clients that left before their answer was whole: {', '.join(left)}", style="yellow")


def _losses(rollout: RolloutStatus) -> list[Text]:
    since = "since the rollback: " if rollout.phase is Phase.ROLLED_BACK else ""
    lines = [Text(f"{since}{plain(str(rollout.champion))}", style=_HEALTH[rollout.champion.verdict])]
    if rollout.bad_answers:
        cap = f", of {rollout.max_bad_answers:,} at most" if rollout.max_bad_answers else ""
        failed = f"the candidate failed {rollout.bad_answers:,} requests of clients in the whole rollout{cap}"
        lines.append(Text(failed, style="red"))
    if rollout.fallbacks:
        lines.append(Text(f"the champion stepped in for the candidate {rollout.fallbacks:,} times", style="yellow"))
    if dropped := {why: count for why, count in rollout.shadow_dropped.items() if count}:
        kinds = ", ".join(f"{plain(why)} {count:,}" for why, count in dropped.items())
        lines.append(Text(f"copies not made: {kinds}", style="yellow"))
    return lines


def _gates(rollout: RolloutStatus) -> list[RenderableType]:
    """Each gate: its verdict, how far it is from either, and the value that it saw against its limit."""
    if not rollout.gates:
        return [Text("no gates", style="dim")]
    light = Text.assemble(("gates ", "bold"), (rollout.light, _LIGHTS[rollout.light]))
    lines: list[RenderableType] = [_columns(light, Text(), Text(_SCALE, style="dim"))]
    forecasts = {forecast.gate: forecast for forecast in rollout.forecasts}
    for gate in rollout.gates:
        mark, style = _VERDICTS[gate.verdict]
        verdict = Text.assemble((gate.verdict, style), (" advisory" if gate.severity == "advisory" else "", "dim"))
        lines.append(_columns(Text.assemble((mark, style), f" {plain(gate.gate)}"), verdict, _evidence(gate)))
        lines.append(Padding(Text(plain(gate.reason), style="dim"), (0, 0, 0, 2)))
        if gate.verdict is Verdict.INSUFFICIENT and gate.gate in forecasts:
            lines.append(Padding(Text(_heading(forecasts[gate.gate]), style="dim"), (0, 0, 0, 2)))
    if rollout.false_alarm:
        each = f"{rollout.false_alarm_each * 100:.2g} % a gate and stage"
        lines.append(Text(f"false alarms: {rollout.false_alarm * 100:.2g} % a rollout, {each}", style="dim"))
    return lines


def _heading(forecast: Forecast) -> str:
    """The time to a verdict, if the traffic and its rates stay what they are."""
    if forecast.requests is None:
        return "no verdict in sight at these rates"
    when = "" if forecast.seconds is None else f", {duration(forecast.seconds)} at this traffic"
    requests = "1 request" if forecast.requests == 1 else f"{forecast.requests:,} requests"
    return f"{forecast.verdict} in about {requests}{when}"


def _columns(name: Text, verdict: Text, evidence: Text) -> Table:
    row = Table.grid(expand=True, padding=(0, 1, 0, 0))
    row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    row.add_column(width=21)
    row.add_column(width=len(_SCALE))
    row.add_row(name, verdict, evidence)
    return row


def _evidence(gate: GateResult) -> Text:
    """A tug of war: from the middle to the left toward FAIL, to the right toward PASS; the end of a side decides."""
    left, right = (_cells(part) for part in (gate.toward_fail, gate.toward_pass))
    empty = "─" * EVIDENCE_CELLS
    line = Text.assemble((empty[left:], "dim"), ("█" * left, "red"), "┃", ("█" * right, "green"))
    return line.append(empty[right:], style="dim")


def _cells(part: float) -> int:
    """Full only where nothing is lacking."""
    return EVIDENCE_CELLS if part >= 1 else min(round(part * EVIDENCE_CELLS), EVIDENCE_CELLS - 1)
