"""Offline rules over facts."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gates.promotion.offline import Checksums, MetricNames, Noted, OfflineGate, Score, Size, judge
from gates.promotion.rule import Bounds
from gates.promotion.versions import Artifacts, Trial, VersionFacts
from gates.verdict import GateResult, Verdict

metrics = st.dictionaries(st.sampled_from(["accuracy", "auc", "accuracy/EU", "accuracy/US"]), st.floats(0, 1))


def facts(version: str = "42", **known: object) -> VersionFacts:
    return VersionFacts("fraud_detector", version, **known)  # type: ignore[arg-type]


def verdict(gate: OfflineGate, candidate: VersionFacts, champion: VersionFacts | None = None) -> GateResult:
    (result,) = judge([gate], Trial(candidate, champion or facts("40")))
    return result


def test_the_margin_is_in_the_metrics_own_unit() -> None:
    gate = Score(name="accuracy", keys=("accuracy",), margin=0.02)
    champion = facts("40", metrics={"accuracy": 0.93})
    assert verdict(gate, facts(metrics={"accuracy": 0.9101}), champion).verdict is Verdict.PASS
    assert verdict(gate, facts(metrics={"accuracy": 0.9099}), champion).verdict is Verdict.FAIL


def test_of_a_loss_less_is_better() -> None:
    gate = Score(name="loss", keys=("log_loss",), margin=0.1, better="lower", bounds=Bounds(most=0.5))
    champion = facts("40", metrics={"log_loss": 0.3})
    assert verdict(gate, facts(metrics={"log_loss": 0.39}), champion).verdict is Verdict.PASS
    assert verdict(gate, facts(metrics={"log_loss": 0.41}), champion).limit == pytest.approx(0.4)


def test_a_champion_without_the_metric_leaves_the_gate_open_unless_the_bound_is_broken() -> None:
    gate = Score(name="auc", keys=("auc", "roc_auc"), bounds=Bounds(least=0.8), margin=0.01)
    assert verdict(gate, facts(metrics={"auc": 0.9})).verdict is Verdict.INSUFFICIENT
    assert verdict(gate, facts(metrics={"auc": 0.7})).verdict is Verdict.FAIL
    assert verdict(gate, facts(metrics={"auc": 0.9}), facts("40", metrics={"roc_auc": 0.9})).verdict is Verdict.PASS


@given(metrics, metrics)
def test_of_slices_the_worst_is_told(ours: dict[str, float], theirs: dict[str, float]) -> None:
    gate = Score(name="slices", keys=("accuracy/*",), bounds=Bounds(least=0.5), margin=0.05)
    found = verdict(gate, facts(metrics=ours), facts("40", metrics=theirs))
    slices = {name: value for name, value in ours.items() if name.startswith("accuracy/")}
    if not slices:
        assert (found.verdict, found.value) == (Verdict.INSUFFICIENT, None)
        return
    allowed = {name: max(0.5, theirs[name] - 0.05) if name in theirs else 0.5 for name in slices}
    broken = any(value < allowed[name] for name, value in slices.items())
    assert (found.verdict is Verdict.FAIL) == broken
    assert (found.verdict is Verdict.PASS) == (not broken and slices.keys() <= theirs.keys())


def test_no_files_are_no_data() -> None:
    gate = Size(name="size", most=100)
    assert verdict(gate, facts(trouble="connection refused")).verdict is Verdict.INSUFFICIENT
    assert "connection refused" in verdict(gate, facts(trouble="connection refused")).reason
    assert verdict(gate, facts(artifacts=Artifacts({}, {"a": 60, "b": 41}))).verdict is Verdict.FAIL
    assert verdict(gate, facts(artifacts=Artifacts({}, {"a": 60, "b": 40}))).verdict is Verdict.PASS


def test_the_digest_is_that_of_the_usual_tools() -> None:
    files = {"b/x": sha256(b"x").hexdigest(), "MLmodel": sha256(b"m").hexdigest()}
    lines = f"{files['MLmodel']}  ./MLmodel\n{files['b/x']}  ./b/x\n"
    assert Artifacts(files, {}).digest == sha256(lines.encode()).hexdigest()


def test_changed_files_are_found() -> None:
    gate, sealed = Checksums(name="checksums"), Artifacts({"MLmodel": "1" * 64}, {"MLmodel": 1})
    tags = {"artifact_sha256": sealed.digest}
    assert verdict(gate, facts(artifacts=sealed, tags=tags)).verdict is Verdict.PASS
    changed = Artifacts({"MLmodel": "2" * 64}, {"MLmodel": 1})
    assert verdict(gate, facts(artifacts=changed, tags=tags)).verdict is Verdict.FAIL
    assert verdict(gate, facts(artifacts=sealed)).verdict is Verdict.INSUFFICIENT
    assert verdict(gate, facts(artifacts=Artifacts({"x": "1" * 64}, {"x": 1}))).verdict is Verdict.FAIL


@pytest.mark.parametrize("nothing", ["", "unknown", "N/A", " todo "])
def test_what_says_nothing_is_not_there(nothing: str) -> None:
    gate = Noted(name="lineage", names=("git_commit", "dataset|dataset_commit"))
    found = verdict(gate, facts(tags={"git_commit": nothing}, params={"dataset_commit": "data-v2"}))
    assert found.reason == "1 wrong: no git_commit"


def test_an_odd_metric_is_told_with_what_it_may_mean() -> None:
    gate = MetricNames(name="names", names=("accuracy", "auc", "*/*"))
    found = verdict(gate, facts(metrics={"val_acuracy": 0.9, "auc": 0.9, "auc/EU": 0.8}))
    assert found.reason == "1 wrong: val_acuracy (did you mean accuracy?)"
