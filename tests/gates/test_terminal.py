"""What people read in a terminal, as text."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType

from gates import decisions, terminal
from gates.health import Health
from gates.outlook import Forecast
from gates.state import AuditRow
from gates.status import AgreementStatus, ControlStatus, LaneStatus, ModelStatus, RolloutStatus, StageStatus
from gates.terminal.troubles import WIDEST
from gates.verdict import GateResult, Light, Verdict
from proxy.snapshot import Phase
from tests.control import MODEL as SERVED
from tests.control import Desk, in_loop

ERRORS = GateResult("errors", "critical", Verdict.PASS, 0.0002, 0.01, 5000, 1, 1.0, 0.0, "0.02 % errors, 1 of 5000")
LATENCY = GateResult(
    "latency", "critical", Verdict.INSUFFICIENT, 0.012, 0.05, 400, 3, 0.62, 0.0, "p99 12 ms: too few to tell"
)
AGREEMENT = GateResult("agreement", "advisory", Verdict.FAIL, 0.9, 0.98, 400, 40, 0.0, 1.0, "90.00 % agreement")

NAMES = ("shadow", "1 %", "10 %", "100 %", "bake")


def stages(position: int, now: bool = True) -> tuple[StageStatus, ...]:
    def state(at: int) -> str:
        return "done" if at < position else "now" if now and at == position else "ahead"

    return tuple(StageStatus(name, 0.0, 60.0, 500, False, state(at)) for at, name in enumerate(NAMES))


ROLLOUT = RolloutStatus(
    id="r1",
    candidate="42",
    started_by="maria",
    phase=Phase.RAMP,
    position=2,
    stages=stages(2),
    elapsed=683.0,
    requests=5011,
    waiting_for=("77 s of 1800 s", "gate latency"),
    light=Light.WARNING,
    gates=(ERRORS, LATENCY, AGREEMENT),
    lanes={
        "champion": LaneStatus(45_123, 3, 4.13, 12.9),
        "candidate": LaneStatus(5_011, 1, 3.9, 1023.4),
        "champion_shadow": LaneStatus(0, 0, None, None),
        "candidate_shadow": LaneStatus(12, 0, None, None),
    },
    agreement=AgreementStatus(45_012, 22, 0.99996, {"label": 2, "number": 20}),
    shadow_dropped={"in_flight": 7, "bytes": 0},
    fallbacks=12,
    candidate_served=7_000,
    ended_by_gate="",
    reason="",
)
HANGING = LaneStatus(0, 0, None, None, abandoned=1_234)
MODEL = ModelStatus("fraud_detector", "40", "42", Phase.RAMP, 10.0, 17, ROLLOUT)
ROLLED_BACK = replace(
    MODEL,
    candidate=None,
    phase=Phase.ROLLED_BACK,
    percent=0.0,
    rollout=replace(
        ROLLOUT, phase=Phase.ROLLED_BACK, stages=stages(2, now=False), ended_by_gate="errors", reason="gate errors: 4 %"
    ),
)
IDLE = ModelStatus("ranking", "3", None, Phase.IDLE, 0.0, 17, None)
PAUSED = replace(MODEL, phase=Phase.PAUSED, rollout=replace(ROLLOUT, phase=Phase.PAUSED))
STATUS = ControlStatus(17, (MODEL, ROLLED_BACK, IDLE, PAUSED), {"a": 17, "b": 16})


def text(view: RenderableType, width: int = 80, **console: object) -> str:
    out = io.StringIO()
    Console(file=out, width=width, **console).print(view)  # type: ignore[arg-type]
    return out.getvalue()


def line_with(words: str, view: RenderableType) -> str:
    (line,) = [line for line in text(view).splitlines() if words in line]
    return line.strip()


def test_clients_that_leave_are_told_even_where_nobody_got_an_answer() -> None:
    """A candidate that hangs has no answers, and so no failures."""
    shown = terminal.model_view(
        replace(MODEL, rollout=replace(ROLLOUT, lanes={"candidate": HANGING, "candidate_shadow": HANGING}))
    )
    assert line_with("clients that left", shown) == "clients that left before their answer was whole: candidate 1,234"
    assert "clients that left" not in text(terminal.model_view(MODEL))


def test_a_ramp_is_told_whole() -> None:
    view = terminal.model_view(MODEL)
    assert line_with("started by", view) == "ramp   candidate 42   started by maria"
    assert line_with("champion 40", view) == f"champion 40 {'█' * 32}{'▒' * 4} 10 % candidate 42"
    assert line_with("shadow", view) == "✔ shadow ─ ✔ 1 % ─ ● 10 % ─ ○ 100 % ─ ○ bake"
    assert line_with("so far", view) == "so far  11 min 23 s, 5,011 requests in this stage"
    assert line_with("needs", view) == "needs   77 s of 1800 s, gate latency"
    assert line_with("45,123", view).split() == ["champion", "45,123", "3", "4.1", "ms", "12.9", "ms"]
    assert line_with("1,023 ms", view).split() == ["candidate", "5,011", "1", "3.9", "ms", "1,023", "ms"]
    assert line_with("on copies", view).split() == ["candidate,", "on", "copies", "12", "0", "-", "-"]
    assert line_with("pairs", view) == "99.99 % agreement over 45,012 pairs; 22 differ: number 20, label 2"
    assert line_with("stepped in", view) == "the champion stepped in for the candidate 12 times"
    assert line_with("copies not", view) == "copies not made: in_flight 7"


def test_each_gate_shows_its_verdict_and_how_far_it_is_from_either() -> None:
    view = terminal.model_view(MODEL)
    assert line_with("gates", view).split() == ["gates", "WARNING", "FAIL", "┃", "PASS"]
    assert line_with("✔ errors", view).split() == ["✔", "errors", "PASS", f"{'─' * 12}┃{'█' * 12}"]
    assert line_with("… latency", view).split() == ["…", "latency", "INSUFFICIENT", f"{'─' * 12}┃{'█' * 7}{'─' * 5}"]
    assert line_with("advisory", view).split() == ["✘", "agreement", "FAIL", "advisory", f"{'█' * 12}┃{'─' * 12}"]
    assert line_with("too few", view) == "p99 12 ms: too few to tell"


def test_the_end_names_its_reason_and_where_it_came() -> None:
    view = terminal.model_view(ROLLED_BACK)
    assert line_with("why", view) == "why     gate errors: 4 %"
    assert line_with("shadow", view) == "✔ shadow ─ ✔ 1 % ─ ✘ 10 % ─ ○ 100 % ─ ○ bake"
    assert line_with("in all", view) == "in all  the candidate answered 7,000 requests of clients"


@pytest.mark.parametrize(
    ("model", "hint"),
    [
        (IDLE, "next    penstock start ranking --candidate VERSION"),
        (PAUSED, "next    penstock resume fraud_detector, or penstock rollback fraud_detector"),
    ],
)
def test_a_phase_that_waits_for_a_person_says_for_what(model: ModelStatus, hint: str) -> None:
    assert line_with("next", terminal.model_view(model)) == hint


def test_a_stage_without_answers_has_no_table() -> None:
    empty = replace(ROLLOUT, lanes={"champion": LaneStatus(0, 0, None, None)}, gates=())
    shown = text(terminal.model_view(replace(MODEL, rollout=empty)))
    assert "no answers in this stage yet" in shown
    assert "no gates" in shown
    assert "p99" not in shown


def test_workers() -> None:
    assert text(terminal.workers_view(STATUS)) == " 2 workers alive, b by generation 16 of 17 yet\n"
    one = replace(STATUS, workers={"a": 17})
    assert text(terminal.workers_view(one)) == " 1 worker alive, routing by generation 17\n"
    assert "no worker is alive" in text(terminal.workers_view(replace(STATUS, workers={})))


def test_without_a_model() -> None:
    assert "no model is configured" in text(terminal.overview(ControlStatus(0, (), {})))


def test_failures_are_told_by_code() -> None:
    """Whose fault it is, the number alone does not tell."""
    champion = LaneStatus(45_123, 13, 4.13, 12.9, {"status_5xx": 1, "timeout": 12})
    failing = replace(ROLLOUT, lanes={"champion": champion, "candidate": LaneStatus(5, 0, 3.9, 4.0)})
    shown = terminal.model_view(replace(MODEL, rollout=failing))
    assert line_with("failed:", shown) == "champion failed: timeout 12, status_5xx 1"


@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    lines = text(terminal.overview(STATUS), width).splitlines()
    assert max(map(cell_len, lines)) <= min(width, WIDEST)


def test_colour_only_where_there_is_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    view = terminal.overview(STATUS)
    assert "\x1b" not in text(view)
    assert "\x1b[31m" in text(view, force_terminal=True, color_system="standard")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in text(view, force_terminal=True, color_system="standard")


def test_words_from_elsewhere_cannot_steer_the_terminal() -> None:
    evil = "\x1b[2J\x9b\r\n\x07[bold]"
    model = replace(MODEL, model=evil, rollout=replace(ROLLOUT, started_by=evil, waiting_for=(evil,)))
    row = AuditRow(3, 0.0, evil, "r1", "start", evil, evil, "shadow", 0, "{}")
    shown = text(terminal.model_view(model)) + text(decisions.events_view([row]))
    assert not set(shown) & set("\x1b\x9b\r\x07")
    assert "[bold]" in shown


def test_events() -> None:
    row = AuditRow(3, 0.0, "m", "r1", "roll_back", "maria", "odd scores", "rolled_back", 0, "{}")
    heading, line = text(decisions.events_view([row])).splitlines()
    assert heading.split() == ["when", "event", "phase", "by", "why"]
    assert line.split()[2:] == ["roll", "back", "rolled", "back", "maria", "odd", "scores"]
    assert "nothing has happened yet" in text(decisions.events_view([]))


@in_loop
async def test_a_step_is_told_with_its_share() -> None:
    async with Desk() as desk:
        worker = desk.worker()
        await desk.pass_stage(worker)
        await desk.pass_stage(worker)
        newest, before, *_ = await desk.controller.queries.events(SERVED, 10)
    assert "climb -> ramp at 50 %  by controller" in str(decisions.decision_line(newest))
    assert "ramp at 5 %" in text(decisions.events_view([before]))
    torn = replace(newest, inputs="{}")
    assert "climb -> ramp  by controller" in str(decisions.decision_line(torn)), "what another version wrote down"


@given(st.floats(0.01, 99.99))
def test_neither_share_vanishes_before_it_is_nothing(percent: float) -> None:
    line = line_with("champion 40", terminal.model_view(replace(MODEL, percent=percent, rollout=None)))
    assert line.count("█") >= 1
    assert line.count("▒") >= 1
    assert line.count("█") + line.count("▒") == terminal.TRAFFIC_CELLS


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_side_of_the_evidence_is_full_only_where_it_decides(toward_pass: float, toward_fail: float) -> None:
    gate = replace(LATENCY, toward_pass=toward_pass, toward_fail=toward_fail)
    rollout = replace(ROLLOUT, gates=(gate,))
    fail, _, passed = (
        line_with("INSUFF", terminal.model_view(replace(MODEL, rollout=rollout))).split()[3].partition("┃")
    )
    assert (fail == "█" * terminal.EVIDENCE_CELLS) == (toward_fail == 1)
    assert (passed == "█" * terminal.EVIDENCE_CELLS) == (toward_pass == 1)
    assert len(fail) == len(passed) == terminal.EVIDENCE_CELLS


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0.4 s"), (59.9, "59 s"), (60, "1 min"), (3600, "1 h"), (90_000, "1 d 1 h")],
)
def test_durations(seconds: float, words: str) -> None:
    model = replace(MODEL, rollout=replace(ROLLOUT, elapsed=seconds))
    assert line_with("so far", terminal.model_view(model)).startswith(f"so far  {words},")


def test_what_keeps_a_rollout_safe_is_told() -> None:
    guarded = replace(
        ROLLOUT,
        forecasts=(
            Forecast("latency", Verdict.PASS, 1_234, 83.0),
            Forecast("errors", Verdict.PASS, 0, 0.0),
        ),
        false_alarm=0.01,
        false_alarm_each=0.01 / 12,
        warnings=("gate tail in the stage 5 % cannot be decided",),
        bad_answers=7,
        max_bad_answers=50,
        champion=Health(200, 90, Verdict.FAIL),
        dry_run=True,
        stepped_down=True,
        overdue=True,
        reason="dry run: would climb: stage passed",
    )
    shown = text(terminal.model_view(replace(MODEL, rollout=guarded)), width=120)
    for words in (
        "PASS in about 1,234 requests, 1 min 23 s at this traffic",
        "false alarms: 1 % a rollout, 0.083 % a gate and stage",
        "gate tail in the stage 5 % cannot be decided",
        "the candidate failed 7 requests of clients in the whole rollout, of 50 at most",
        "the champion fails as well: 90 failed of 200",
        "it says: dry run: would climb: stage passed",
        "stepped down once; the next gate that fails rolls back",
        "past the deadline of the stage",
    ):
        assert words in " ".join(shown.split()), words
    fallen = replace(guarded, phase=Phase.ROLLED_BACK)
    assert line_with("since", terminal.model_view(replace(MODEL, rollout=fallen))) == (
        "since the rollback: the champion fails as well: 90 failed of 200"
    )
    assert shown.count("in about") == 1, "a gate that has its verdict needs no forecast"


def test_one_request_is_one() -> None:
    near = replace(ROLLOUT, forecasts=(Forecast("latency", Verdict.PASS, 1, 0.4),))
    assert "PASS in about 1 request," in text(terminal.model_view(replace(MODEL, rollout=near)), width=120)


def test_a_gate_without_a_verdict_in_sight_says_so() -> None:
    stuck = replace(ROLLOUT, forecasts=(Forecast("latency", Verdict.INSUFFICIENT, None, None),))
    assert (
        line_with("in sight", terminal.model_view(replace(MODEL, rollout=stuck)))
        == "no verdict in sight at these rates"
    )
