"""What the table says of a judge: counted by hand, and honest about where others do better."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from loadtests.judge import ours
from loadtests.judge.__main__ import run
from loadtests.judge.report import show, write
from loadtests.judge.results import OURS, Figures, measure, shortfalls
from loadtests.judge.rivals import RIVALS, Kayenta
from loadtests.judge.traffic import SCENARIOS, SECONDS, Arms, Scenario, Traffic, simulate
from loadtests.judge.verdicts import NEVER, Verdicts

LATE = Scenario("late", fault=0.5, onset=100)


def late_traffic() -> Traffic:
    """Four rollouts, ten answers a second, five of them failing from second 100 on."""
    answers, errors = np.full((SECONDS, 4), 10, dtype=np.int32), np.zeros((SECONDS, 4), dtype=np.int32)
    errors[100:] = 5
    arms = Arms(answers, errors, np.zeros_like(errors), 9 * answers, np.zeros_like(errors))
    return Traffic(LATE, arms, arms)


def test_a_rollback_before_the_fault_is_a_false_one() -> None:
    verdicts = Verdicts(np.array([60.0, 110.0, 130.0, NEVER]), np.array([False, False, False, True]))
    figures = measure("one", late_traffic(), verdicts)
    assert figures.false_rollbacks == 0.25
    assert figures.detected == 0.5
    assert figures.promoted == figures.wrongly_promoted == 0.25
    assert figures.held == 0
    assert figures.bad_answers == (0 + 50 + 150 + 5 * (SECONDS - 100)) / 4
    assert figures.seconds is None
    soon = measure("one", late_traffic(), replace(verdicts, rolled_back=np.array([110.0, 110.0, 130.0, NEVER])))
    assert soon.seconds == 20
    assert soon.requests == 200


def test_every_rollback_of_a_good_candidate_is_a_false_one() -> None:
    good = replace(late_traffic(), scenario=Scenario("good"))
    figures = measure(
        "one", good, Verdicts(np.array([60.0, NEVER, NEVER, NEVER]), np.array([False, True, True, False]))
    )
    assert (figures.false_rollbacks, figures.detected, figures.promoted, figures.held) == (0.25, 0, 0.5, 0.25)
    assert figures.wrongly_promoted == 0
    assert figures.bad_answers is None


def figures(
    scenario: str, judge: str, *, false: float = 0.0, bad: float | None = None, promoted: float = 0.0
) -> Figures:
    return Figures(scenario, judge, bad is not None, 10, false, 0.0, None, None, bad, promoted, 1 - promoted - false)


def test_says_where_another_does_better_and_what_it_costs() -> None:
    told = shortfalls(
        [
            figures("healthy", OURS, false=0.1, promoted=0.5),
            figures("healthy", "hasty", false=0.9),
            figures("healthy", "blind", promoted=1.0),
            figures("fault", OURS, bad=10.0),
            figures("fault", "hasty", bad=5.0),
            figures("fault", "blind", bad=900.0, promoted=1.0),
        ]
    )
    assert told == [
        "healthy: fewer false rollbacks than ours (10.0%): blind (0.0%)",
        "healthy: more promoted by the end of the hour than ours (50%, and 40% held for want of independent answers): "
        "blind (100%)",
        "fault: fewer bad answers than ours (10.0): hasty (5.0; it rolls back up to 90% of good releases)",
    ]


def test_nothing_is_said_where_nothing_is_better() -> None:
    assert shortfalls([figures("healthy", OURS, promoted=1.0), figures("healthy", "other", promoted=1.0)]) == []


def test_the_report_can_be_read_by_people_and_by_programs(tmp_path: Path) -> None:
    some = [
        figures("healthy", OURS),
        figures("fault", OURS, bad=0.5),
        figures("healthy", "other"),
        figures("fault", "other", bad=9.0),
    ]
    console = Console(width=120, record=True, file=io.StringIO())
    show(some, console)
    assert OURS in console.export_text()
    data, table, picture = write(some, tmp_path / "new")
    assert [f["judge"] for f in json.loads(data.read_text())["figures"]] == [f.judge for f in some]
    assert f"| **{OURS}** | 0.0 % | 0.0 % | 0 | 0.0 % |" in table.read_text()
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_whole_benchmark_runs(tmp_path: Path) -> None:
    run(rollouts=1, seed=1, out=tmp_path)
    told = json.loads((tmp_path / "judge.json").read_text())
    assert len(told["figures"]) == len(SCENARIOS) * (1 + len(RIVALS))


def test_the_same_seed_gives_the_same_figures() -> None:
    scenario = Scenario("short-lived", fault=0.2)
    for judge in (lambda traffic, _: ours.judge(traffic), Kayenta().judge):
        once, again = (
            measure("one", traffic, judge(traffic, np.random.default_rng(2)))
            for traffic in (simulate(scenario, 3, np.random.default_rng(1)) for _ in range(2))
        )
        assert once == again
