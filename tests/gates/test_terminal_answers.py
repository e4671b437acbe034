"""What `penstock status` tells of how the two versions' answers lie to each other."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from gates import terminal
from gates.drift import Drift
from gates.status import LaneStatus, SliceStatus
from tests.gates.test_terminal import MODEL, ROLLOUT

BRAZIL = SliceStatus("BR", LaneStatus(1_200, 0, 4.1, 12.0), LaneStatus(1_198, 31, 4.4, 250.0), 1_160, 290)
OTHERS = [SliceStatus(f"X{n}", LaneStatus(9, 0, 1, 2), LaneStatus(9, 0, 1, 2), 9, 0) for n in range(8)]
QUIET = SliceStatus("none", LaneStatus(0, 0, None, None), LaneStatus(0, 0, None, None), 0, 0)


def drift(column: str, psi: float | None, constant: bool = False, missing: tuple[int, int] = (0, 0)) -> Drift:
    return Drift(column, psi, (512, 498), missing, constant, ())


def shown(width: int = 80, **seen: object) -> list[str]:
    out = io.StringIO()
    rollout = replace(ROLLOUT, **seen)  # type: ignore[arg-type]
    Console(file=out, width=width).print(terminal.model_view(replace(MODEL, rollout=rollout)))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_outputs_are_told_the_most_drifted_first() -> None:
    columns = (
        drift("", 0.012),
        drift("score", 0.31),
        drift("wide", 0.15),
        drift("rare", None),
        drift("fraud", 9, True),
    )
    lines = shown(outputs=columns)
    at = lines.index("outputs champion candidate PSI")
    assert lines[at + 1 : at + 6] == [
        "fraud 512 498 9.000 one answer to everything",
        "score 512 498 0.310 drifted",
        "wide 512 498 0.150 moved",
        "the answer 512 498 0.012 alike",
        "rare 512 498 - too few to tell",
    ]


def test_what_is_missing_is_told_of_both() -> None:
    assert "score 512 498 0.010 alike; missing: 0 and 40" in shown(outputs=(drift("score", 0.01, missing=(0, 40)),))


def test_columns_that_have_drifted_less_are_counted_only() -> None:
    lines = shown(outputs=tuple(drift(f"c{n}", n / 100) for n in range(7)))
    assert "c6 512 498 0.060 alike" in lines
    assert not any(line.startswith("c0") for line in lines)
    assert "2 more columns have drifted less" in lines


def test_a_slice_tells_failures_latency_and_agreement_of_its_busiest_values() -> None:
    lines = shown(slices={"country": (BRAZIL, QUIET, *OTHERS), "tier": ()})
    at = lines.index("country champion p99 candidate p99 agreement")
    assert lines[at + 1] == "BR 0 of 1,200 12.0 ms 31 of 1,198 250 ms 75.00 %"
    assert lines[at + 2] == "none 0 of 0 - 0 of 0 - -"
    assert lines[at + 7] == "4 more values of country have less traffic"
    assert not any("tier" in line for line in lines)


def test_the_worst_of_those_with_less_traffic_is_not_passed_over() -> None:
    bad = replace(OTHERS[7], value="Z", disagreed=6)
    lines = shown(slices={"country": (BRAZIL, *OTHERS[:7], bad)})
    assert "3 more values of country have less traffic; Z agrees least of them, 33.33 %" in lines


def test_it_is_told_by_how_much_numbers_differ_and_in_how_many_rows() -> None:
    agreement = replace(
        ROLLOUT.agreement, rows=8_000, rows_disagreed=31, largest_gap=0.41236, gap_p50=0.00101, gap_p99=0.02
    )
    lines = shown(agreement=agreement)
    assert "31 of 8,000 rows differ, in answers that are not the same bytes" in lines
    assert "numbers are apart by 0.00101 (p50), 0.02 (p99), 0.412 at most" in lines
    assert not any("apart by" in line or "rows differ" in line for line in shown())


def test_without_slices_and_outputs_nothing_is_said_of_them() -> None:
    assert not any(word in line for line in shown() for word in ("PSI", "country"))


def test_a_value_from_a_request_cannot_steer_the_terminal() -> None:
    hostile = replace(BRAZIL, value="\x1b[2J[red]" + "x" * 40)
    for line in shown(slices={"country": (hostile,)}, outputs=(drift("\x1b[2J[red]", 0.3),)):
        assert "\x1b" not in line
    assert any("[red]" in line for line in shown(slices={"country": (hostile,)}))


def test_eighty_columns_are_enough() -> None:
    out = io.StringIO()
    rollout = replace(ROLLOUT, slices={"country": (replace(BRAZIL, value="x" * 40),)}, outputs=(drift("y" * 40, 0.31),))
    Console(file=out, width=80).print(terminal.model_view(replace(MODEL, rollout=rollout)))
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "75.00 %" in out.getvalue()
