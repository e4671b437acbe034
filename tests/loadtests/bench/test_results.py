"""The arithmetic: neighbours, medians, worst cases and bounds."""

from __future__ import annotations

import pytest

from loadtests.bench.results import MEASURES, Result, judged, ratios
from loadtests.bench.scenarios import SCENARIOS, Case, Goal, Scenario
from tests.loadtests.bench.samples import run

OURS, THEIRS = Case("penstock"), Case("envoy")


def test_a_run_is_held_against_its_nearest_neighbour() -> None:
    """Two rounds, the second backwards, on a machine that becomes half as fast between them."""
    runs = [run(THEIRS, 1000), run(OURS, 1200), run(OURS, 600), run(THEIRS, 500)]

    assert ratios("rate", OURS, THEIRS, runs) == [1.2, 1.2]


def test_without_a_neighbour_or_a_figure_there_is_no_ratio() -> None:
    assert ratios("rate", OURS, THEIRS, [run(OURS)]) == []
    assert ratios("cpu", OURS, Case("direct"), [run(OURS), run(Case("direct"), cpu=None)]) == []
    assert judged(Goal("rate", OURS, THEIRS, at_least=1.0), [run(OURS)]) is None


def test_a_ratio_is_judged_by_its_median_and_shows_its_spread() -> None:
    runs = [run(THEIRS, 100), run(OURS, 90), run(OURS, 130), run(THEIRS, 100), run(THEIRS, 100), run(OURS, 300)]

    finding = judged(Goal("rate", OURS, THEIRS, at_least=1.25), runs)

    assert finding is not None
    assert (finding.value, finding.low, finding.high, finding.values) == (1.3, 0.9, 3.0, 3)
    assert finding.met is True
    assert "penstock against envoy" in finding.text


def test_a_figure_without_a_neighbour_is_judged_by_its_worst_run() -> None:
    runs = [run(OURS, failures=0), run(OURS, failures=2)]

    goal = Goal("failures", OURS, at_most=0)
    findings = judged(goal, runs[:1]), judged(goal, runs)
    assert [finding.met for finding in findings if finding is not None] == [True, False]


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal("rate", OURS, at_least=1.0), 1.0, True),
        (Goal("rate", OURS, at_least=1.0), 0.99, False),
        (Goal("rate", OURS, at_most=1.0), 1.01, False),
        (Goal("rate", OURS), 0.0, None),
    ],
)
def test_a_bound_is_met_at_its_edge_and_a_goal_without_one_is_neither(goal: Goal, value: float, met: object) -> None:
    assert goal.met_by(value) is met


def test_a_row_has_medians_and_all_failures() -> None:
    runs = (run(OURS, 100, cpu=0.1), run(OURS, 300, failures=2, cpu=0.9), run(OURS, 200, failures=1, cpu=0.4))

    (row,) = Result(Scenario("s", "S", (OURS,)), runs).rows

    assert row.figures["rate"] == 200
    assert row.figures["cpu"] == pytest.approx(2000)  # of 1000, 3000 and 2000 microseconds a request
    assert row.figures["failures"] == 3
    assert row.runs == 3


def test_every_goal_of_every_scenario_can_be_judged_by_its_own_runs() -> None:
    for scenario in SCENARIOS.values():
        result = Result(scenario, tuple(run(case) for case in scenario.cases))

        assert len(result.findings) == len(scenario.goals), scenario.name
        assert all(goal.measure in MEASURES for goal in scenario.goals)


def test_what_is_compared_runs_side_by_side() -> None:
    """Two places apart at most: the runs between are short, and the same in each round."""
    for scenario in SCENARIOS.values():
        for goal in scenario.goals:
            ours = [place for place, case in enumerate(scenario.cases) if case == goal.of]
            theirs = [place for place, case in enumerate(scenario.cases) if case == goal.against]
            assert not theirs or min(abs(a - b) for a in ours for b in theirs) <= 2, (scenario.name, goal)


def test_a_scenario_can_be_limited_to_some_contenders() -> None:
    scenario = SCENARIOS["small"].limited_to(frozenset({"penstock", "envoy"}))

    assert {case.contender for case in scenario.cases} == {"penstock", "envoy"}
    assert [goal.against.contender for goal in scenario.goals if goal.against] == ["envoy"]
