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
from proxy.snapshot import ModelRoute, Origin, Slice, Target
from proxy.window import Window

ROUTE = ModelRoute("m", "/", Target("1", (Origin("h", 1),)), slices=(Slice("country", "header", "x-country"),))
GATE = Gate("by_country", "agreement", 0.9, by="country", values=21)
ALPHA = 0.01


class Traffic:
    """Pairs of one request each, and the gate that looks after every batch of them."""

    def __init__(self, gate: Gate = GATE, seed: int = 1) -> None:
        self.gate = gate
        self.window = Window()
        self.watches: tuple[GateWatch, ...] = ()
        self._drawn = random.Random(seed)

    def send(self, count: int, rates: dict[str, float]) -> GateResult:
        for _ in range(count):
            country = self._drawn.choice(list(rates))
            differs = self._drawn.random() < rates[country]
            places = (("country", country),)
            self.window.pair(Comparison("label", "", 1, 1) if differs else Comparison(), ROUTE, places)
            for lane in ("champion", "candidate_shadow"):
                self.window.answers(lane, ROUTE, places).observe(200, 0.01)
        self.watches = look([self.gate], self.watches, self.window)
        return judge_one(self.gate, self.watches[0], self.window, ALPHA, 0.05)


def test_a_value_that_differs_fails_the_gate_though_the_whole_is_well() -> None:
    rates = dict.fromkeys([f"c{number}" for number in range(15)], 0.02) | {"BR": 0.5}
    traffic, whole = Traffic(), Traffic(replace(GATE, by="", values=0))
    for _ in range(60):
        result = traffic.send(20, rates)
        if result.verdict is Verdict.FAIL:
            break
    assert result.verdict is Verdict.FAIL
    assert "; country BR: " in result.reason
    for _ in range(60):
        assert whole.send(20, rates).verdict is not Verdict.FAIL


def test_it_passes_by_the_whole() -> None:
    traffic = Traffic()
    for _ in range(30):
        result = traffic.send(20, {"BR": 0.01, "DE": 0.0})
    assert result.verdict is Verdict.PASS


def test_many_values_make_no_false_alarm_likelier() -> None:
    """Twenty values, each at the bound, looked at twenty times: of 100 such gates one at the most is to be expected."""
    alarms = 0
    for seed in range(100):
        traffic = Traffic(seed=seed)
        rates = dict.fromkeys([f"c{number}" for number in range(20)], 0.1)
        alarms += any(traffic.send(40, rates).verdict is Verdict.FAIL for _ in range(20))
    assert alarms <= 5


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
