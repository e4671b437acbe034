from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gates.verdict import GateResult, Light, Severity, Verdict, failed, light, undecided

severities: st.SearchStrategy[Severity] = st.sampled_from(["critical", "advisory"])


def result(verdict: Verdict, severity: Severity = "critical", gate: str = "g") -> GateResult:
    return GateResult(gate, severity, verdict, 0.1, 0.2, 10, 1, 0.5, 0.1, "because")


results = st.lists(st.builds(result, st.sampled_from(Verdict), severities, st.sampled_from("abc")), max_size=5)


@given(results)
def test_the_light_is_no_go_exactly_where_a_critical_gate_fails(given_results: list[GateResult]) -> None:
    culprit = failed(given_results)
    assert (light(given_results) is Light.NO_GO) == (culprit is not None)
    assert culprit is None or (culprit.severity, culprit.verdict) == ("critical", Verdict.FAIL)


@given(results)
def test_go_needs_every_gate(given_results: list[GateResult]) -> None:
    passed = bool(given_results) and {r.verdict for r in given_results} == {Verdict.PASS}
    assert (light(given_results) is Light.GO) == passed
    assert not passed or not undecided(given_results)


def test_no_data_is_neither_go_nor_no_go() -> None:
    assert light([]) is Light.WARNING
    assert light([result(Verdict.PASS), result(Verdict.INSUFFICIENT)]) is Light.WARNING


def test_advisory_gates_hold_nothing_up() -> None:
    assert undecided([result(Verdict.INSUFFICIENT, "advisory"), result(Verdict.INSUFFICIENT, gate="p99")]) == ["p99"]
