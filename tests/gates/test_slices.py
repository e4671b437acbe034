"""Gates by slice: one bad value fails them, and looking at many makes no false alarm likelier."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec
import pytest

from gates.checks import GateWatch, judge_one, look
from gates.gate import Gate
from gates.verdict import GateResult, Verdict
from proxy.comparison import Comparison
from proxy.slices import Places
from proxy.snapshot import ModelRoute, Origin, Slice, Target
from proxy.tally import Lane
from proxy.window import Window

ROUTE = ModelRoute("m", "/", Target("1", (Origin("h", 1),)), slices=(Slice("country", "header", "x-country"),))
GATE = Gate("by_country", "agreement", 0.9, by="country", values=21)
ERRORS = replace(GATE, metric="error_rate", limit=0.1)
LATENCY = replace(GATE, metric="latency", limit=0.5, quantile=0.9)
of_each_metric = pytest.mark.parametrize("gate", [GATE, ERRORS, LATENCY], ids=lambda gate: gate.metric)
ALPHA = 0.01
QUICK, SLOW = 0.01, 0.8


class Traffic:
    """Pairs of one request each, and the gate that looks after every batch of them."""

    def __init__(self, gate: Gate = GATE, seed: int = 1) -> None:
        self.gate = gate
        self.window = Window()
        self.watches: tuple[GateWatch, ...] = ()
        self._drawn = random.Random(seed)

    def send(self, count: int, rates: dict[str, float], champions: dict[str, float] | None = None) -> GateResult:
        """`rates` is how often the candidate does in each country what the gate is about, and `champions` how often the
        champion does."""
        for _ in range(count):
            country = self._drawn.choice(list(rates))
            places = (("country", country),)
            differs = self._answer("candidate_shadow", places, rates[country])
            self._answer("champion", places, (champions or {}).get(country, 0.0))
            self.window.pair(Comparison("label", "", 1, 1) if differs else Comparison(), ROUTE, places)
        self.watches = look([self.gate], self.watches, self.window)
        return judge_one(self.gate, self.watches[0], self.window, ALPHA, 0.05)

    def _answer(self, lane: Lane, places: Places, rate: float) -> bool:
        """Whether it differs, for a gate that is about that; else it has failed, or was slow."""
        happens, metric = self._drawn.random() < rate, self.gate.metric
        status = 503 if happens and metric == "error_rate" else 200
        seconds = SLOW if happens and metric == "latency" else QUICK
        self.window.answers(lane, ROUTE, places).observe(status, seconds)
        return happens and metric == "agreement"


@of_each_metric
def test_a_value_that_is_bad_fails_the_gate_though_the_whole_is_well(gate: Gate) -> None:
    rates = dict.fromkeys([f"c{number}" for number in range(15)], 0.02) | {"BR": 0.5}
    traffic, whole = Traffic(gate), Traffic(replace(gate, by="", values=0))
    for _ in range(60):
        result = traffic.send(20, rates)
        if result.verdict is Verdict.FAIL:
            break
    assert result.verdict is Verdict.FAIL
    assert "; country BR: " in result.reason
    for _ in range(60):
        assert whole.send(20, rates).verdict is not Verdict.FAIL


@pytest.mark.parametrize(
    ("gate", "whole", "brazil"),
    [  # 10 ms are in a bucket from 9.728 to 10.24 ms
        (ERRORS, "2.00 % errors, 4 failed of 200: at most 10.00 % errors asked", "50.00 % errors, 4 failed of 8"),
        (LATENCY, "p90 9.984 ms, 4 slow of 200: at most p90 500 ms asked", "p90 802.8 ms, 4 slow of 8"),
    ],
    ids=["error_rate", "latency"],
)
def test_what_is_told_of_the_worst_value_is_what_was_counted_of_it(gate: Gate, whole: str, brazil: str) -> None:
    traffic = Traffic(gate)
    traffic.send(192, {"DE": 0.0})
    traffic.send(4, {"BR": 1.0})
    result = traffic.send(4, {"BR": 0.0})
    assert (result.verdict, result.reason) == (Verdict.PASS, f"{whole}; country BR: {brazil}")
    assert (result.observations, result.events) == (200, 4)


@of_each_metric
def test_it_passes_by_the_whole(gate: Gate) -> None:
    traffic = Traffic(gate)
    for _ in range(30):
        result = traffic.send(20, {"BR": 0.01, "DE": 0.0})
    assert result.verdict is Verdict.PASS


@of_each_metric
def test_many_values_make_no_false_alarm_likelier(gate: Gate) -> None:
    """Twenty values, each at the bound, looked at twenty times: of 50 such gates one at the most is to be expected."""
    alarms = 0
    for seed in range(50):
        traffic = Traffic(gate, seed)
        rates = dict.fromkeys([f"c{number}" for number in range(20)], 0.1)
        alarms += any(traffic.send(40, rates).verdict is Verdict.FAIL for _ in range(20))
    assert alarms <= 3


@pytest.mark.parametrize(
    "gate",
    [replace(ERRORS, against="champion", margin=0.5), replace(LATENCY, against="champion", margin=0.5)],
    ids=lambda gate: gate.metric,
)
def test_a_value_is_measured_against_the_champions_answers_to_the_same_value(gate: Gate) -> None:
    """Brazil is hard for both: nothing is held against the candidate before it is worse there, though the champion does
    as badly elsewhere."""
    both, alone = Traffic(gate), Traffic(gate)
    rates, champions = {"BR": 0.5, "DE": 0.0}, {"BR": 0.5, "DE": 0.0}
    elsewhere = {"BR": 0.0, "DE": 0.5}
    assert Verdict.FAIL not in [both.send(20, rates, champions).verdict for _ in range(40)]
    assert Verdict.FAIL in [alone.send(20, rates, elsewhere).verdict for _ in range(40)]


def test_values_beyond_the_gates_number_are_not_looked_at() -> None:
    traffic = Traffic(replace(GATE, values=3))
    traffic.send(400, dict.fromkeys("abcdefgh", 0.0))
    assert len(traffic.watches[0].slices) == 3
    before = [one.value for one in traffic.watches[0].slices]
    traffic.send(400, dict.fromkeys("zyx", 0.0))
    assert [one.value for one in traffic.watches[0].slices] == before


def test_what_the_watch_has_seen_is_kept_exactly() -> None:
    traffic = Traffic()
    traffic.send(100, {"BR": 0.3, "DE": 0.1})
    raw = msgspec.json.encode(traffic.watches)
    assert msgspec.json.decode(raw, type=tuple[GateWatch, ...]) == traffic.watches


def test_a_slice_of_no_values_is_no_gate() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        Gate("g", "agreement", 0.9, by="country")
